// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <random>
#include <set>

#include "tools/feed_sets/sets.h"
#include "zones/address/address.h"

namespace merlon::feed_sets {
namespace {

Sets read(std::string_view text, uint64_t refused = 0) {
  ReadReport report;
  Sets sets = read_sets(text, report);
  EXPECT_EQ(report.refused_count, refused) << report.first_refused;
  return sets;
}

std::string text_of(const Sets& sets, Form form = Form::cidr) {
  char path[] = "/tmp/feed-sets-XXXXXX";
  const int file = ::mkstemp(path);
  EXPECT_GE(file, 0);
  ::unlink(path);
  EXPECT_TRUE(write_sets(sets, form, file).has_value());
  std::string text(static_cast<size_t>(::lseek(file, 0, SEEK_END)), '\0');
  EXPECT_EQ(::pread(file, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
  ::close(file);
  return text;
}

TEST(FeedSets, SortsAndMergesEveryForm) {
  const Sets sets = read(
      "# c\n45.1.2.3\r\n45.1.2.2\n45.1.2.2\n10.0.0.0/255.0.0.0\n45.9.0.0 - 45.9.0.2\n2a0f::1\n"
      "2a0f::/127 ; x\nB.example.\na.example note\n\n255.255.255.255");
  EXPECT_EQ(text_of(sets),
            "10.0.0.0/8\n45.1.2.2/31\n45.9.0.0/31\n45.9.0.2\n255.255.255.255\n2a0f::/127\n"
            "a.example\nb.example\n");
  EXPECT_EQ(text_of(read("45.1.2.9\n45.1.2.8\n45.1.2.7\n2a0f::1-2a0f::2"), Form::ranges),
            "45.1.2.7-45.1.2.9\n2a0f::1-2a0f::2\n");
  EXPECT_EQ(text_of(read("45.1.2.254/31\n45.1.3.0"), Form::single),
            "45.1.2.254\n45.1.2.255\n45.1.3.0\n");
}

TEST(FeedSets, RefusesWhatIsNoValueAndSaysWhereTheFirstIs) {
  ReadReport report;
  const Sets sets = read_sets("45.1.2.3\n45.1.2.03\n45.1.2.256\n1.2.3\nhttp://x/\n-\n", report);
  EXPECT_EQ(report.refused_count, 5U);
  EXPECT_TRUE(report.first_refused.starts_with("line 2 ")) << report.first_refused;
  EXPECT_EQ(text_of(sets), "45.1.2.3\n");
}

TEST(FeedSets, UnionExceptAndCommon) {
  const Sets a = read("45.1.2.0/30\na.example\nb.example\n2a0f::/64");
  const Sets b = read("45.1.2.1\n45.1.9.9\nb.example\n2a0f::/65");
  EXPECT_EQ(text_of(a.united(b)), "45.1.2.0/30\n45.1.9.9\n2a0f::/64\na.example\nb.example\n");
  EXPECT_EQ(text_of(a.minus(b)), "45.1.2.0\n45.1.2.2/31\n2a0f::8000:0:0:0/65\na.example\n");
  EXPECT_EQ(text_of(a.intersected(b)), "45.1.2.1\n2a0f::/65\nb.example\n");
}

TEST(FeedSets, LargeListsReadByTwoThreadsAreWhatASetHolds) {
  std::mt19937 random(7);
  std::set<address::Bits4> expected;
  std::string text;
  while (text.size() < (6 << 20)) {
    const auto bits = static_cast<address::Bits4>(random());
    expected.insert(bits);
    text += address::to_text_v4(bits) + "\n";
  }
  text += "bad line\n";
  ReadReport report;
  const Sets sets = read_sets(text, report);
  EXPECT_EQ(report.refused_count, 1U);
  EXPECT_EQ(static_cast<uint64_t>(sets.addresses.v4.address_count()), expected.size());
  std::string singles;
  for (const address::Bits4 bits : expected) {
    singles += address::to_text_v4(bits) + "\n";
  }
  EXPECT_EQ(text_of(sets, Form::single), singles);
}

}  // namespace
}  // namespace merlon::feed_sets
