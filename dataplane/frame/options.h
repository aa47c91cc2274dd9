// SPDX-License-Identifier: Apache-2.0
// IPv4 options of a query, checked as a host checks them that takes no source routes (RFC 791
// section 3.1, RFC 1122 section 3.2.1.8, RFC 7126): a reply carries none, so that good ones are
// merely passed over.
#pragma once

#include <cstdint>

#include "zones/base/bytes.h"

namespace merlon::frame {

enum class Options : uint8_t {
  good,
  bad,        // malformed, or a source route
  unknowable  // CIPSO: whether its label is good depends on the kernel's tables
};

Options check_options(Bytes options);

}  // namespace merlon::frame
