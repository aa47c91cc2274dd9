// SPDX-License-Identifier: Apache-2.0
// Frames that are odd in one place, what becomes of them, and what Linux does with the very same
// bytes: the rows that unit tests, the comparison with a kernel socket and the fuzz corpus share.
#pragma once

#include <string>
#include <vector>

#include "dataplane/frame/frame.h"
#include "tests/support/frame_builder.h"

namespace merlon::tests {

struct FrameRow {
  std::string name{};
  std::vector<uint8_t> frame{};
  frame::Verdict verdict = frame::Verdict::query;
  frame::Drop drop = frame::Drop::truncated;  // with Verdict::drop
  // "": a kernel socket receives it if and only if it is a query. Else why the kernel's socket
  // receives what is no query, or not what is one.
  std::string exception{};
  // The frame is for a VLAN: a socket receives it where the kernel has a device for that.
  bool wants_vlan_device = false;
  std::vector<uint8_t> before{};  // a frame that must have come just before, for the kernel
};

// The addresses of frame_builder.h.
frame::Filter frame_filter();
std::vector<FrameRow> frame_rows();

}  // namespace merlon::tests
