// SPDX-License-Identifier: Apache-2.0
// Accounts through the coordinator: what it hands to the store, and what expires by itself.
#include <ctime>

#include "tests/controlplane/coordinator/fixture.h"

namespace merlon::coordinator {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class CoordinatorAccounts : public CoordinatorTest {
 protected:
  void SetUp() override {
    store::Account account;
    account.name = "acme";
    EXPECT_GOOD(coordinator_->add_account(account));
    EXPECT_GOOD(coordinator_->add_list(list("bad")));
  }
  static store::CustomList list(const std::string& name) {
    store::CustomList made;
    made.account = "acme";
    made.name = name;
    return made;
  }
  static store::Policy policy(const std::string& name) {
    store::Policy made;
    made.account = "acme";
    made.name = name;
    made.lists = {"bad"};
    return made;
  }
  static std::vector<store::CustomEntry> entries(const std::string& value, int64_t expires = 0) {
    std::vector<store::CustomEntry> made(1);
    made[0].value = value;
    made[0].expires = expires;
    return made;
  }
  size_t entry_count() {
    return coordinator_->entries_of("acme", "bad", {.after = "", .limit = 10})->entries.size();
  }
};

TEST_F(CoordinatorAccounts, OperationsReachTheStoreWithTheTime) {
  const int64_t now = std::time(nullptr);
  EXPECT_GE(coordinator_->account("acme")->created, now - 5);
  EXPECT_EQ(coordinator_->accounts()->size(), 1u);
  store::Account account = coordinator_->account("acme").value();
  account.title = "Acme";
  EXPECT_EQ(coordinator_->replace_account(account)->title, "Acme");
  EXPECT_EQ(coordinator_->lists_of("acme")->size(), 1u);
  EXPECT_GE(coordinator_->list_of("acme", "bad")->created, now - 5);
  EXPECT_EQ(
      coordinator_->add_entries("acme", "bad", entries("45.0.0.1"), store::OnFault::apply_nothing)
          ->added,
      1u);
  EXPECT_EQ(entry_count(), 1u);
  EXPECT_GE(coordinator_->add_policy(policy("edge"))->created, now - 5);
  store::Policy replaced = policy("edge");
  replaced.capacity = 7;
  EXPECT_EQ(coordinator_->replace_policy(replaced)->capacity, 7u);
  EXPECT_EQ(coordinator_->policy("acme", "edge")->capacity, 7u);
  EXPECT_EQ(coordinator_->policies_of("acme")->size(), 1u);
  EXPECT_FAILS(coordinator_->remove_list("acme", "bad"), conflict, HasSubstr("edge"));
  EXPECT_GOOD(coordinator_->remove_policy("acme", "edge"));
  const std::vector<std::string> values{"45.0.0.1"};
  EXPECT_EQ(
      coordinator_->remove_entries("acme", "bad", values, store::OnFault::apply_nothing)->removed,
      1u);
  EXPECT_GOOD(coordinator_->remove_list("acme", "bad"));
  EXPECT_GOOD(coordinator_->remove_account("acme", {}));
  EXPECT_TRUE(coordinator_->accounts()->empty());
}

TEST_F(CoordinatorAccounts, EntriesExpireByThemselves) {
  EXPECT_GOOD(coordinator_->start());
  EXPECT_GOOD(coordinator_->add_entries("acme", "bad", entries("45.0.0.1", std::time(nullptr) + 2),
                                        store::OnFault::apply_nothing));
  EXPECT_GOOD(
      coordinator_->add_entries("acme", "bad", entries("45.0.0.2"), store::OnFault::apply_nothing));
  EXPECT_EQ(entry_count(), 2u);
  EXPECT_TRUE(eventually([&] { return entry_count() == 1; }));
  EXPECT_EQ(coordinator_->entries_of("acme", "bad", {})->entries[0].value, "45.0.0.2");
}

// What a change leads to is the build's affair; that it is heard of is this one's.
TEST_F(CoordinatorAccounts, BuilderHearsOfAChange) {
  EXPECT_GOOD(coordinator_->start());
  EXPECT_TRUE(eventually([&] { return coordinator_->activity()->builds == 1; }));
  EXPECT_GOOD(
      coordinator_->add_entries("acme", "bad", entries("45.0.0.1"), store::OnFault::apply_nothing));
  EXPECT_TRUE(eventually([&] { return coordinator_->activity()->builds == 2; }));
}

}  // namespace
}  // namespace merlon::coordinator
