// SPDX-License-Identifier: Apache-2.0
// A second frame parser, written byte by byte after the RFCs and sharing no code with
// dataplane/frame. Tests and fuzzing compare the two, and check replies with it.
#pragma once

#include <string>

#include "dataplane/frame/frame.h"

namespace merlon::tests {

struct ReferenceFrame {
  frame::Verdict verdict = frame::Verdict::not_ours;
  frame::Drop drop = frame::Drop::truncated;
  size_t ip = 0;
  size_t udp = 0;
  uint16_t source_port = 0;
  bool is_v6 = false;
  address::Address source;
  address::Address destination;
  Bytes message;
};

ReferenceFrame reference_parse(Bytes frame, const frame::Filter& filter,
                               frame::Checked checked = {});

// "" when frame::parse() says the same of the frame, else what differs.
std::string difference_from_reference(Bytes frame, const frame::Filter& filter,
                                      frame::Checked checked = {});

// "" when `reply` is what must come back for the query in `frame` (as reference_parse read it) with
// this message in it, else what is wrong.
std::string reply_fault(Bytes frame, const ReferenceFrame& query, Bytes message, Bytes reply);

}  // namespace merlon::tests
