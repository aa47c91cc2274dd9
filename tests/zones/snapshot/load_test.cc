// SPDX-License-Identifier: Apache-2.0
// Whole generations from a directory: what is shared, what is refused, and that a refusal leaves
// the snapshot before it answering.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/support/segment_edit.h"
#include "tests/support/snapshot_fixture.h"
#include "zones/address/address.h"
#include "zones/answer/answer.h"
#include "zones/base/file.h"
#include "zones/snapshot/snapshot.h"

namespace merlon::snapshot {
namespace {

using testing::HasSubstr;

std::string answer_from(const Snapshot& snapshot, std::string_view name) {
  const std::vector<uint8_t> message = tests::make_query({.name = name});
  const uint32_t subject = snapshot.access()->view.find(*address::parse_address("192.0.2.10"));
  answer::Query query;
  return std::string(
      to_string(answer::answer(snapshot, message, &snapshot.subject(subject), {}, query).outcome));
}

class Load : public testing::Test {
 protected:
  static tests::Fixture small(const tests::FixtureOptions& options) {
    tests::FixtureOptions reduced = options;
    reduced.basic_count = 20;
    reduced.basic1_count = 5;
    return tests::make_fixture(reduced);
  }

  void SetUp() override {
    ASSERT_TRUE(first_.write_directory(folder_.path(), 1, key_).has_value());
    auto loaded = load(1, nullptr);
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    before_ = *loaded;
  }

  Result<std::shared_ptr<const Snapshot>> load(uint64_t generation, const Snapshot* before) {
    const auto manifest = directory_.manifest(generation, key_.public_key);
    if (!manifest) {
      return std::unexpected(manifest.error());
    }
    return Snapshot::load(directory_, *manifest, index_key_, before);
  }

  // Refused beside the old generation and cold, with the same words; the old one still answers.
  void expect_refused(uint64_t generation, const std::string& text) {
    for (const Snapshot* before : {static_cast<const Snapshot*>(nullptr), before_.get()}) {
      const auto loaded = load(generation, before);
      ASSERT_FALSE(loaded.has_value());
      EXPECT_THAT(loaded.error().message, HasSubstr(text));
    }
    EXPECT_EQ(answer_from(*before_, "tiny.merlon.internal."), "answered");
    EXPECT_EQ(answer_from(*before_, "gone.merlon.internal."), "nxdomain");
  }

  std::string path_of(const tests::FixtureSegment& segment) const {
    return directory_.segment_path(segment.hash());
  }

  void write_manifest(const Manifest& manifest) {
    ASSERT_TRUE(write_file_durably(directory_.manifest_path(manifest.generation),
                                   as_bytes(manifest.render(key_)))
                    .has_value());
  }

