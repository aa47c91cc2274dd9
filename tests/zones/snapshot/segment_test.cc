// SPDX-License-Identifier: Apache-2.0
#include "zones/snapshot/segment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>

#include "tests/support/segment_edit.h"
#include "tests/support/snapshot_fixture.h"
#include "zones/base/file.h"
#include "zones/snapshot/access.h"
#include "zones/snapshot/zone.h"

namespace merlon::snapshot {
namespace {

using Buffer = std::vector<uint8_t>;
using testing::HasSubstr;
using testing::StartsWith;

// Small, so that every byte can be damaged.
const tests::Fixture& fixture() {
  static const tests::Fixture shared = tests::make_fixture({.basic_count = 3, .basic1_count = 2});
  return shared;
}

std::string error_of(Bytes bytes) {
  const auto segment = Segment::from_bytes(bytes);
  if (!segment) {
    EXPECT_TRUE(segment.error().code == ErrorCode::corruption ||
                segment.error().code == ErrorCode::unsupported);
  }
  return segment ? "" : segment.error().message;
}

TEST(Segment, ReadsWhatWasWritten) {
  SegmentBuilder builder(SegmentKind::access);
  builder.add(SectionKind::subjects, {1, 2, 3});
  builder.add(SectionKind::sources4, {});
  builder.add(SectionKind::sources6, {4});
  const auto segment = Segment::from_bytes(builder.finish());
  ASSERT_TRUE(segment.has_value()) << segment.error().message;
  EXPECT_EQ(segment->kind(), SegmentKind::access);
  EXPECT_EQ(to_hex(segment->section(SectionKind::subjects)), "010203");
  EXPECT_TRUE(segment->has(SectionKind::sources4));
  EXPECT_TRUE(segment->section(SectionKind::sources4).empty());
  EXPECT_EQ(to_hex(segment->section(SectionKind::sources6)), "04");
  EXPECT_FALSE(segment->has(SectionKind::nodes));
  EXPECT_EQ(segment->offset_of(SectionKind::subjects) % kSectionAlignment, 0u);
}

TEST(Segment, NewSectionKindsFrom0x8000OnAreIgnored) {
  SegmentBuilder builder(SegmentKind::access);
  builder.add(SectionKind::subjects, {});
  builder.add(SectionKind{0x8001}, {7});
  EXPECT_EQ(error_of(builder.finish()), "");
}

TEST(SegmentCorruption, EveryByteOfHeaderAndTable) {
  for (const tests::FixtureSegment& good : fixture().segments) {
    const auto segment = Segment::from_bytes(good.bytes);
    const size_t end = 64 + segment->sections().size() * sizeof(SectionEntry);
    for (size_t at = 0; at < end; ++at) {
      Buffer bad = good.bytes;
      bad[at] ^= 0x01;
      const std::string error = error_of(bad);
      EXPECT_THAT(error, StartsWith("header at offset ")) << at;
      EXPECT_THAT(error, HasSubstr("offset")) << at;
    }
  }
}

TEST(SegmentCorruption, EverySectionAndItsOffsetAreNamed) {
  for (const tests::FixtureSegment& good : fixture().segments) {
    const auto segment = Segment::from_bytes(good.bytes);
    for (const SectionEntry& entry : segment->sections()) {
      for (const uint64_t at : {uint64_t{0}, entry.size / 2, entry.size - 1}) {
        if (entry.size == 0) {
          continue;
        }
        Buffer bad = good.bytes;
        bad[entry.offset + at] ^= 0x80;
        EXPECT_EQ(
            error_of(bad),
            fmt::format("section {} at offset {}: checksum differs ({} bytes damaged or changed)",
                        to_string(SectionKind{entry.kind}), entry.offset, entry.size));
      }
    }
  }
}

TEST(SegmentCorruption, EveryByteOfASmallSegment) {
  const Buffer& good = fixture().segment(SegmentKind::zone, "zeta.merlon.internal.").bytes;
  ASSERT_EQ(error_of(good), "");
  for (size_t at = 0; at < good.size(); ++at) {
    Buffer bad = good;
    bad[at] = static_cast<uint8_t>(~bad[at]);
    EXPECT_NE(error_of(bad), "") << at;
  }
}

TEST(SegmentCorruption, TruncationAtEveryLength) {
  const Buffer& good = fixture().segment(SegmentKind::zone, "zeta.merlon.internal.").bytes;
  for (size_t size = 0; size < good.size(); ++size) {
    const std::string error = error_of(Bytes(good).first(size));
    EXPECT_EQ(error, size < 64 ? fmt::format(
                                     "header at offset 0: {} bytes are too few for a segment", size)
                               : fmt::format("header at offset 16: says {} bytes, the file has {}",
                                             good.size(), size));
    // A liar who also patches size and checksums must not get further.
    Buffer bad(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size));
    if (size >= 64) {
      const uint64_t lie = size;
      std::memcpy(bad.data() + 16, &lie, sizeof lie);
      tests::fix_checksums(bad);
      EXPECT_NE(error_of(bad), "") << size;
    }
  }
}

struct ContainerRow {
  const char* description;
  void (*edit)(Buffer&);
  const char* error;
};

template <class T>
void put(Buffer& bytes, size_t at, T value) {
  std::memcpy(&bytes.at(at), &value, sizeof value);
}

// Header fields at 0..63, table from 64 on: three sections of the access segment.
const ContainerRow kContainerRows[] = {
    {"magic", [](Buffer& b) { b[6] = '\n'; },
     "header at offset 0: not a Merlon segment (bad magic)"},
    {"major version", [](Buffer& b) { b[8] = 2; },
     "header at offset 8: segment version 2.1, this program reads 1.x"},
    {"minor version is no reason to refuse", [](Buffer& b) { b[10] = 9; }, ""},
    {"segment kind", [](Buffer& b) { b[12] = 5; }, "header at offset 12: unknown segment kind 5"},
    {"file size", [](Buffer& b) { put<uint64_t>(b, 16, b.size() + 1); },
     "header at offset 16: says 257 bytes, the file has 256"},
    {"no section", [](Buffer& b) { put<uint32_t>(b, 24, 0); },
     "header at offset 24: section count 0"},
    {"65 sections", [](Buffer& b) { put<uint32_t>(b, 24, 65); },
     "header at offset 24: section count 65"},
    {"section count that overflows", [](Buffer& b) { put<uint32_t>(b, 24, UINT32_MAX); },
     "header at offset 24: section count 4294967295"},
    {"table larger than the file", [](Buffer& b) { put<uint32_t>(b, 24, 7); },
     "header at offset 24: section count 7"},
    {"reserved field", [](Buffer& b) { b[28] = 1; },
     "header at offset 28: reserved bytes are not zero"},
    {"reserved tail", [](Buffer& b) { b[63] = 1; },
     "header at offset 28: reserved bytes are not zero"},
    {"section kind unknown", [](Buffer& b) { b[64] = 31; },
     "section table at offset 64: unexpected section kind 31"},
    {"section kind of another segment", [](Buffer& b) { b[64] = 1; },
     "section table at offset 64: unexpected section kind 1"},
    {"section kind zero", [](Buffer& b) { b[64] = 0; },
     "section table at offset 64: unexpected section kind 0"},
    {"section twice", [](Buffer& b) { b[96] = 32; },
     "section table at offset 96: unexpected section kind 32"},
    {"reserved in the table", [](Buffer& b) { b[68] = 1; },
     "section table at offset 64: unexpected section kind 32"},
    {"offset inside the table", [](Buffer& b) { put<uint64_t>(b, 72, 128); },
     "section table at offset 64: section SUBJECTS at 128 with 3 bytes is out of place"},
    {"offset far away", [](Buffer& b) { put<uint64_t>(b, 72, UINT64_MAX); },
     "section table at offset 64: section SUBJECTS at 18446744073709551615 with 3 bytes is out of "
     "place"},
    {"size past the file", [](Buffer& b) { put<uint64_t>(b, 80, UINT64_MAX); },
     "section table at offset 64: section SUBJECTS at 192 with 18446744073709551615 bytes is out "
     "of place"},
    {"padding", [](Buffer& b) { b[170] = 1; }, "padding at offset 160: not zero"},
};

TEST(SegmentCorruption, ContainerFieldsWithGoodChecksums) {
  SegmentBuilder builder(SegmentKind::access);
  builder.add(SectionKind::subjects, {1, 2, 3});
  builder.add(SectionKind::sources4, {});
  builder.add(SectionKind::sources6, {});
  const Buffer good = builder.finish();
  ASSERT_EQ(error_of(good), "");
  ASSERT_EQ(good.size(), 256u);
  for (const ContainerRow& row : kContainerRows) {
    SCOPED_TRACE(row.description);
    Buffer bad = good;
    row.edit(bad);
    tests::fix_checksums(bad);
    EXPECT_EQ(error_of(bad), row.error);
  }
}

TEST(SegmentCorruption, BytesBehindTheLastSection) {
  Buffer bad = fixture().segment(SegmentKind::access).bytes;
  const size_t end = bad.size();
  bad.push_back(0);
  put<uint64_t>(bad, 16, bad.size());
  tests::fix_checksums(bad);
  EXPECT_EQ(error_of(bad), fmt::format("offset {}: 1 bytes behind the last section", end));
}

TEST(SegmentLoad, ChecksNameKindAndFile) {
  const tests::TemporaryDirectory folder;
  const Buffer& bytes = fixture().segment(SegmentKind::access).bytes;
  const ContentHash hash = ContentHash::of(bytes);
  const std::string path = folder.path() + "/a.seg";
  ASSERT_TRUE(write_file_durably(path, bytes).has_value());
  EXPECT_TRUE(Segment::load(path, SegmentKind::access, hash).has_value());

  ContentHash other = hash;
  other.bytes[31] ^= 1;
  const auto renamed = Segment::load(path, SegmentKind::access, other);
  ASSERT_FALSE(renamed.has_value());
  EXPECT_EQ(renamed.error().message,
            fmt::format("{}: content hash is {}, the name and manifest say {}", path,
                        hash.to_text(), other.to_text()));
  const auto kind = Segment::load(path, SegmentKind::zone, hash);
  ASSERT_FALSE(kind.has_value());
  EXPECT_EQ(kind.error().message, path + ": header at offset 12: kind is access, not zone");

  const auto missing = Segment::load(folder.path() + "/b.seg", SegmentKind::access, hash);
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);
  const auto directory = Segment::load(folder.path(), SegmentKind::access, hash);
  EXPECT_EQ(directory.error().code, ErrorCode::corruption);
}

