// SPDX-License-Identifier: Apache-2.0
// Content that no text format can be, whatever format the operator named.
#pragma once

#include <string_view>

#include "zones/base/error.h"

namespace merlon::feeds {

// Errors: unsupported, with the reason: empty, binary (and which), an HTML page.
Status refuse_hopeless(std::string_view content);

}  // namespace merlon::feeds
