// SPDX-License-Identifier: Apache-2.0
// Catalog zones: which devices have one, what is in it, what a change compiles, what a restart
// keeps.
#include "tests/controlplane/coordinator/fixture.h"

namespace merlon::coordinator {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class Catalogs : public CoordinatorTest {
 protected:
  void SetUp() override {
    for (const char* account : {"acme", "bolt"}) {
      ASSERT_GOOD(store_->add_account({.name = account, .title = {}}, 1000));
      store::CustomList list;
      list.account = account;
      list.name = "bad";
      ASSERT_GOOD(store_->add_list(list, 1000));
    }
    secondary_ = device("ns", "45.0.0.1");
    secondary_.tsig_algorithm = "hmac-sha256";
    secondary_.tsig_secret = "c2VjcmV0IHNlY3JldCBzZWNyZXQ=";
  }
  void add_policy(const std::string& account, const std::string& name) {
    store::Policy policy;
    policy.account = account;
    policy.name = name;
    policy.kind = store::PolicyKind::dns;
    policy.lists = {"bad"};
    ASSERT_GOOD(store_->add_policy(policy, 1000));
  }
  std::vector<std::string> build() {
    EXPECT_GOOD(coordinator_->build_snapshot());
    std::vector<std::string> apexes;
    for (const auto& zone : slot_->get()->zones()) {
      const std::string apex = name::Name::from_wire(zone->view().apex()).value().to_text();
      if (apex.find(".catalog.") != std::string::npos) {
        apexes.push_back(apex);
      }
    }
    return apexes;
  }
  // Serial and number of members.
  std::vector<std::pair<uint32_t, uint64_t>> published(const std::string& account) {
    std::vector<std::pair<uint32_t, uint64_t>> found;
    for (const api::PolicyZone& zone : coordinator_->published_of(account)->catalogs) {
      found.emplace_back(zone.serial, zone.name_count);
    }
    return found;
  }

  store::Device secondary_;
};

TEST_F(Catalogs, AreOfDevicesThatTransfer) {
  ASSERT_GOOD(coordinator_->add_device(device("plain", "45.0.0.9")));
  add_policy("acme", "one");
  EXPECT_THAT(build(), IsEmpty());
  ASSERT_GOOD(coordinator_->add_device(secondary_));
  EXPECT_THAT(build(), ElementsAre("ns.catalog.acme.merlon.internal."));
  EXPECT_EQ(published("acme").at(0).second, 1u);
  EXPECT_THAT(published("bolt"), IsEmpty());
  store::Device told = store_->device("plain").value();
  told.notify = {"45.0.0.9"};
  ASSERT_GOOD(coordinator_->replace_device(told));
  EXPECT_THAT(build(), ElementsAre("ns.catalog.acme.merlon.internal.",
                                   "plain.catalog.acme.merlon.internal."));
  told.notify.clear();
  ASSERT_GOOD(coordinator_->replace_device(told));
  EXPECT_THAT(build(), ElementsAre("ns.catalog.acme.merlon.internal."));
  ASSERT_GOOD(coordinator_->remove_device("ns"));
  EXPECT_THAT(build(), IsEmpty());
  EXPECT_THAT(published("acme"), IsEmpty());
}

TEST_F(Catalogs, FollowThePoliciesOfTheirAccountAlone) {
  ASSERT_GOOD(coordinator_->add_device(secondary_));
  build();
  const auto empty = published("acme").at(0);
  EXPECT_EQ(empty.second, 0u);
  add_policy("bolt", "theirs");
  build();
  EXPECT_EQ(published("acme").at(0), empty);
  add_policy("acme", "one");
  add_policy("acme", "two");
  build();
  const auto two = published("acme").at(0);
  EXPECT_EQ(two.second, 2u);
  EXPECT_GT(two.first, empty.first);
  ASSERT_GOOD(coordinator_->remove_policy("acme", "one"));
  build();
  EXPECT_EQ(published("acme").at(0).second, 1u);
  // The account's zone comes with the first address that is listed.
  const std::array<store::CustomEntry, 1> entries{
      store::CustomEntry{.value = "45.9.9.9", .comment = {}, .created = 0, .expires = 0}};
  ASSERT_GOOD(coordinator_->add_entries("acme", "bad", entries, store::OnFault::apply_nothing));
  build();
  EXPECT_EQ(published("acme").at(0).second, 2u);
  ASSERT_GOOD(coordinator_->remove_account("acme", {.with_contents = true}));
  EXPECT_THAT(build(), IsEmpty());
}

TEST_F(Catalogs, KeepTheirSerialsOverARestart) {
  ASSERT_GOOD(coordinator_->add_device(secondary_));
  add_policy("acme", "one");
  build();
  const auto before = published("acme");
  restart();
  EXPECT_THAT(build(), ElementsAre("ns.catalog.acme.merlon.internal."));
  EXPECT_EQ(published("acme"), before);
}

}  // namespace
}  // namespace merlon::coordinator
