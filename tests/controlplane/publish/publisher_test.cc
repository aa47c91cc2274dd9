// SPDX-License-Identifier: Apache-2.0
#include "controlplane/publish/publisher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/controlplane/publish/generations.h"
#include "zones/base/file.h"

namespace merlon::publish {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

size_t count_files(const std::string& folder) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder), {}));
}

void overwrite(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::trunc) << text;
}

class PublisherTest : public testing::Test {
 protected:
  Publisher open(size_t kept = 32) {
    auto opened = open_publisher(path(), kept);
    EXPECT_TRUE(opened.has_value()) << (opened ? "" : opened.error().message);
    return std::move(*opened);
  }
  // Writes and puts in force; returns the generation.
  uint64_t publish(Publisher& publisher, uint8_t salt) {
    const Content content(salt);
    const auto written = publisher.write(content.files, 1000 + salt);
    EXPECT_TRUE(written.has_value()) << (written ? "" : written.error().message);
    EXPECT_TRUE(publisher.set_current(written->generation).has_value());
    return written->generation;
  }
  const std::string& path() const { return directory_.path(); }

 private:
  tests::TemporaryDirectory directory_;
};

TEST_F(PublisherTest, WritesSegmentsThenManifestThenCurrent) {
  Publisher publisher = open();
  const Content content(1);
  const auto written = publisher.write(content.files, 1234);
  ASSERT_TRUE(written.has_value()) << written.error().message;
  EXPECT_TRUE(written->changed);
  EXPECT_EQ(written->generation, 1u);
  EXPECT_EQ(written->segments_written, content.files.size());
  EXPECT_EQ(written->segments_reused, 0u);
  EXPECT_EQ(load_current(path()).error().code, ErrorCode::not_found);  // not in force yet
  ASSERT_TRUE(publisher.set_current(1).has_value());
  EXPECT_EQ(load_current(path()).value(), 1u);
  EXPECT_EQ(publisher.directory().manifest(1, publisher.public_key())->created, 1234);
}

TEST_F(PublisherTest, SameSegmentsMakeNoNewGeneration) {
  Publisher publisher = open();
  publish(publisher, 1);
  const auto again = publisher.write(Content(1).files, 9999);
  ASSERT_TRUE(again.has_value());
  EXPECT_FALSE(again->changed);
  EXPECT_EQ(again->generation, 1u);
  EXPECT_EQ(count_files(publisher.directory().manifests_path()), 1u);
}

TEST_F(PublisherTest, WritesOnlyWhatChanged) {
  Publisher publisher = open();
  publish(publisher, 1);
  const Content second(2);
  const auto written = publisher.write(second.files, 1);
  EXPECT_EQ(written->segments_written, 1u);
  EXPECT_EQ(written->segments_reused, second.files.size() - 1);
  Publisher later = open();  // another process finds the files there, too
  const auto reused = later.write(Content(2).files, 1);
  EXPECT_EQ(reused->segments_written, 0u);
}

// After a rollback the numbers go on above the newest, never over a manifest that exists.
TEST_F(PublisherTest, GenerationsGrowAfterARollback) {
  Publisher publisher = open();
  publish(publisher, 1);
  publish(publisher, 2);
  ASSERT_TRUE(publisher.set_current(1).has_value());
  EXPECT_EQ(publish(publisher, 3), 3u);
  EXPECT_THAT(publisher.directory().generations().value(), ElementsAre(1, 2, 3));
}

TEST_F(PublisherTest, CurrentNamesOnlyWhatIsThere) {
  Publisher publisher = open();
  publish(publisher, 1);
  const Status missing = publisher.set_current(7);
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);
  EXPECT_EQ(load_current(path()).value(), 1u);
}

TEST_F(PublisherTest, GenerationInForceIsNotRemoved) {
  Publisher publisher = open();
  publish(publisher, 1);
  publish(publisher, 2);
  EXPECT_EQ(publisher.remove_generation(2).error().code, ErrorCode::conflict);
  EXPECT_TRUE(publisher.remove_generation(1).has_value());
  EXPECT_TRUE(publisher.remove_generation(1).has_value());  // it is gone: that was wanted
  EXPECT_THAT(publisher.directory().generations().value(), ElementsAre(2));
}

