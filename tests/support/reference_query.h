// SPDX-License-Identifier: Apache-2.0
// A second query parser, written with wire::Reader for clarity instead of speed and sharing no code
// with zones/answer/query.cc. Tests and fuzzing compare the two.
#pragma once

#include <string>

#include "zones/answer/query.h"

namespace merlon::tests {

// "" when both parsers say the same of the message, else what differs. `outcome` is what
// parse_query decided, Outcome::answered when it said Parse::good.
std::string difference_from_reference(Bytes message, answer::Parse parse, answer::Outcome outcome,
                                      const answer::Query& query);

}  // namespace merlon::tests
