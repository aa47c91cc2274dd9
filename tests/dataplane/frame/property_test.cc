// SPDX-License-Identifier: Apache-2.0
// Random damage to frames: the parser against the reference parser, replies against the reference.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "dataplane/frame/frame.h"
#include "tests/support/frame_rows.h"
#include "tests/support/reference_frame.h"
#include "tests/support/seed.h"
#include "zones/base/checksum.h"

namespace merlon::frame {
namespace {

using Buffer = std::vector<uint8_t>;

// Damage in the headers, where it decides something, and mostly behind it right checksums.
Buffer damage(Buffer frame, std::mt19937_64& random) {
  static constexpr uint8_t kEdges[] = {0, 1, 4, 5, 6, 7, 8, 17, 0x45, 0x60, 0x7f, 0x80, 0xff};
  for (uint64_t steps = random() % 4; steps > 0 && !frame.empty(); --steps) {
    const size_t at = random() % std::min<size_t>(frame.size(), random() % 4 == 0 ? 2000 : 70);
    switch (random() % 5) {
      case 0:
        frame[at] ^= static_cast<uint8_t>(1U << (random() % 8));
        break;
      case 1:
        frame[at] = kEdges[random() % std::size(kEdges)];
        break;
      case 2:
        frame[at] = static_cast<uint8_t>(random());
        break;
      case 3:
        frame.resize(frame.size() - std::min<size_t>(frame.size(), random() % 6));
        break;
      default:
        frame.insert(frame.end(), random() % 8, static_cast<uint8_t>(random()));
    }
  }
  if (random() % 3 != 0) {
    tests::fix_frame_checksums(frame);
  }
  return frame;
}

std::vector<Filter> filters() {
  return {tests::frame_filter(),
          {.port = 53},
          {.port = 53, .mac = tests::kServerMac},
          {.port = 53, .addresses = {tests::ip(tests::kServer4)}}};
}

TEST(FrameProperty, ParserAndReferenceAgreeOnDamagedFrames) {
  std::mt19937_64 random(test::seed_for("damaged frames"));
  const std::vector<tests::FrameRow> rows = tests::frame_rows();
  const std::vector<Filter> all = filters();
  size_t queries = 0;
  size_t drops = 0;
  for (int i = 0; i < 200'000; ++i) {
    const Buffer frame = damage(rows[random() % rows.size()].frame, random);
    const Filter& filter = all[random() % all.size()];
    const Checked checked{.ip = random() % 4 == 0, .udp = random() % 4 == 0};
    ASSERT_EQ(tests::difference_from_reference(frame, filter, checked), "");
    const Verdict verdict = tests::reference_parse(frame, filter, checked).verdict;
    queries += verdict == Verdict::query ? 1 : 0;
    drops += verdict == Verdict::drop ? 1 : 0;
  }
  EXPECT_GT(queries, 20'000u);
  EXPECT_GT(drops, 20'000u);
}

TEST(FrameProperty, ParserAndReferenceAgreeOnNoise) {
  std::mt19937_64 random(test::seed_for("noise behind an Ethernet header"));
  const Filter any{.port = 53};
  for (int i = 0; i < 50'000; ++i) {
    Buffer frame(random() % 120);
    std::ranges::generate(frame, [&] { return static_cast<uint8_t>(random()); });
    if (frame.size() > 40) {
      const bool is_v6 = random() % 2 == 0;
      frame[0] &= 0xfe;
      store_be16(frame.data() + 12, is_v6 ? 0x86dd : 0x0800);
      frame[14] = is_v6 ? 0x60 : static_cast<uint8_t>(0x45 + random() % 3);
      frame[is_v6 ? 20 : 23] = 17;
    }
    ASSERT_EQ(tests::difference_from_reference(frame, any), "");
  }
}

TEST(FrameProperty, EveryReplyIsReadByTheAsker) {
  std::mt19937_64 random(test::seed_for("replies"));
  const std::vector<tests::FrameRow> rows = tests::frame_rows();
  const std::vector<Filter> all = filters();
  size_t replies = 0;
  for (int i = 0; i < 50'000; ++i) {
    const Buffer frame = damage(rows[random() % rows.size()].frame, random);
    const Filter& filter = all[random() % all.size()];
    Layout layout;
    address::Address source;
    if (parse(frame, filter, {}, layout, source) != Verdict::query) {
      continue;
    }
    Buffer message(random() % 600);
    std::ranges::generate(message, [&] { return static_cast<uint8_t>(random()); });
    Buffer work = frame;
    work.resize(std::max(frame.size(), layout.message + message.size()), 0xdd);
    std::ranges::copy(message, work.begin() + layout.message);
    const Reply reply =
        turn_around(work, layout, message.size(), tests::slow_sum(message), Checksums::here);
    const tests::ReferenceFrame query = tests::reference_parse(frame, filter);
    ASSERT_EQ(
        tests::reply_fault(frame, query, message, Bytes(work).subspan(reply.offset, reply.size)),
        "");
    ++replies;
  }
  EXPECT_GT(replies, 5'000u);
}

TEST(Checksum, EqualsTheSumWordByWordAtEverySizeAndAlignment) {
  std::mt19937_64 random(test::seed_for("checksum"));
  Buffer bytes(400);
  for (const bool is_all_ones : {false, true}) {
    std::ranges::generate(
        bytes, [&] { return is_all_ones ? uint8_t{0xff} : static_cast<uint8_t>(random()); });
    for (size_t first = 0; first < 9; ++first) {
      for (size_t size = 0; first + size <= bytes.size(); ++size) {
        const Bytes part = Bytes(bytes).subspan(first, size);
        ASSERT_EQ(__builtin_bswap16(checksum::fold(checksum::sum(part))), tests::slow_sum(part))
            << first << " " << size;
      }
    }
  }
  EXPECT_EQ(checksum::fold(checksum::sum(Buffer(100, 0))), 0);
  EXPECT_EQ(checksum::fold(UINT64_MAX), 0xffff);
  EXPECT_EQ(checksum::fold(0xffff'ffff'ffff'fffe), 0xfffe);
  EXPECT_EQ(checksum::fold(0x1'0000'ffff), 1);
}

}  // namespace
}  // namespace merlon::frame