TEST_F(PublisherTest, KeepsSoManyGenerationsAndTheOneInForce) {
  Publisher publisher = open(3);
  for (uint8_t salt = 1; salt <= 6; ++salt) {
    publish(publisher, salt);
  }
  ASSERT_TRUE(publisher.set_current(2).has_value());
  ASSERT_TRUE(publisher.clean_up().has_value());
  EXPECT_THAT(publisher.directory().generations().value(), ElementsAre(2, 4, 5, 6));
  // One zone of each generation, and what they share.
  EXPECT_EQ(count_files(publisher.directory().segments_path()), Content(1).files.size() + 3);
  for (const uint64_t generation : {2u, 4u, 5u, 6u}) {
    ASSERT_TRUE(publisher.set_current(generation).has_value());
    EXPECT_EQ(load_current(path()).value(), generation);
  }
}

TEST_F(PublisherTest, FewerGenerationsThanKeptStayAll) {
  Publisher publisher = open(32);
  publish(publisher, 1);
  publish(publisher, 2);
  const size_t segments = count_files(publisher.directory().segments_path());
  ASSERT_TRUE(publisher.clean_up().has_value());
  EXPECT_THAT(publisher.directory().generations().value(), ElementsAre(1, 2));
  EXPECT_EQ(count_files(publisher.directory().segments_path()), segments);
}

TEST_F(PublisherTest, ForeignFilesAmongTheSegmentsStay) {
  Publisher publisher = open(1);
  publish(publisher, 1);
  const std::string notes = publisher.directory().segments_path() + "/notes.seg";
  overwrite(notes, "mine");
  publish(publisher, 2);
  ASSERT_TRUE(publisher.clean_up().has_value());
  EXPECT_TRUE(fs::exists(notes));
}

TEST_F(PublisherTest, UnreadableManifestStopsTheRemovalOfSegments) {
  Publisher publisher = open(2);
  publish(publisher, 1);
  publish(publisher, 2);
  const std::string manifest = publisher.directory().manifest_path(1);
  const auto content = read_file(manifest, 1 << 20).value();
  overwrite(manifest, "half of a");
  const std::string orphan =
      publisher.directory().segment_path(snapshot::ContentHash::of(as_bytes("x")));
  overwrite(orphan, "x");
  ASSERT_TRUE(publisher.clean_up().has_value());
  EXPECT_TRUE(fs::exists(orphan));
  // Readable again, the orphan goes and nothing that a generation needs.
  overwrite(manifest, std::string(as_text(content)));
  ASSERT_TRUE(publisher.clean_up().has_value());
  EXPECT_FALSE(fs::exists(orphan));
  ASSERT_TRUE(publisher.set_current(1).has_value());
  EXPECT_EQ(load_current(path()).value(), 1u);
}

// While nobody knows which generation is in force, none is too old.
TEST_F(PublisherTest, DamagedCurrentStopsRemovalAndIsReplacedByTheNextPublish) {
  Publisher publisher = open(1);
  publish(publisher, 1);
  publish(publisher, 2);
  overwrite(publisher.directory().current_path(), "two\n");
  EXPECT_FALSE(publisher.clean_up().has_value());
  EXPECT_THAT(publisher.directory().generations().value(), ElementsAre(1, 2));
  EXPECT_EQ(publish(publisher, 2), 3u);
  EXPECT_EQ(load_current(path()).value(), 3u);
}