TEST(ContentHash, IsBlake2bOf32Bytes) {
  EXPECT_EQ(ContentHash::of({}).to_text(),
            "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
  EXPECT_FALSE(ContentHash::from_text("00").has_value());
  EXPECT_EQ(ContentHash::from_text(ContentHash::of({}).to_text()), ContentHash::of({}));
}

// A process may have 65,530 mappings; a hundred thousand zones must fit.
TEST(Segment, SmallSegmentsTakeNoMappingEach) {
  SegmentBuilder builder(SegmentKind::transfer);
  builder.add(static_cast<SectionKind>(kIgnorableSectionKind + 1), std::vector<uint8_t>(1000, 7));
  const std::vector<uint8_t> bytes = builder.finish();
  const auto count_mappings = [] {
    std::ifstream maps("/proc/self/maps");
    size_t lines = 0;
    for (std::string line; std::getline(maps, line);) {
      ++lines;
    }
    return lines;
  };
  const size_t before = count_mappings();
  std::vector<Segment> segments;
  std::vector<std::unique_ptr<uint8_t[]>> between;  // keeps the kernel from merging neighbours
  for (int i = 0; i < 70'000; ++i) {
    auto segment = Segment::from_bytes(bytes);
    ASSERT_TRUE(segment.has_value()) << segment.error().message;
    segments.push_back(std::move(*segment));
    between.push_back(std::make_unique<uint8_t[]>(64));
  }
  for (const Segment& segment : segments) {
    ASSERT_EQ(reinterpret_cast<uintptr_t>(segment.bytes().data()) % kSectionAlignment, 0u);
    ASSERT_TRUE(std::ranges::equal(segment.bytes(), bytes));
  }
  EXPECT_LT(count_mappings(), before + 1000);
}

}  // namespace
}  // namespace merlon::snapshot
