// SPDX-License-Identifier: Apache-2.0
#include "controlplane/policy/profiles.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <tuple>

namespace merlon::policy {
namespace {

TEST(Profiles, DefaultComesFirstAndHasTheEmptyNameToo) {
  const Profile& first = profiles().front();
  EXPECT_EQ(first.name, "default");
  EXPECT_EQ(find_profile("default"), &first);
  EXPECT_EQ(find_profile(""), &first);
  EXPECT_EQ(first.addresses4_per_name, 4000u);
  EXPECT_EQ(first.addresses6_per_name, 2300u);
  EXPECT_EQ(first.capacity, 0u);
}

TEST(Profiles, AreFoundByTheirNamesAlone) {
  std::set<std::string_view> names;
  for (const Profile& profile : profiles()) {
    EXPECT_TRUE(names.insert(profile.name).second) << profile.name;
    EXPECT_EQ(find_profile(profile.name), &profile);
    EXPECT_FALSE(profile.what.empty()) << profile.name;
  }
  EXPECT_TRUE(std::is_sorted(profiles().begin() + 1, profiles().end(),
                             [](const auto& a, const auto& b) { return a.name < b.name; }));
  for (const char* name : {"Default", "bin", "binds", "DEFAULT", " "}) {
    EXPECT_EQ(find_profile(name), nullptr) << name;
  }
}

// A name's message holds 65,535 bytes: 16 an A record, 28 an AAAA record.
TEST(Profiles, NamesFitIntoAMessage) {
  for (const Profile& profile : profiles()) {
    EXPECT_GT(profile.addresses4_per_name, 0u) << profile.name;
    EXPECT_GT(profile.addresses6_per_name, 0u) << profile.name;
    EXPECT_LE(profile.addresses4_per_name, 4000u) << profile.name;
    EXPECT_LE(profile.addresses6_per_name, 2300u) << profile.name;
  }
}

TEST(Profiles, ConsumersWithDocumentedLimitsHaveThem) {
  const std::tuple<const char*, uint32_t, uint32_t> rows[] = {
      {"bind", 100, 100}, {"powerdns", 256, 256}, {"paloalto", 32, 32}, {"musl", 48, 48}};
  for (const auto& [name, v4, v6] : rows) {
    ASSERT_NE(find_profile(name), nullptr) << name;
    EXPECT_EQ(find_profile(name)->addresses4_per_name, v4) << name;
    EXPECT_EQ(find_profile(name)->addresses6_per_name, v6) << name;
  }
  EXPECT_EQ(find_profile("paloalto")->capacity, 50'000u);
}

}  // namespace
}  // namespace merlon::policy
