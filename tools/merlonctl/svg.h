// SPDX-License-Identifier: Apache-2.0
// The feeds' report as a picture: a heat map of what pairs of feeds share, and bars of what each
// brings alone, its trust, and whether it is early.
#pragma once

#include <string>

#include "tools/merlonctl/client.h"

namespace merlon::merlonctl {

// `report` as the REST API gives it.
std::string feeds_svg(const Json& report);

}  // namespace merlon::merlonctl
