// SPDX-License-Identifier: Apache-2.0
#include "controlplane/coordinator/zone_log.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "tests/support/seed.h"
#include "tests/support/snapshot_fixture.h"

namespace merlon::coordinator {
namespace {

using Content = std::map<std::string, std::string>;

class Log : public testing::Test {
 protected:
  Content loaded() {
    ZoneLog log(path_);
    const auto content = log.load();
    EXPECT_TRUE(content.has_value());
    return content.value_or(Content{});
  }

  tests::TemporaryDirectory directory_;
  std::string path_ = directory_.path() + "/zones.log";
};

TEST_F(Log, LastRecordOfAKeyCounts) {
  ZoneLog log(path_);
  EXPECT_TRUE(log.load().value().empty());
  ASSERT_TRUE(log.append({{"a.", "one"}, {"b.", "two"}}).has_value());
  ASSERT_TRUE(log.append({{"a.", "three"}}).has_value());
  EXPECT_EQ(loaded(), (Content{{"a.", "three"}, {"b.", "two"}}));
  ASSERT_TRUE(log.append({{"b.", ""}}).has_value());
  EXPECT_EQ(loaded(), (Content{{"a.", "three"}}));
}

TEST_F(Log, AnotherProcessGoesOn) {
  ASSERT_TRUE(ZoneLog(path_).append({{"a.", "one"}}).has_value());
  ZoneLog next(path_);
  ASSERT_TRUE(next.load().has_value());
  ASSERT_TRUE(next.append({{"b.", std::string(1000, '\0')}}).has_value());
  EXPECT_EQ(loaded(), (Content{{"a.", "one"}, {"b.", std::string(1000, '\0')}}));
}

TEST_F(Log, WithoutAPathNothingIsKept) {
  ZoneLog log("");
  ASSERT_TRUE(log.append({{"a.", "one"}}).has_value());
  EXPECT_TRUE(log.load().value().empty());
}

// Whatever is damaged, what is read was written, and writing goes on.
TEST_F(Log, DamageLosesWhatLiesBehindItAndNothingElse) {
  std::mt19937_64 random(test::seed_for("zone log damage"));
  ZoneLog log(path_);
  Content all;
  for (int i = 0; i < 50; ++i) {
    const std::string key = std::to_string(i) + ".";
    all[key] = std::string(random() % 300 + 1, static_cast<char>('a' + i % 26));
    ASSERT_TRUE(log.append({{key, all[key]}}).has_value());
  }
  std::ifstream file(path_, std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(file), {}};
  for (int round = 0; round < 300; ++round) {
    std::string damaged = whole;
    if (round % 3 == 0) {
      damaged.resize(random() % whole.size());
    } else {
      damaged[random() % whole.size()] ^= static_cast<char>(1u << random() % 8);
    }
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << damaged;
    ZoneLog reader(path_);
    const auto content = reader.load();
    ASSERT_TRUE(content.has_value());
    for (const auto& [key, text] : *content) {
      ASSERT_EQ(text, all[key]);
    }
    ASSERT_TRUE(reader.append({{"new.", "content"}}).has_value());
    EXPECT_EQ(loaded().size(), content->size() + 1);
    EXPECT_EQ(loaded()["new."], "content");
  }
}

TEST_F(Log, RewriteMakesItSmall) {
  ZoneLog log(path_);
  const std::string large(100'000, 'x');
  int appends = 0;
  while (!log.is_due_for_rewrite()) {
    ASSERT_TRUE(log.append({{"a.", large}, {"b.", "small"}}).has_value());
    ASSERT_LT(++appends, 1000);
  }
  const auto before = std::filesystem::file_size(path_);
  const Content content{{"a.", large}, {"b.", "small"}};
  ASSERT_TRUE(log.rewrite(content).has_value());
  EXPECT_LT(std::filesystem::file_size(path_), before / 2);
  EXPECT_FALSE(log.is_due_for_rewrite());
  EXPECT_EQ(loaded(), content);
  ASSERT_TRUE(log.append({{"c.", "more"}}).has_value());
  EXPECT_EQ(loaded().size(), 3u);
}

}  // namespace
}  // namespace merlon::coordinator
