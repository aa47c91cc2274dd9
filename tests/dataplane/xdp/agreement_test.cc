// SPDX-License-Identifier: Apache-2.0
// The filter decides whose a frame is, dataplane/frame decides again: what the first takes must not
// be the kernel's for the second, as it would be lost between them.
#include <linux/bpf.h>

#include <algorithm>

#include "dataplane/frame/frame.h"
#include "tests/dataplane/xdp/loaded.h"
#include "tests/support/frame_rows.h"

namespace merlon::xdp::tests {
namespace {

using ::merlon::tests::FrameRow;

std::vector<std::string> texts_of(const std::vector<address::Address>& addresses) {
  std::vector<std::string> texts;
  for (const address::Address& address : addresses) {
    texts.push_back(address::to_text(address));
  }
  return texts;
}

frame::Verdict parse(const std::vector<uint8_t>& frame) {
  frame::Layout layout;
  address::Address source;
  return frame::parse(frame, ::merlon::tests::frame_filter(), {}, layout, source);
}

// What the filter cannot know, or leaves to the parser: the port's own MAC address (the kernel
// drops frames for others as well), and security labels in IPv4 options.
bool is_left_to_the_parser(const FrameRow& row) {
  FrameRow ours = row;
  const frame::Filter filter = ::merlon::tests::frame_filter();
  std::ranges::copy(filter.mac, ours.frame.begin());
  return parse(ours.frame) != frame::Verdict::not_ours ||
         row.name.find("CIPSO") != std::string::npos;
}

TEST(Filter, TakesWhatTheParserTakes) {
  MERLON_SKIP_WITHOUT_BPF();
  const frame::Filter settings = ::merlon::tests::frame_filter();
  LoadedFilter filter(settings.port, texts_of(settings.addresses), Queue::with_socket);
  size_t taken = 0;
  size_t left = 0;
  for (const FrameRow& row : ::merlon::tests::frame_rows()) {
    if (row.frame.size() < 14) {
      continue;  // no Ethernet header: the kernel runs no program on it
    }
    const bool is_taken = filter.run(row.frame).action == XDP_REDIRECT;
    (is_taken ? taken : left) += 1;
    switch (row.verdict) {
      case frame::Verdict::query:
        EXPECT_TRUE(is_taken) << row.name;
        break;
      case frame::Verdict::not_ours:
        EXPECT_TRUE(!is_taken || is_left_to_the_parser(row)) << row.name;
        break;
      case frame::Verdict::drop:
        break;  // dropped here or by the kernel
    }
  }
  EXPECT_GT(taken, 20u);
  EXPECT_GT(left, 50u);
}

}  // namespace
}  // namespace merlon::xdp::tests
