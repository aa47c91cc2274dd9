// SPDX-License-Identifier: Apache-2.0
#include "tools/merlonctl/table.h"

#include <gtest/gtest.h>

#include "tools/merlonctl/text.h"

namespace merlon::merlonctl {
namespace {

TEST(Table, ColumnsAreAlignedAndNumbersEndTogether) {
  Table table({{"FEED"}, {"COUNT", Align::right}, {"REASON"}});
  table.add({{"a"}, {"7"}, {""}});
  table.add({{"longer-name"}, {"123456"}, {"gone"}});
  EXPECT_EQ(table.text(Colour::off),
            "FEED          COUNT  REASON\n"
            "a                 7\n"
            "longer-name  123456  gone\n");
}

TEST(Table, WidthIsWhatATerminalShows) {
  Table table({{"NAME"}, {"N", Align::right}});
  table.add({{"zażółć"}, {"1"}});
  table.add({{"日本"}, {"2"}});
  table.add({{"e\u0301"}, {"3"}});
  table.add({{"plain"}, {"4"}});
  EXPECT_EQ(table.text(Colour::off),
            "NAME    N\n"
            "zażółć  1\n"
            "日本    2\n"
            "e\u0301       3\n"
            "plain   4\n");
}

TEST(Table, ColoursDoNotMoveColumns) {
  Table table({{"A"}, {"B"}});
  table.add({{"good", Tone::good}, {"x"}});
  table.add({{"longest"}, {"y"}});
  EXPECT_EQ(table.text(Colour::on),
            "\x1b[1mA\x1b[0m        \x1b[1mB\x1b[0m\n"
            "\x1b[32mgood\x1b[0m     x\n"
            "longest  y\n");
}

TEST(Table, WithoutRowsTheHeaderStays) {
  EXPECT_EQ(Table({{"A"}, {"B"}}).text(Colour::off), "A  B\n");
}

TEST(Printable, TerminalEscapesAndBrokenUtf8CannotPass) {
  const std::string mark = "\xef\xbf\xbd";
  EXPECT_EQ(printable("a\x1b[31mb"), "a" + mark + "[31mb");
  EXPECT_EQ(printable("\xc2\x9b"
                      "1m"),
            mark + "1m")
      << "C1 control sequence introducer";
  EXPECT_EQ(printable("a\nb\tc\x7f"), "a" + mark + "b" + mark + "c" + mark);
  EXPECT_EQ(printable("\u202e"), mark) << "bidirectional override";
  EXPECT_EQ(printable("\xff"), mark);
  EXPECT_EQ(printable("\xc0\xaf"), mark + mark) << "overlong";
  EXPECT_EQ(printable("\xe0\x80\xaf"), mark + mark + mark) << "overlong";
  EXPECT_EQ(printable("\xed\xa0\x80"), mark + mark + mark) << "surrogate";
  EXPECT_EQ(printable("\xf4\x90\x80\x80"), mark + mark + mark + mark) << "above U+10FFFF";
  EXPECT_EQ(printable("\xe6\x97"), mark + mark) << "cut short";
  EXPECT_EQ(printable("żółw 日本 \U0001f422"), "żółw 日本 \U0001f422");
}

TEST(Details, ValuesStandBelowEachOther) {
  EXPECT_EQ(details_text({{"a", "1"}, {"longer", "2"}, {"empty", ""}}),
            "a       1\nlonger  2\nempty\n");
}

TEST(Text, AgesAreRoundedDownToAReadableUnit) {
  const Json at = "2026-03-01T12:00:00Z";
  const int64_t zero = 1772366400;
  ASSERT_EQ(parse_time(at), zero);
  EXPECT_EQ(age_text(at, zero), "now");
  EXPECT_EQ(age_text(at, zero + 59), "59 s ago");
  EXPECT_EQ(age_text(at, zero + 180), "3 min ago");
  EXPECT_EQ(age_text(at, zero + 7199), "119 min ago");
  EXPECT_EQ(age_text(at, zero + 7200), "2 h ago");
  EXPECT_EQ(age_text(at, zero + 86400 * 3), "3 d ago");
  EXPECT_EQ(age_text(at, zero - 5), "now");
  EXPECT_EQ(age_text(at, zero - 500), "in the future");
  EXPECT_EQ(age_text(nullptr, zero), "never");
  EXPECT_EQ(time_and_age_text(at, zero + 180), "2026-03-01 12:00:00 UTC (3 min ago)");
  EXPECT_EQ(time_and_age_text(nullptr, zero), "never");
  EXPECT_EQ(time_and_age_text("yesterday", zero), "never");
}

TEST(Text, QuantitiesAreReadAndWritten) {
  EXPECT_EQ(parse_duration_s("900"), 900u);
  EXPECT_EQ(parse_duration_s("15m"), 900u);
  EXPECT_EQ(parse_duration_s("2d"), 172800u);
  EXPECT_FALSE(parse_duration_s("m"));
  EXPECT_FALSE(parse_duration_s("-1"));
  EXPECT_FALSE(parse_duration_s("1 h"));
  EXPECT_FALSE(parse_duration_s("18446744073709551615d"));
  EXPECT_EQ(parse_size_bytes("64MiB"), 64u << 20);
  EXPECT_FALSE(parse_size_bytes("64MB"));
  EXPECT_FALSE(parse_number(""));
  EXPECT_FALSE(parse_number("7x"));
  EXPECT_EQ(size_text(1023), "1023 B");
  EXPECT_EQ(size_text(1536), "1.5 KiB");
  EXPECT_EQ(size_text(uint64_t{3} << 40), "3.0 TiB");
  EXPECT_EQ(plural(1, "feed"), "1 feed");
  EXPECT_EQ(plural(0, "feed"), "0 feeds");
}

}  // namespace
}  // namespace merlon::merlonctl
