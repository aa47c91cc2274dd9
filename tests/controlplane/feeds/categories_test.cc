// SPDX-License-Identifier: Apache-2.0
#include "controlplane/feeds/categories.h"

#include <gtest/gtest.h>

#include "controlplane/store/model.h"

namespace merlon::feeds {
namespace {

TEST(Categories, EveryRowIsCompleteAndFound) {
  EXPECT_GT(categories().size(), 20U);
  for (const Category& category : categories()) {
    EXPECT_EQ(find_category(category.name), &category);
    EXPECT_LE(category.severity, 5);
    EXPECT_FALSE(category.rsit_class.empty());
    EXPECT_FALSE(category.description.empty());
    EXPECT_TRUE(check_category(category.name).has_value());
  }
}

TEST(Categories, TheOnesThatFeedsUseAreThere) {
  for (const std::string_view name :
       {"blacklist", "botnet", "brute-force", "c2-server", "ddos", "exploit", "infected-system",
        "malware-distribution", "other", "phishing", "proxy", "scanner", "spam", "tor",
        "undetermined"}) {
    EXPECT_NE(find_category(name), nullptr) << name;
  }
  EXPECT_EQ(find_category("c2-server")->severity, 5);
  EXPECT_NE(find_category(store::FeedDefinition{}.category), nullptr);
  EXPECT_EQ(find_category("C2-Server"), nullptr);
}

TEST(Categories, SuggestTheNearestName) {
  EXPECT_EQ(nearest_category("phising"), "phishing");
  EXPECT_EQ(nearest_category("bruteforce"), "brute-force");
  EXPECT_EQ(nearest_category("scan"), "scanner");
  EXPECT_EQ(nearest_category("c2"), "c2-server");
  EXPECT_EQ(nearest_category("zzzzzzzzzzzz"), "");
  EXPECT_EQ(nearest_category(""), "");
  EXPECT_EQ(nearest_category(std::string(10000, 'a')), "");
}

TEST(Categories, ErrorNamesTheNearestOrAll) {
  const Status near = check_category("phising");
  ASSERT_FALSE(near.has_value());
  EXPECT_EQ(near.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(near.error().message, "unknown category \"phising\"; did you mean \"phishing\"?");
  const Status far = check_category("zzzzzzzzzzzz");
  ASSERT_FALSE(far.has_value());
  EXPECT_NE(far.error().message.find("known: blacklist, botnet"), std::string::npos);
}

}  // namespace
}  // namespace merlon::feeds
