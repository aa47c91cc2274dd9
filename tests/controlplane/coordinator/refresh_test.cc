// SPDX-License-Identifier: Apache-2.0
#include "tests/controlplane/coordinator/fixture.h"

#include "controlplane/feeds/categories.h"
#include "controlplane/policy/lists.h"

namespace merlon::coordinator {
namespace {

using store::FeedHealth;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Refresh : public CoordinatorTest {
 protected:
  void serve(const std::string& body, const std::string& etag, int status = 200) {
    const std::lock_guard lock(web_.mutex);
    web_.body = body;
    web_.etag = etag;
    web_.status = status;
  }
  std::string validator_sent() {
    const std::lock_guard lock(web_.mutex);
    return web_.last_validator;
  }
  void add_web_feed() { EXPECT_GOOD(coordinator_->add_feed(definition("web", web_.url("/feed")))); }
  size_t listed() { return store_->set_of("web")->v4.size(); }

  WebServer web_;
};

TEST_F(Refresh, GoodContentIsStoredWithItsValidators) {
  serve("45.1.2.3\n45.1.2.4\nrubbish\n", "\"one\"");
  add_web_feed();
  const auto report = coordinator_->refresh_feed("web");
  ASSERT_GOOD(report);
  EXPECT_EQ(report->added, 2u);
  EXPECT_EQ(report->removed, 0u);
  EXPECT_FALSE(report->not_modified);
  EXPECT_EQ(report->state.health, FeedHealth::good);
  EXPECT_EQ(report->state.etag, "\"one\"");
  EXPECT_EQ(report->state.prefix4_count, 2u);
  EXPECT_EQ(report->state.line_count, 3u);
  EXPECT_EQ(report->state.rejected_count, 1u);
  EXPECT_EQ(report->state.last_changed, report->state.last_good);
  EXPECT_GT(report->state.last_good, 1'700'000'000);
  serve("45.1.2.4\n45.1.2.5\n45.1.2.6\n", "\"two\"");
  const auto next = coordinator_->refresh_feed("web");
  ASSERT_GOOD(next);
  EXPECT_EQ(next->added, 2u);
  EXPECT_EQ(next->removed, 1u);
}

TEST_F(Refresh, NotModifiedKeepsTheSetAndRenewsTheFeed) {
  serve("45.1.2.3\n", "\"one\"");
  add_web_feed();
  ASSERT_GOOD(coordinator_->refresh_feed("web"));
  const uint64_t revision = store_->revision();
  const auto again = coordinator_->refresh_feed("web");
  ASSERT_GOOD(again);
  EXPECT_EQ(validator_sent(), "\"one\"");
  EXPECT_TRUE(again->not_modified);
  EXPECT_EQ(again->state.health, FeedHealth::good);
  EXPECT_EQ(again->state.etag, "\"one\"");
  EXPECT_EQ(listed(), 1u);
  EXPECT_EQ(store_->revision(), revision);
}

// A server without validators sends the same again and again: that is no change.
TEST_F(Refresh, SameContentIsNoChange) {
  serve("45.1.2.3\n", "");
  add_web_feed();
  ASSERT_GOOD(coordinator_->refresh_feed("web"));
  const uint64_t revision = store_->revision();
  const auto again = coordinator_->refresh_feed("web");
  ASSERT_GOOD(again);
  EXPECT_EQ(again->added + again->removed, 0u);
  EXPECT_EQ(store_->revision(), revision);
}

TEST_F(Refresh, FailureKeepsTheLastGoodCopyAndItsValidators) {
  serve("45.1.2.3\n", "\"one\"");
  add_web_feed();
  ASSERT_GOOD(coordinator_->refresh_feed("web"));
  const auto good = store_->feed("web")->state;
  serve("", "", 503);
  const auto failed = coordinator_->refresh_feed("web");
  ASSERT_GOOD(failed);
  EXPECT_EQ(failed->state.health, FeedHealth::failed);
  EXPECT_THAT(failed->state.reason, HasSubstr("503"));
  EXPECT_EQ(failed->state.last_good, good.last_good);
  EXPECT_EQ(failed->state.etag, "\"one\"");
  EXPECT_EQ(listed(), 1u);
  EXPECT_EQ(coordinator_->status()->feed_unhealthy_count, 1u);
  serve("45.1.2.3\n", "\"one\"");
  EXPECT_EQ(coordinator_->refresh_feed("web")->state.health, FeedHealth::good);
  EXPECT_EQ(store_->feed("web")->state.reason, "");
}

TEST_F(Refresh, QuarantinedContentIsNeitherAppliedNorRemembered) {
  serve("45.1.2.3\n", "\"good\"");
  add_web_feed();
  ASSERT_GOOD(coordinator_->refresh_feed("web"));
  for (const char* content : {"<html><body>down for maintenance</body></html>", "", "# empty\n",
                              "no\nlist\nof 45.1.2.3 anything\n"}) {
    serve(content, "\"bad\"");
    const auto report = coordinator_->refresh_feed("web");
    ASSERT_GOOD(report);
    EXPECT_EQ(report->state.health, FeedHealth::quarantined) << content;
    EXPECT_NE(report->state.reason, "");
    EXPECT_EQ(report->state.etag, "\"good\"");
    EXPECT_EQ(store_->feed("web")->state.etag, "\"good\"");
    EXPECT_EQ(listed(), 1u);
  }
  // The bad copy is not answered with "not modified" later, as it would be with its validators.
  serve("45.1.2.7\n45.1.2.8\n", "\"bad\"");
  EXPECT_EQ(coordinator_->refresh_feed("web")->state.health, FeedHealth::good);
  EXPECT_EQ(listed(), 2u);
}

TEST_F(Refresh, UnknownFeedIsNotFound) {
  EXPECT_FAILS(coordinator_->refresh_feed("none"), not_found, HasSubstr("none"));
  EXPECT_FAILS(coordinator_->remove_feed("none"), not_found, HasSubstr("none"));
}

TEST_F(Refresh, MissingFileIsAFailureAndAppearsLater) {
  EXPECT_GOOD(coordinator_->add_feed(definition("late", "file://" + feed_path("late"))));
  EXPECT_EQ(coordinator_->refresh_feed("late")->state.health, FeedHealth::failed);
  write_feed("late", "45.1.1.1\n");
  EXPECT_EQ(coordinator_->refresh_feed("late")->state.health, FeedHealth::good);
}

TEST_F(Refresh, FeedsAreFetchedWhenDueAndPublished) {
  EXPECT_GOOD(coordinator_->start());
  add_file_feed("mine", "45.1.2.3\n");
  EXPECT_TRUE(eventually([&] { return !carriers("45.1.2.3").empty(); }));
  EXPECT_THAT(carriers("45.1.2.3"), ElementsAre("basic.merlon.internal.", "mine.merlon.internal.",
                                                "scanner.merlon.internal."));
  EXPECT_GOOD(coordinator_->remove_feed("mine"));
  EXPECT_TRUE(eventually([&] { return carriers("45.1.2.3").empty(); }));
}

TEST_F(Refresh, DisabledFeedIsNotFetchedByItself) {
  auto disabled = definition("off", web_.url("/feed"));
  disabled.enabled = false;
  EXPECT_GOOD(coordinator_->add_feed(disabled));
  EXPECT_GOOD(coordinator_->start());
  add_file_feed("on", "45.1.2.3\n");
  EXPECT_TRUE(eventually([&] { return store_->feed("on")->state.last_good != 0; }));
  EXPECT_EQ(store_->feed("off")->state.last_attempt, 0);
}

TEST_F(Refresh, SlowFeedsDoNotHoldUpTheOthers) {
  for (int i = 0; i < 3; ++i) {
    EXPECT_GOOD(coordinator_->add_feed(
        definition("a-slow" + std::string(1, static_cast<char>('a' + i)), web_.url("/hang"))));
  }
  EXPECT_GOOD(coordinator_->start());
  ASSERT_TRUE(eventually([&] { return web_.hanging == 3; }));
  for (const char* id : {"quick-a", "quick-b", "quick-c"}) {
    add_file_feed(id, "45.1.2.3\n");
  }
  EXPECT_TRUE(eventually([&] {
    return store_->feed("quick-a")->state.last_good != 0 &&
           store_->feed("quick-b")->state.last_good != 0 &&
           store_->feed("quick-c")->state.last_good != 0;
  }));
  EXPECT_EQ(web_.hanging, 3);  // and nobody asks a feed twice at a time
  web_.let_go = true;
  EXPECT_TRUE(eventually([&] { return store_->feed("a-slowa")->state.last_good != 0; }));
}

TEST_F(Refresh, StopDoesNotWaitForAServerThatHangs) {
  EXPECT_GOOD(coordinator_->add_feed(definition("slow", web_.url("/hang"))));
  EXPECT_GOOD(coordinator_->start());
  ASSERT_TRUE(eventually([&] { return web_.hanging == 1; }));
  const auto start = std::chrono::steady_clock::now();
  coordinator_->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - start, 2500ms);
  // Our end says nothing about the feed.
  EXPECT_EQ(store_->feed("slow")->state.health, FeedHealth::never_fetched);
  EXPECT_EQ(store_->feed("slow")->state.last_attempt, 0);
}

TEST_F(Refresh, HistorySurvivesTheRemovalOfTheFeed) {
  publish_feed("mine", "45.1.2.3\n");
  EXPECT_GOOD(coordinator_->remove_feed("mine"));
  const auto report = coordinator_->check("45.1.2.3");
  ASSERT_GOOD(report);
  EXPECT_FALSE(report->listed);
  ASSERT_EQ(report->observations.size(), 1u);
  EXPECT_EQ(report->observations[0].feed, "mine");
}

TEST(Categories, PolicyReservesTheNamesThatFeedsKnow) {
  std::vector<std::string_view> names;
  for (const feeds::Category& category : feeds::categories()) {
    names.push_back(category.name);
  }
  EXPECT_THAT(policy::kCategoryNames, testing::ElementsAreArray(names));
}

}  // namespace
}  // namespace merlon::coordinator
