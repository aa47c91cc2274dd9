// SPDX-License-Identifier: Apache-2.0
// The filter in the kernel against the same rules written down a second time, plainly, on frames
// that were damaged at random.
#include <linux/bpf.h>

#include <random>

#include "tests/dataplane/xdp/loaded.h"
#include "tests/support/seed.h"

namespace merlon::xdp::tests {
namespace {

constexpr uint16_t kPort = 53;

// Reads behind the end give 0 and are remembered.
class Cursor {
 public:
  explicit Cursor(const Frame& frame) : frame_(frame) {}
  unsigned u8(size_t at) {
    is_past_ = is_past_ || at >= frame_.size();
    return at < frame_.size() ? frame_[at] : 0;
  }
  unsigned u16(size_t at) { return u8(at) << 8 | u8(at + 1); }
  bool is_past() const { return is_past_; }
  size_t size() const { return frame_.size(); }

 private:
  const Frame& frame_;
  bool is_past_ = false;
};

bool is_query_v4(Cursor& in, size_t ip) {
  const unsigned header = (in.u8(ip) & 15) * 4;
  const size_t total = in.u16(ip + 2);
  const unsigned first = in.u8(ip + 16);
  return in.u8(ip) >> 4 == 4 && header >= 20 && in.u8(ip + 9) == 17 &&
         (in.u16(ip + 6) & 0x3fff) == 0 && total >= header + 8 && ip + total <= in.size() &&
         first != 0 && first != 127 && first < 224 && in.u16(ip + header + 2) == kPort;
}

bool is_query_v6(Cursor& in, size_t ip) {
  const size_t length = in.u16(ip + 4);
  bool is_low = true;  // :: and ::1
  for (size_t i = 0; i < 15; ++i) {
    is_low = is_low && in.u8(ip + 24 + i) == 0;
  }
  is_low = is_low && in.u8(ip + 39) <= 1;
  return in.u8(ip) >> 4 == 6 && in.u8(ip + 6) == 17 && length >= 8 &&
         ip + 40 + length <= in.size() && in.u8(ip + 24) != 0xff && !is_low &&
         in.u16(ip + 42) == kPort;
}

bool is_query(const Frame& frame) {
  Cursor in(frame);
  size_t at = 12;
  for (int i = 0; i < 2 && (in.u16(at) == 0x8100 || in.u16(at) == 0x88a8); ++i) {
    at += 4;
  }
  const unsigned type = in.u16(at);
  const bool fits = type == 0x0800   ? is_query_v4(in, at + 2)
                    : type == 0x86dd ? is_query_v6(in, at + 2)
                                     : false;
  return fits && (in.u8(0) & 1) == 0 && !in.is_past();
}

TEST(Filter, AgreesWithItsRulesOnDamagedFrames) {
  MERLON_SKIP_WITHOUT_BPF();
  std::mt19937_64 random(merlon::test::seed_for("damaged frames"));
  const auto below = [&random](size_t bound) { return static_cast<size_t>(random() % bound); };
  LoadedFilter filter(kPort, {}, Queue::with_socket);
  const Frame frames[] = {make_frame({}),
                          make_frame({.options = 4}),
                          make_frame({.tags = {0x8100}}),
                          make_frame({.tags = {0x88a8, 0x8100}}),
                          make_frame({.destination = "2001:db8::1"}),
                          make_frame({.tags = {0x8100}, .destination = "::3"})};
  constexpr uint8_t kTelling[] = {0, 1, 2, 4, 6, 8, 17, 20, 28, 53, 64, 69, 0x7f, 0x81, 0x86, 0xff};
  size_t taken = 0;
  constexpr size_t kTurns = 20000;
  for (size_t turn = 0; turn < kTurns; ++turn) {
    Frame frame = frames[below(std::size(frames))];
    for (size_t changes = below(3); changes > 0; --changes) {
      frame[below(std::min<size_t>(frame.size(), 66))] =
          below(2) == 0 ? kTelling[below(std::size(kTelling))] : static_cast<uint8_t>(random());
    }
    if (below(8) == 0) {
      frame.resize(14 + below(frame.size() - 13));
    }
    const auto ran = filter.run(frame);
    ASSERT_EQ(ran.action, is_query(frame) ? XDP_REDIRECT : XDP_PASS)
        << testing::PrintToString(frame);
    taken += ran.action == XDP_REDIRECT ? 1 : 0;
  }
  EXPECT_GT(taken, kTurns / 10);
  EXPECT_LT(taken, kTurns * 9 / 10);
}

}  // namespace
}  // namespace merlon::xdp::tests