  tests::TemporaryDirectory folder_;
  Directory directory_{folder_.path()};
  SigningKey key_ = tests::fixed_signing_key();
  IndexKey index_key_ = IndexKey::random();
  tests::Fixture first_ = small({});
  tests::Fixture second_ = small({.salt = 9});
  std::shared_ptr<const Snapshot> before_;
};

// Who has made bodies himself need not read them again: here they are not even on disk any more.
TEST_F(Load, BodiesThatTheCallerHasMadeAreTakenFromMemory) {
  const auto manifest = directory_.manifest(1, key_.public_key).value();
  BodiesByHash made;
  size_t others = 0;
  for (const tests::FixtureSegment& segment : first_.segments) {
    if (segment.kind != SegmentKind::bodies) {
      ++others;
      continue;
    }
    made[segment.hash()] = LoadedBodies::make(Segment::from_bytes(segment.bytes).value()).value();
    std::filesystem::remove(path_of(segment));
  }
  ASSERT_GT(made.size(), 0u);
  ASSERT_GT(others, 0u);
  EXPECT_FALSE(Snapshot::load(directory_, manifest, index_key_, nullptr).has_value());
  for (const unsigned threads : {1u, 2u}) {
    const auto loaded = Snapshot::load(directory_, manifest, index_key_, nullptr,
                                       {.threads = threads, .made = &made});
    ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
    EXPECT_EQ((*loaded)->size_bytes(), before_->size_bytes());
    EXPECT_EQ((*loaded)->address_count(), before_->address_count());
    EXPECT_EQ(answer_from(**loaded, "tiny.merlon.internal."), "answered");
  }
}

TEST_F(Load, AnswersFromDisk) {
  EXPECT_EQ(before_->generation(), 1u);
  EXPECT_EQ(before_->zones().size(), 4u);
  uint64_t size = 0;
  for (const tests::FixtureSegment& segment : first_.segments) {
    size += segment.bytes.size();
  }
  EXPECT_EQ(before_->size_bytes(), size);
  EXPECT_EQ(answer_from(*before_, "basic.merlon.internal."), "answered");
  EXPECT_EQ(answer_from(*before_, "block.acme.merlon.internal."), "truncated");
}

TEST_F(Load, SharesWhatDidNotChange) {
  ASSERT_TRUE(second_.write_directory(folder_.path(), 2, key_).has_value());
  const auto after = load(2, before_.get());
  ASSERT_TRUE(after.has_value()) << after.error().message;
  ASSERT_EQ((*after)->zones().size(), before_->zones().size());
  size_t shared = 0;
  for (size_t i = 0; i < before_->zones().size(); ++i) {
    shared += (*after)->zones()[i] == before_->zones()[i] ? 1u : 0u;
  }
  EXPECT_EQ(shared, 3u) << "all zones but acme";
  EXPECT_EQ((*after)->access(), before_->access());
  for (const auto& zone : (*after)->zones()) {
    for (const auto& bodies : zone->bodies()) {
      EXPECT_EQ(bodies, before_->zones()[1]->bodies().empty() ? before_->zones()[0]->bodies()[0]
                                                              : before_->zones()[1]->bodies()[0]);
    }
  }
  EXPECT_EQ((*after)->size_bytes(), before_->size_bytes());
}

TEST_F(Load, SharedPartsOutliveTheirFirstGeneration) {
  ASSERT_TRUE(second_.write_directory(folder_.path(), 2, key_).has_value());
  auto after = load(2, before_.get());
  before_.reset();
  EXPECT_EQ(answer_from(**after, "basic.merlon.internal."), "answered");
  EXPECT_EQ(answer_from(**after, "small.merlon.internal."), "answered");
}

TEST_F(Load, IndexOfAnotherKeyIsNotShared) {
  const auto manifest = directory_.manifest(1, key_.public_key);
  const auto again = Snapshot::load(directory_, *manifest, IndexKey::random(), before_.get());
  ASSERT_TRUE(again.has_value());
  EXPECT_NE((*again)->zones()[0], before_->zones()[0]);
  EXPECT_EQ(answer_from(**again, "tiny.merlon.internal."), "answered");
}

TEST_F(Load, DamagedSegmentIsNamedWithFileSectionAndOffset) {
  ASSERT_TRUE(second_.write_directory(folder_.path(), 2, key_).has_value());
  const tests::FixtureSegment& acme = second_.segment(SegmentKind::zone, "acme.merlon.internal.");
  std::vector<uint8_t> bad = acme.bytes;
  const auto segment = Segment::from_bytes(bad);
  const uint64_t at = segment->offset_of(SectionKind::nodes);
  bad[at] ^= 1;
  ASSERT_TRUE(write_file_durably(path_of(acme), bad).has_value());
  expect_refused(2,
                 fmt::format("load generation 2: {}: section NODES at offset {}: checksum differs",
                             path_of(acme), at));
}

TEST_F(Load, SegmentCutShortOrGrown) {
  ASSERT_TRUE(second_.write_directory(folder_.path(), 2, key_).has_value());
  const tests::FixtureSegment& acme = second_.segment(SegmentKind::zone, "acme.merlon.internal.");
  for (const int64_t change : {-1, 1}) {
    std::vector<uint8_t> bad = acme.bytes;
    bad.resize(bad.size() + static_cast<size_t>(change));
    ASSERT_TRUE(write_file_durably(path_of(acme), bad).has_value());
    expect_refused(2, fmt::format("{}: has {} bytes, the manifest says {}", path_of(acme),
                                  bad.size(), acme.bytes.size()));
  }
}

TEST_F(Load, ManifestThatLiesAboutASize) {
  Manifest manifest = first_.manifest(2);
  manifest.segments.back().size_bytes += 1;
  write_manifest(manifest);
  expect_refused(2, fmt::format("the manifest says {}", manifest.segments.back().size_bytes));
}

TEST_F(Load, FileUnderAnothersName) {
  ASSERT_TRUE(second_.write_directory(folder_.path(), 2, key_).has_value());
  const tests::FixtureSegment& acme = second_.segment(SegmentKind::zone, "acme.merlon.internal.");
  // The first generation's zone of the same size, under the second one's name.
  const tests::FixtureSegment& old = first_.segment(SegmentKind::zone, "acme.merlon.internal.");
  ASSERT_EQ(old.bytes.size(), acme.bytes.size());
  ASSERT_TRUE(write_file_durably(path_of(acme), old.bytes).has_value());
  expect_refused(2, fmt::format("{}: content hash is {}, the name and manifest say {}",
                                path_of(acme), old.hash().to_text(), acme.hash().to_text()));
}

TEST_F(Load, SegmentFileIsMissing) {
  ASSERT_TRUE(second_.write_directory(folder_.path(), 2, key_).has_value());
  const tests::FixtureSegment& acme = second_.segment(SegmentKind::zone, "acme.merlon.internal.");
  std::filesystem::remove(path_of(acme));
  expect_refused(2, "open " + path_of(acme));
}

TEST_F(Load, BodiesThatAZoneNeedsAreNotInTheManifest) {
  Manifest manifest = first_.manifest(2);
  ASSERT_EQ(manifest.segments[0].kind, SegmentKind::bodies);
  const std::string hash = manifest.segments[0].hash.to_text();
  manifest.segments.erase(manifest.segments.begin());
  write_manifest(manifest);
  expect_refused(2, fmt::format("section DEPENDENCIES: segment {} is not in the manifest", hash));
}

TEST_F(Load, ManifestNamesAnotherApex) {
  Manifest manifest = first_.manifest(2);
  for (ManifestSegment& segment : manifest.segments) {
    if (segment.apex == *name::Name::from_text("ops.internal.")) {
      segment.apex = *name::Name::from_text("ops.example.");
    }
  }
  manifest.normalise();
  write_manifest(manifest);
  expect_refused(2, "apex is ops.internal., the manifest says ops.example.");
}

TEST_F(Load, ManifestNamesAnotherKind) {
  Manifest manifest = first_.manifest(2);
  ManifestSegment& access = manifest.segments.back();
  ManifestSegment& bodies = manifest.segments.front();
  ASSERT_EQ(access.kind, SegmentKind::access);
  std::swap(access.hash, bodies.hash);
  std::swap(access.size_bytes, bodies.size_bytes);
  write_manifest(manifest);
  expect_refused(2, "header at offset 12: kind is access, not bodies");
}

TEST_F(Load, TwoZonesForOneApex) {
  Manifest manifest = first_.manifest(2);
  const tests::FixtureSegment& other = second_.segment(SegmentKind::zone, "acme.merlon.internal.");
  ASSERT_TRUE(second_.write_directory(folder_.path(), 3, key_).has_value());
  manifest.segments.push_back({other.kind, other.hash(), other.bytes.size(), other.apex});
  manifest.normalise();
  write_manifest(manifest);
  expect_refused(2, "load generation 2: two zones for acme.merlon.internal.");
}

TEST_F(Load, DamagedManifest) {
  ASSERT_TRUE(second_.write_directory(folder_.path(), 2, key_).has_value());
  auto text = read_file(directory_.manifest_path(2), 1 << 20);
  (*text)[20] ^= 1;
  ASSERT_TRUE(write_file_durably(directory_.manifest_path(2), *text).has_value());
  expect_refused(2, directory_.manifest_path(2) + ": manifest line ");
}

TEST_F(Load, RollBackIsALoadOfTheOlderGeneration) {
  ASSERT_TRUE(second_.write_directory(folder_.path(), 2, key_).has_value());
  const auto after = load(2, before_.get());
  const auto back = load(1, after->get());
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ((*back)->generation(), 1u);
  EXPECT_EQ((*back)->access(), before_->access());
}

TEST(Assemble, NeedsAnAccessSegment) {
  const auto snapshot = Snapshot::assemble(1, {}, nullptr, tests::fixed_index_key());
  EXPECT_EQ(snapshot.error().message, "no access segment");
}

TEST(FindZone, TakesTheLongestApex) {
  const tests::Fixture fixture = tests::make_fixture({.basic_count = 1, .basic1_count = 1});
  struct Row {
    const char* name;
    const char* apex;
  };
  for (const Row& row : {Row{"x.acme.merlon.internal.", "acme.merlon.internal."},
                         Row{"acme.merlon.internal.", "acme.merlon.internal."},
                         Row{"xacme.merlon.internal.", "merlon.internal."},
                         Row{"merlon.internal.", "merlon.internal."}, Row{"internal.", ""},
                         Row{".", ""}, Row{"merlon.internal.x.", ""}}) {
    answer::Query query;
    answer::Outcome outcome;
    answer::parse_query(tests::make_query({.name = row.name}), query, outcome);
    const LoadedZone* zone = fixture.snapshot->find_zone(
        query.folded_qname(), query.label_offsets.data(), query.label_count);
    const std::string apex =
        zone == nullptr ? "" : name::Name::from_wire(zone->view().apex())->to_text();
    EXPECT_EQ(apex, row.apex) << row.name;
  }
}

}  // namespace
}  // namespace merlon::snapshot
