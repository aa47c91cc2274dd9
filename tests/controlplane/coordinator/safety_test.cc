// SPDX-License-Identifier: Apache-2.0
#include "tests/controlplane/coordinator/fixture.h"

namespace merlon::coordinator {
namespace {

using store::FeedHealth;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class Safety : public CoordinatorTest {
 protected:
  static std::string addresses(unsigned first, unsigned count) {
    std::string text;
    for (unsigned i = first; i < first + count; ++i) {
      text += fmt::format("45.{}.{}.{}\n", 10 + i / 62'500, i / 250 % 250, i % 250);
    }
    return text;
  }
  void reopen() {
    close();
    open();
  }
};

TEST_F(Safety, ProtectedAddressesReachNoListAndTheReportSaysSo) {
  ASSERT_GOOD(coordinator_->add_device(device("fw1", "45.9.9.9/32")));
  publish_feed("bad", "8.8.8.8\n127.0.0.1\n10.0.0.0/8\n45.9.9.9\n45.1.2.3\n");
  for (const char* value : {"8.8.8.8", "127.0.0.1", "10.1.2.3", "45.9.9.9"}) {
    EXPECT_THAT(carriers(value), IsEmpty()) << value;
    EXPECT_NE(coordinator_->check(value)->protected_by, "") << value;
  }
  EXPECT_THAT(carriers("45.1.2.3"), Not(IsEmpty()));
  const auto report = coordinator_->feed_safety("bad");
  ASSERT_GOOD(report);
  EXPECT_EQ(report->taken_out4, 4u);
  EXPECT_EQ(report->examples.front().entry, "8.8.8.8");
  EXPECT_EQ(report->trust, 100 - 60);
  publish_feed("good", "45.1.2.4\n");
  EXPECT_EQ(coordinator_->feed_safety("good")->trust, 100);
  EXPECT_FAILS(coordinator_->feed_safety("none"), not_found, HasSubstr("none"));
}

TEST_F(Safety, ADevicesAddressLeavesTheListsWithItAndReturnsWithoutIt) {
  publish_feed("web", "45.9.9.9\n45.1.2.3\n");
  EXPECT_THAT(carriers("45.9.9.9"), Not(IsEmpty()));
  ASSERT_GOOD(coordinator_->add_device(device("fw1", "45.9.9.9/32")));
  ASSERT_GOOD(coordinator_->build_snapshot());
  EXPECT_THAT(carriers("45.9.9.9"), IsEmpty());
  ASSERT_GOOD(coordinator_->remove_device("fw1"));
  ASSERT_GOOD(coordinator_->build_snapshot());
  EXPECT_THAT(carriers("45.9.9.9"), Not(IsEmpty()));
}

// A customer takes a whole network out of its own lists, not out of everybody's.
TEST_F(Safety, AWideDeviceNetworkStaysInTheSharedLists) {
  publish_feed("web", "45.9.9.9\n45.1.2.3\n");
  ASSERT_GOOD(coordinator_->add_device(device("fw1", "45.0.0.0/8")));
  ASSERT_GOOD(coordinator_->build_snapshot());
  EXPECT_THAT(carriers("45.9.9.9"), Not(IsEmpty()));
}

TEST_F(Safety, TheOperatorsFileIsTakenOverWhenItChanges) {
  write_feed("allow", "45.1.2.3\n");
  options_.net.allow_files = {feed_path("allow")};
  reopen();
  ASSERT_GOOD(coordinator_->start());
  publish_feed("web", "45.1.2.3\n45.1.2.4\n");
  EXPECT_THAT(carriers("45.1.2.3"), IsEmpty());
  EXPECT_THAT(carriers("45.1.2.4"), Not(IsEmpty()));
  write_feed("allow", "45.1.2.0/24\n");
  EXPECT_TRUE(eventually([&] { return carriers("45.1.2.4").empty(); }));
  write_feed("allow", "rubbish in here\n");  // is not taken over
  std::this_thread::sleep_for(100ms);
  EXPECT_THAT(carriers("45.1.2.4"), IsEmpty());
}

TEST_F(Safety, AMissingFileOfTheNetIsAnErrorAtTheStart) {
  options_.net.allow_files = {feed_path("allow")};
  reopen();
  EXPECT_FAILS(coordinator_->start(), not_found, HasSubstr("safety net: allow file"));
}

TEST_F(Safety, DoubtedContentWaitsForAcceptWhichTakesItOnce) {
  options_.held_path = directory_.path() + "/held";
  std::filesystem::create_directories(options_.held_path);
  reopen();
  publish_feed("web", addresses(0, 1000));
  write_feed("web", addresses(0, 100));
  const auto doubted = coordinator_->refresh_feed("web");
  ASSERT_GOOD(doubted);
  EXPECT_EQ(doubted->state.health, FeedHealth::quarantined);
  EXPECT_THAT(doubted->state.reason, HasSubstr("shrank from 1000 entries to 100"));
  EXPECT_EQ(store_->set_of("web")->v4.size(), 1000u);
  EXPECT_THAT(coordinator_->feed_safety("web")->held_reason, HasSubstr("shrank"));
  const auto accepted = coordinator_->accept_feed("web");
  ASSERT_GOOD(accepted);
  EXPECT_EQ(accepted->removed, 900u);
  EXPECT_EQ(accepted->state.health, FeedHealth::good);
  EXPECT_EQ(store_->set_of("web")->v4.size(), 100u);
  EXPECT_FAILS(coordinator_->accept_feed("web"), conflict, HasSubstr("no content in quarantine"));
  EXPECT_EQ(coordinator_->refresh_feed("web")->state.health, FeedHealth::good);
  EXPECT_FALSE(std::filesystem::exists(options_.held_path + "/web"));
}

TEST_F(Safety, NothingReadableCannotBeAccepted) {
  options_.held_path = directory_.path() + "/held";
  std::filesystem::create_directories(options_.held_path);
  reopen();
  publish_feed("web", addresses(0, 10));
  write_feed("web", "<html><title>Sign in</title></html>\n");
  ASSERT_GOOD(coordinator_->refresh_feed("web"));
  EXPECT_FAILS(coordinator_->accept_feed("web"), unsupported, HasSubstr("nothing in it"));
  EXPECT_EQ(store_->set_of("web")->v4.size(), 10u);
  EXPECT_FAILS(coordinator_->accept_feed("none"), not_found, HasSubstr("none"));
}

TEST_F(Safety, ContentThatBecomesAnotherFeedsIsDoubtedUnlessItCopiesIt) {
  publish_feed("one", addresses(0, 500));
  publish_feed("two", addresses(1000, 500));
  write_feed("two", addresses(0, 500));
  const auto doubted = coordinator_->refresh_feed("two");
  ASSERT_GOOD(doubted);
  EXPECT_EQ(doubted->state.health, FeedHealth::quarantined);
  EXPECT_THAT(doubted->state.reason, HasSubstr("exactly what feed one lists"));
  publish_feed("three", addresses(0, 500));  // from its beginning: noted, and taken
  EXPECT_EQ(store_->feed("three")->state.health, FeedHealth::good);
  EXPECT_EQ(coordinator_->feed_safety("three")->same_as, "one");
}

TEST_F(Safety, AFeedThatIsRemovedIsForgottenByTheGuard) {
  publish_feed("web", addresses(0, 1000));
  ASSERT_GOOD(coordinator_->remove_feed("web"));
  publish_feed("web", addresses(0, 100));
  EXPECT_EQ(store_->feed("web")->state.health, FeedHealth::good);
}

}  // namespace
}  // namespace merlon::coordinator
