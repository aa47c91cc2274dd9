// SPDX-License-Identifier: Apache-2.0
// A zone as a master file (RFC 1035 section 5): a record a line with its whole owner, the SOA
// first. Types that hold more than names, addresses and texts are written in the form of RFC 3597,
// which every server reads.
#pragma once

#include <string>

#include "controlplane/compile/records.h"

namespace merlon::compile {

std::string zone_text(const ZoneContent& zone);

}  // namespace merlon::compile