TEST_F(PublisherTest, DamagedSegmentOfAnEarlierProcessIsWrittenAgain) {
  Content content(1);
  {
    Publisher publisher = open();
    publish(publisher, 1);
  }
  const snapshot::Directory directory(path());
  const std::string shorter = directory.segment_path(content.files[0].listed.hash);
  fs::resize_file(shorter, 100);
  const std::string flipped = directory.segment_path(content.files[1].listed.hash);
  {
    std::fstream file(flipped, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(200);
    file.put('\x55').put('\xaa');
  }
  ASSERT_FALSE(load_current(path()).has_value());
  Publisher publisher = open();
  const Content second(2);  // shares both
  const auto written = publisher.write(second.files, 1);
  ASSERT_TRUE(written.has_value()) << written.error().message;
  EXPECT_EQ(written->segments_written, 3u);
  ASSERT_TRUE(publisher.set_current(written->generation).has_value());
  EXPECT_EQ(load_current(path()).value(), 2u);
}

TEST_F(PublisherTest, UnchangedPublishRepairsTheGenerationInForce) {
  Publisher publisher = open();
  publish(publisher, 1);
  fs::remove(publisher.directory().segment_path(Content(1).files[0].listed.hash));
  const auto again = publisher.write(Content(1).files, 1);
  ASSERT_TRUE(again.has_value()) << again.error().message;
  EXPECT_FALSE(again->changed);
  EXPECT_EQ(again->segments_written, 1u);
  EXPECT_EQ(load_current(path()).value(), 1u);
}

TEST_F(PublisherTest, SegmentThatVanishedIsWrittenAgain) {
  Publisher publisher = open();
  publish(publisher, 1);
  fs::remove(publisher.directory().segment_path(Content(1).files[0].listed.hash));
  publish(publisher, 2);
  EXPECT_EQ(load_current(path()).value(), 2u);
}

// The same segments, named by hash alone but for those of this kind.
std::vector<SegmentFile> named_by_hash(const Content& content, snapshot::SegmentKind but_for) {
  std::vector<SegmentFile> files = content.files;
  for (SegmentFile& file : files) {
    if (file.listed.kind != but_for) {
      file.bytes = {};
    }
  }
  return files;
}

TEST_F(PublisherTest, WhatIsHeldNeedsNoBytes) {
  Publisher publisher = open();
  publish(publisher, 1);
  const Content second(2);
  const auto written = publisher.write(named_by_hash(second, snapshot::SegmentKind::zone), 1);
  ASSERT_TRUE(written.has_value()) << written.error().message;
  EXPECT_TRUE(written->changed);
  EXPECT_EQ(written->segments_written, 1u);
  EXPECT_EQ(written->segments_reused, second.files.size() - 1);
  ASSERT_TRUE(publisher.set_current(written->generation).has_value());
  EXPECT_EQ(load_current(path()).value(), 2u);
}

TEST_F(PublisherTest, BytesAreAskedForWhenASegmentIsNotHeld) {
  const Content content(1);
  {
    Publisher publisher = open();
    publish(publisher, 1);
  }
  Publisher next = open();  // has seen nothing yet
  EXPECT_FALSE(next.holds(content.files[0].listed.hash));
  const auto refused = next.write(named_by_hash(content, snapshot::SegmentKind::zone), 1);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_THAT(refused.error().message, HasSubstr("its bytes are not given"));
  EXPECT_EQ(load_current(path()).value(), 1u);
  // After an audit it knows what is there.
  const auto manifest = next.directory().manifest(1, next.public_key());
  ASSERT_TRUE(manifest.has_value());
  EXPECT_EQ(next.audit(manifest->segments), 0u);
  EXPECT_TRUE(next.holds(content.files[0].listed.hash));
  const auto written = next.write(named_by_hash(content, snapshot::SegmentKind::zone), 1);
  ASSERT_TRUE(written.has_value()) << written.error().message;
  EXPECT_FALSE(written->changed);
}

TEST_F(PublisherTest, TrustHoldsWhatTheCallerRead) {
  {
    Publisher publisher = open();
    publish(publisher, 1);
  }
  Publisher publisher = open();
  const auto manifest = publisher.directory().manifest(1, publisher.public_key());
  ASSERT_TRUE(manifest.has_value());
  publisher.trust(manifest->segments);
  for (const snapshot::ManifestSegment& segment : manifest->segments) {
    EXPECT_TRUE(publisher.holds(segment.hash));
  }
}

TEST_F(PublisherTest, AuditForgetsWhatIsDamagedOrGone) {
  Publisher publisher = open();
  publish(publisher, 1);
  const Content content(1);
  const auto manifest = publisher.directory().manifest(1, publisher.public_key());
  ASSERT_TRUE(manifest.has_value());
  EXPECT_EQ(publisher.audit(manifest->segments), 0u);
  const snapshot::ContentHash flipped = content.files[0].listed.hash;
  const snapshot::ContentHash gone = content.files[1].listed.hash;
  auto bytes = read_file(publisher.directory().segment_path(flipped), 1 << 24).value();
  bytes[bytes.size() / 2] ^= 1u;
  overwrite(publisher.directory().segment_path(flipped), std::string(as_text(bytes)));
  fs::remove(publisher.directory().segment_path(gone));
  EXPECT_EQ(publisher.audit(manifest->segments), 2u);
  EXPECT_FALSE(publisher.holds(flipped));
  EXPECT_FALSE(publisher.holds(gone));
  const auto healed = publisher.write(content.files, 1);
  ASSERT_TRUE(healed.has_value()) << healed.error().message;
  EXPECT_EQ(healed->segments_written, 2u);
  EXPECT_FALSE(healed->changed);
  EXPECT_EQ(load_current(path()).value(), 1u);
}

// What clean_up() remembers of manifests that it read before is as good as reading them.
TEST_F(PublisherTest, CleanUpAfterEachPublishKeepsExactlyWhatIsUsed) {
  Publisher publisher = open(2);
  for (uint8_t salt = 1; salt <= 6; ++salt) {
    publish(publisher, salt);
    ASSERT_TRUE(publisher.clean_up().has_value());
    const size_t generations = std::min<size_t>(salt, 2);
    EXPECT_EQ(count_files(publisher.directory().manifests_path()), generations);
    // Each generation has one segment that no other has.
    EXPECT_EQ(count_files(publisher.directory().segments_path()),
              Content(1).files.size() - 1 + generations);
  }
}

TEST_F(PublisherTest, OldGenerationInForceKeepsWhatItUses) {
  Publisher publisher = open(2);
  for (uint8_t salt = 1; salt <= 3; ++salt) {
    publish(publisher, salt);
    ASSERT_TRUE(publisher.clean_up().has_value());
  }
  ASSERT_TRUE(publisher.set_current(2).has_value());
  for (uint8_t salt = 10; salt <= 12; ++salt) {
    ASSERT_TRUE(publisher.write(Content(salt).files, 1).has_value());
    ASSERT_TRUE(publisher.clean_up().has_value());
    EXPECT_EQ(load_current(path()).value(), 2u);
  }
}

TEST_F(PublisherTest, ThreadsStoreSideBySide) {
  Publisher publisher = open();
  const Content content(1);
  std::vector<Written> written(4);
  {
    std::vector<std::jthread> threads;
    for (Written& mine : written) {
      threads.emplace_back([&] {
        for (const SegmentFile& file : content.files) {
          EXPECT_TRUE(publisher.store({file}, mine).has_value());
          EXPECT_TRUE(publisher.holds(file.listed.hash));
        }
      });
    }
  }
  for (const Written& mine : written) {
    EXPECT_EQ(mine.segments_written + mine.segments_reused, content.files.size());
  }
  const auto made = publisher.write(content.files, 1);
  ASSERT_TRUE(made.has_value()) << made.error().message;
  EXPECT_EQ(made->segments_written, 0u);
  ASSERT_TRUE(publisher.set_current(made->generation).has_value());
  EXPECT_EQ(load_current(path()).value(), made->generation);
  EXPECT_EQ(count_files(publisher.directory().segments_path()), content.files.size());
}

TEST_F(PublisherTest, ManySegmentsAtOnceAreAllThere) {
  Publisher publisher = open();
  const Content content(1);
  std::vector<std::vector<uint8_t>> bytes;
  std::vector<SegmentFile> files = content.files;
  for (uint8_t i = 0; i < 40; ++i) {
    snapshot::BodiesBuilder bodies;
    bodies.begin();
    bodies.add({.type = 1, .ttl = 60, .data = std::to_array<uint8_t>({45, 1, 2, i})});
    ASSERT_TRUE(bodies.end().has_value());
    bytes.push_back(bodies.finish());
    files.push_back({.listed = {.kind = snapshot::SegmentKind::bodies,
                                .hash = snapshot::ContentHash::of(bytes.back()),
                                .size_bytes = bytes.back().size(),
                                .apex = {}},
                     .bytes = {}});
  }
  for (size_t i = 0; i < bytes.size(); ++i) {
    files[content.files.size() + i].bytes = bytes[i];
  }
  const auto written = publisher.write(files, 1);
  ASSERT_TRUE(written.has_value()) << written.error().message;
  EXPECT_EQ(written->segments_written, files.size());
  ASSERT_TRUE(publisher.set_current(written->generation).has_value());
  EXPECT_EQ(load_current(path()).value(), written->generation);
  EXPECT_EQ(count_files(publisher.directory().segments_path()), files.size());
}

TEST_F(PublisherTest, OpenRemovesPartialFilesOnly) {
  {
    Publisher publisher = open();
    publish(publisher, 1);
  }
  const snapshot::Directory directory(path());
  const std::vector<std::string> partials = {
      directory.segments_path() + "/abc.seg.partial-12-1",
      directory.manifests_path() + "/2.manifest.partial-12-2", path() + "/current.partial-12-3"};
  for (const std::string& partial : partials) {
    overwrite(partial, "half");
  }
  Publisher publisher = open();
  for (const std::string& partial : partials) {
    EXPECT_FALSE(fs::exists(partial)) << partial;
  }
  EXPECT_EQ(load_current(path()).value(), 1u);
}

TEST_F(PublisherTest, DirectoryThatCannotBeMadeIsAnError) {
  overwrite(path() + "/file", "not a folder");
  const auto opened = open_publisher(path() + "/file/snapshots");
  ASSERT_FALSE(opened.has_value());
  EXPECT_EQ(opened.error().code, ErrorCode::io);
  EXPECT_THAT(opened.error().message, HasSubstr("/file/snapshots"));
}

}  // namespace
}  // namespace merlon::publish
