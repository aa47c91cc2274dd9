// SPDX-License-Identifier: Apache-2.0
// Builds, generations, rollback, restarts.
#include "tests/controlplane/coordinator/fixture.h"

namespace merlon::coordinator {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Build : public CoordinatorTest {
 protected:
  // Long enough for the builder to have built, if it thought that it must.
  void let_the_builder_think() { std::this_thread::sleep_for(300ms); }
  std::vector<std::string> list_names() {
    std::vector<std::string> names;
    const auto lists = coordinator_->lists();
    EXPECT_GOOD(lists);
    for (const api::ListInfo& list : *lists) {
      names.push_back(list.name);
    }
    return names;
  }
  std::string some_segment_of_current() const {
    const auto manifest =
        publisher_->directory().manifest(current(), publisher_->public_key()).value();
    return publisher_->directory().segment_path(manifest.segments.front().hash);
  }
};

TEST_F(Build, NothingIsPublishedAtFirst) {
  EXPECT_FAILS(coordinator_->lists(), not_found, HasSubstr("snapshot build"));
  EXPECT_FAILS(coordinator_->rollback_snapshot(), not_found, HasSubstr("nothing is published"));
  EXPECT_EQ(coordinator_->status()->generation, 0u);
}

TEST_F(Build, UnchangedInputKeepsGenerationAndSerial) {
  EXPECT_EQ(publish_feed("mine", "45.1.2.3\n"), 1u);
  const uint32_t before = serial();
  const auto again = coordinator_->build_snapshot();
  ASSERT_GOOD(again);
  EXPECT_FALSE(again->changed);
  EXPECT_EQ(again->generation, 1u);
  EXPECT_EQ(serial(), before);
}

TEST_F(Build, ChangedContentRaisesGenerationAndSerial) {
  publish_feed("mine", "45.1.2.3\n");
  const uint32_t before = serial();
  EXPECT_EQ(publish_feed("mine", "45.1.2.4\n"), 2u);
  EXPECT_GT(serial(), before);
  EXPECT_THAT(carriers("45.1.2.3"), IsEmpty());
  EXPECT_THAT(carriers("45.1.2.4"), testing::SizeIs(3));
}

TEST_F(Build, ReportAndListsTellWhatWasBuilt) {
  write_feed("mine", "45.1.2.0/24\n45.2.0.0/16\n10.0.0.1\n2600::1\n");
  EXPECT_GOOD(coordinator_->add_feed(definition("mine", "file://" + feed_path("mine"))));
  EXPECT_GOOD(coordinator_->refresh_feed("mine"));
  const auto report = coordinator_->build_snapshot();
  ASSERT_GOOD(report);
  EXPECT_EQ(report->list_count, 3u);  // mine, basic, scanner: one content
  EXPECT_EQ(report->name_count, 3u);
  EXPECT_EQ(report->segments_written, 3u);
  EXPECT_EQ(report->dataplane_error, "");
  const auto list = coordinator_->list("mine");
  ASSERT_GOOD(list);
  EXPECT_EQ(list->kind, "feed");
  EXPECT_EQ(list->address4_count, 257u);
  EXPECT_EQ(list->address6_count, 2u);
  EXPECT_EQ(list->prefix_only_count, 1u);
  EXPECT_EQ(list->protected_prefix_count, 1u);
  EXPECT_THAT(list->feeds, ElementsAre("mine"));
  EXPECT_EQ(coordinator_->list("mine.merlon.internal.")->name, "mine");
  EXPECT_FAILS(coordinator_->list("yours"), not_found, HasSubstr("yours"));
}

// Two /24 side by side are one /23 to the set algebra, and 512 address records to a firewall.
TEST_F(Build, NeighbouringNetworksStayAddressRecords) {
  publish_feed("mine", "45.1.2.0/24\n45.1.3.0/24\n");
  EXPECT_EQ(coordinator_->list("mine")->address4_count, 513u);
  EXPECT_EQ(coordinator_->list("mine")->prefix_only_count, 0u);
}

TEST_F(Build, ChangesAreBuiltByThemselvesWithinTheDelay) {
  EXPECT_GOOD(coordinator_->start());
  EXPECT_EQ(served(), 1u);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_GOOD(coordinator_->add_device(device("edge", "20.1.1.1")));
  EXPECT_TRUE(eventually([&] { return served() == 2; }));
  EXPECT_LT(std::chrono::steady_clock::now() - start, 3s);
  EXPECT_EQ(slot_->get()->access()->view.subjects().size(), 1u);
  EXPECT_GOOD(coordinator_->remove_device("edge"));
  EXPECT_TRUE(eventually([&] { return served() == 3; }));
}

TEST_F(Build, ManyChangesMakeFewBuilds) {
  EXPECT_GOOD(coordinator_->start());
  for (int i = 0; i < 50; ++i) {
    EXPECT_GOOD(coordinator_->add_device(
        device("edge-" + std::to_string(i), "20.1.1." + std::to_string(i))));
  }
  EXPECT_TRUE(eventually([&] { return slot_->get()->access()->view.subjects().size() == 50; }));
  EXPECT_LT(served(), 20u);
}

TEST_F(Build, RollbackServesTheGenerationBeforeAndItsLists) {
  publish_feed("one", "45.1.1.1\n");
  publish_feed("two", "45.2.2.2\n");
  EXPECT_THAT(list_names(), ElementsAre("basic", "one", "scanner", "two"));
  const auto report = coordinator_->rollback_snapshot();
  ASSERT_GOOD(report);
  EXPECT_EQ(report->generation, 1u);
  EXPECT_EQ(report->list_count, 3u);
  EXPECT_EQ(served(), 1u);
  EXPECT_EQ(current(), 1u);
  EXPECT_THAT(list_names(), ElementsAre("basic", "one", "scanner"));
  EXPECT_THAT(carriers("45.2.2.2"), IsEmpty());
  EXPECT_FAILS(coordinator_->rollback_snapshot(), not_found, HasSubstr("before 1"));
  EXPECT_EQ(coordinator_->activate_snapshot(2)->generation, 2u);
  EXPECT_THAT(list_names(), ElementsAre("basic", "one", "scanner", "two"));
  EXPECT_FAILS(coordinator_->activate_snapshot(9), not_found, HasSubstr("9"));
  EXPECT_EQ(served(), 2u);
}

TEST_F(Build, RollbackHoldsUntilSomethingChanges) {
  EXPECT_GOOD(coordinator_->start());
  publish_feed("one", "45.1.1.1\n");
  publish_feed("two", "45.2.2.2\n");
  ASSERT_TRUE(eventually([&] { return served() == current() && current() >= 2; }));
  let_the_builder_think();
  const uint64_t newest = current();
  ASSERT_GOOD(coordinator_->rollback_snapshot());
  const uint64_t old = served();
  ASSERT_LT(old, newest);
  let_the_builder_think();
  EXPECT_EQ(served(), old);
  ASSERT_GOOD(coordinator_->refresh_feed("one"));  // brings nothing new
  let_the_builder_think();
  EXPECT_EQ(served(), old);
  restart();
  let_the_builder_think();
  EXPECT_EQ(served(), old);
  EXPECT_EQ(current(), old);
  EXPECT_GOOD(coordinator_->add_device(device("edge", "20.1.1.1")));
  EXPECT_TRUE(eventually([&] { return served() == newest + 1; }));
  EXPECT_THAT(carriers("45.2.2.2"), testing::Not(IsEmpty()));
}

// A serial that was seen with one content must not come back with another.
TEST_F(Build, SerialsAreNotUsedTwiceAfterARollback) {
  std::vector<uint32_t> serials;
  for (int i = 0; i < 5; ++i) {  // faster than one a second, so ahead of the clock
    publish_feed("mine", "45.1.1." + std::to_string(i) + "\n");
    serials.push_back(serial());
  }
  ASSERT_GOOD(coordinator_->activate_snapshot(1));
  publish_feed("mine", "45.9.9.9\n");
  EXPECT_THAT(serials, testing::Each(testing::Lt(serial())));
}

TEST_F(Build, RestartServesWhatIsInForceWithoutABuild) {
  publish_feed("mine", "45.1.2.3\n");
  restart();
  EXPECT_EQ(served(), 1u);
  EXPECT_EQ(current(), 1u);
  EXPECT_EQ(publisher_->directory().generations()->size(), 1u);
}

TEST_F(Build, RestartBuildsWhatChangedMeanwhile) {
  publish_feed("mine", "45.1.2.3\n");
  EXPECT_GOOD(store_->add_device(device("edge", "20.1.1.1"), 1));
  restart();
  EXPECT_EQ(served(), 2u);
}

// Also within the second in which it was made, when the serial, and so the zone, is the same again.
TEST_F(Build, DamagedSegmentAtStartIsReplacedByABuild) {
  publish_feed("mine", "45.1.2.3\n");
  for (int round = 0; round < 3; ++round) {
    const std::string segment = some_segment_of_current();
    fs::resize_file(segment, fs::file_size(segment) - 1);
    restart();
    EXPECT_NE(served(), 0u);
    EXPECT_EQ(served(), current());
    EXPECT_EQ(coordinator_->status()->last_build_error, "");
    EXPECT_GOOD(coordinator_->verify_snapshot(current()));
    EXPECT_THAT(carriers("45.1.2.3"), testing::SizeIs(3));
  }
}

TEST_F(Build, DamagedCurrentOrManifestAtStartIsReplacedByABuild) {
  publish_feed("mine", "45.1.2.3\n");
  std::ofstream(publisher_->directory().current_path()) << "gibberish";
  restart();
  EXPECT_EQ(served(), 2u);
  EXPECT_EQ(current(), 2u);
  std::ofstream(publisher_->directory().manifest_path(2)) << "gibberish";
  restart();
  EXPECT_EQ(served(), 3u);
  EXPECT_THAT(carriers("45.1.2.3"), testing::SizeIs(3));
}

TEST_F(Build, MissingCatalogueIsWrittenAgainByABuild) {
  publish_feed("mine", "45.1.2.3\n");
  fs::remove(options_.catalogue_path + "/1.json");
  EXPECT_FALSE(coordinator_->lists().has_value());
  std::ofstream(options_.catalogue_path + "/1.json") << "{\"schema_version\":1,\"revision\":\"x\"}";
  EXPECT_FAILS(coordinator_->lists(), corruption, HasSubstr("1.json"));
  ASSERT_GOOD(coordinator_->build_snapshot());
  EXPECT_THAT(list_names(), ElementsAre("basic", "mine", "scanner"));
}

TEST_F(Build, CataloguesGoWithTheirGenerations) {
  close();
  generations_kept_ = 2;
  open();
  std::ofstream(options_.catalogue_path + "/7.json.partial-1-1") << "half";
  std::ofstream(options_.catalogue_path + "/README") << "mine";
  for (int i = 0; i < 5; ++i) {
    publish_feed("mine", "45.1.1." + std::to_string(i) + "\n");
  }
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(options_.catalogue_path)) {
    files.push_back(entry.path().filename().string());
  }
  EXPECT_THAT(files, testing::UnorderedElementsAre("4.json", "5.json", "README"));
}

