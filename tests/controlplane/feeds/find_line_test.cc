// SPDX-License-Identifier: Apache-2.0
// Lines of a content by the values they gave, and times in tables.
#include "controlplane/feeds/find_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controlplane/feeds/parse.h"
#include "controlplane/feeds/time_field.h"

namespace merlon::feeds {
namespace {

struct Row {
  const char* format;
  const char* text;
  const char* value;
  uint64_t line;  // 0: none
};

TEST(FindLine, EachValueHasTheLineThatGaveIt) {
  const Row rows[] = {
      {"plain", "# 5.0.0.1\n15.0.0.1\n5.0.0.1\n", "5.0.0.1", 3},
      {"plain", "5.0.0.10\n5.0.0.1\r\n", "5.0.0.1", 2},
      {"plain", "5.0.0.1/24\n5.0.0.1\n", "5.0.0.1", 2},
      {"plain", "6.0.0.0/16\n5.0.0.0/24 ; x\n", "5.0.0.0/24", 2},
      {"plain", "6.0.0.0/16\n5.0.0.7/255.255.255.0\n", "5.0.0.0/24", 2},
      {"plain", "1.0.0.0\n5.0.0.0-5.0.1.127\n9.0.0.0\n", "5.0.1.0/25", 2},
      {"plain", "1.0.0.0\n2600:0000::7\n", "2600::7", 2},
      {"plain", "5.0.0.2\n5.0.0.3\n", "5.0.0.1", 0},
      {"domains", "www.bad.example\nBAD.example\n", "bad.example", 2},
      {"hosts", "127.0.0.1 localhost\n0.0.0.0 a.example bad.example\n", "bad.example", 2},
      {"adblock", "! x\n||notbad.example^\n||bad.example^\n", "bad.example", 3},
      {"dshield", "5.0.0.0\t5.0.0.255\t24\t1\n6.0.0.0\t6.0.0.255\t24\t2\n", "6.0.0.0/24", 2},
      {"csv; column=2", "1,5.0.0.1\n2,5.0.0.2\n", "5.0.0.2", 2},
      {"ndjson; path=ip", "{\"ip\":\"5.0.0.1\"}\n{\"ip\":\"5.0.0.2\"}\n", "5.0.0.2", 2},
      {"plain", "", "5.0.0.2", 0},
  };
  for (const Row& row : rows) {
    const auto declaration = parse_declaration(row.format);
    ASSERT_TRUE(declaration.has_value()) << row.format;
    const auto line = find_line(row.text, *declaration, row.value);
    EXPECT_EQ(line ? line->number : 0, row.line) << row.text << row.value;
  }
}

TEST(FindLine, LongAndStrangeLinesAreFitToShow) {
  const std::string text = "5.0.0.1 \x1b[31m" + std::string(3000, 'x') + "\n";
  const auto line = find_line(text, {}, "5.0.0.1");
  ASSERT_TRUE(line.has_value());
  EXPECT_LE(line->text.size(), 400u);
  EXPECT_EQ(line->text.find('\x1b'), std::string::npos);
}

TEST(TimeField, FormsThatTablesHave) {
  const std::pair<const char*, int64_t> rows[] = {
      {"1700000000", 1'700'000'000},
      {"1700000000123", 1'700'000'000},
      {"2023-11-14", 1'699'920'000},
      {"2023-11-14 22:13:20", 1'700'000'000},
      {"2023-11-14T22:13:20Z", 1'700'000'000},
      {" 2023-11-14T22:13:20.500Z ", 1'700'000'000},
      {"2023-11-15T00:13:20+02:00", 1'700'000'000},
      {"2023-11-14 22:13:20 UTC", 1'700'000'000},
      {"2023/11/14 22:13", 1'699'999'980},
  };
  for (const auto& [text, time] : rows) {
    EXPECT_EQ(read_time(text), time) << text;
  }
  for (const char* text : {"", "never", "2023", "2023-13-01", "2023-02-30", "2023-11-14T", "0",
                           "-5", "2023-11-14T25:00:00Z", "2023-11-14T10:00:00X", "2200-01-01",
                           "14.11.2023", "2023-11-14x"}) {
    EXPECT_FALSE(read_time(text).has_value()) << text;
  }
}

TEST(ExpiresColumn, TimesGoWithTheValuesOfTheirRows) {
  const auto declaration = parse_declaration("csv; column=1; expires=2; start=3; end=4");
  ASSERT_TRUE(declaration.has_value());
  EXPECT_EQ(parse_declaration(to_text(*declaration)).value(), *declaration);
  const std::string text =
      "5.0.0.1,1700000000,6.0.0.0,6.0.0.2\nbad.example,2023-11-14,7.0.0.0,7.0.0.0\n"
      "5.0.0.2,,8.0.0.0,8.0.0.0\n5.0.0.3,soon,9.0.0.0,9.0.0.0\n";
  const auto feed = parse(as_bytes(text), *declaration);
  ASSERT_TRUE(feed.has_value());
  EXPECT_EQ(feed->entry_line_count, 4u);
  EXPECT_EQ(feed->expiries.size(), 5u);  // the first range is two prefixes
  EXPECT_THAT(feed->notes, testing::Contains(testing::HasSubstr("soon")));
}

}  // namespace
}  // namespace merlon::feeds