// What cannot be put in force does not stay behind as a generation, and is tried again.
TEST_F(Build, FailedPublishLeavesTheOldGenerationAndIsTriedAgain) {
  close();
  options_.build_retry_ms = 50;
  open();
  EXPECT_GOOD(coordinator_->start());
  ASSERT_EQ(served(), 1u);
  const std::string aside = options_.catalogue_path + ".aside";
  fs::rename(options_.catalogue_path, aside);
  EXPECT_GOOD(coordinator_->add_device(device("edge", "20.1.1.1")));
  ASSERT_TRUE(eventually([&] { return !coordinator_->status()->last_build_error.empty(); }));
  EXPECT_EQ(served(), 1u);
  EXPECT_EQ(current(), 1u);
  EXPECT_FALSE(coordinator_->build_snapshot().has_value());
  fs::rename(aside, options_.catalogue_path);
  EXPECT_TRUE(eventually([&] { return served() > 1; }));
  EXPECT_EQ(slot_->get()->access()->view.subjects().size(), 1u);
  EXPECT_TRUE(eventually([&] { return coordinator_->status()->last_build_error.empty(); }));
  EXPECT_THAT(publisher_->directory().generations().value(), ElementsAre(1, current()));
}

TEST_F(Build, SnapshotsShowWhatThereIsAndWhichIsCurrent) {
  publish_feed("mine", "45.1.1.1\n");
  publish_feed("mine", "45.1.1.2\n");
  const auto infos = coordinator_->snapshots();
  ASSERT_GOOD(infos);
  ASSERT_EQ(infos->size(), 2u);
  EXPECT_FALSE((*infos)[0].current);
  EXPECT_TRUE((*infos)[1].current);
  EXPECT_EQ((*infos)[1].segment_count, 3u);
  EXPECT_GT((*infos)[1].size_bytes, 0u);
  EXPECT_GT((*infos)[1].created, 1'700'000'000);
}

TEST_F(Build, VerifyReadsEverySegmentAgain) {
  publish_feed("mine", "45.1.1.1\n");
  const auto lines = coordinator_->verify_snapshot(1);
  ASSERT_GOOD(lines);
  EXPECT_THAT(*lines, testing::Contains(HasSubstr("zone merlon.internal.")));
  const std::string segment = some_segment_of_current();
  {
    std::fstream file(segment, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-1, std::ios::end);
    file.put('\x7e');
  }
  EXPECT_FAILS(coordinator_->verify_snapshot(1), corruption, HasSubstr(segment));
  EXPECT_FALSE(coordinator_->verify_snapshot(2).has_value());
}

}  // namespace
}  // namespace merlon::coordinator
