// SPDX-License-Identifier: Apache-2.0
#include "tests/support/segment_edit.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>

#include "zones/base/assert.h"

namespace merlon::tests {
namespace {

constexpr size_t kHeaderSize = 64;
constexpr size_t kSectionCountAt = 24;
constexpr size_t kChecksumAt = 32;

}  // namespace

SegmentEdit::SegmentEdit(Bytes bytes) : kind_(snapshot::SegmentKind::bodies) {
  const auto segment = snapshot::Segment::from_bytes(bytes);
  MERLON_ASSERT(segment.has_value());
  kind_ = segment->kind();
  for (const snapshot::SectionEntry& entry : segment->sections()) {
    const snapshot::SectionKind kind{entry.kind};
    const Bytes content = segment->section(kind);
    sections_[kind] = {content.begin(), content.end()};
  }
}

std::vector<uint8_t> SegmentEdit::finish() const {
  snapshot::SegmentBuilder builder(kind_);
  for (const auto& [kind, content] : sections_) {
    builder.add(kind, content);
  }
  return builder.finish();
}

void fix_checksums(std::vector<uint8_t>& segment) {
  if (segment.size() < kHeaderSize) {
    return;
  }
  uint32_t count;
  std::memcpy(&count, segment.data() + kSectionCountAt, sizeof count);
  const size_t room = (segment.size() - kHeaderSize) / sizeof(snapshot::SectionEntry);
  count = static_cast<uint32_t>(std::min<size_t>({count, room, snapshot::kSectionCountMax}));
  for (uint32_t i = 0; i < count; ++i) {
    uint8_t* at = segment.data() + kHeaderSize + i * sizeof(snapshot::SectionEntry);
    snapshot::SectionEntry entry;
    std::memcpy(&entry, at, sizeof entry);
    if (entry.offset <= segment.size() && entry.size <= segment.size() - entry.offset) {
      entry.checksum = XXH3_64bits(segment.data() + entry.offset, entry.size);
      std::memcpy(at, &entry, sizeof entry);
    }
  }
  std::memset(segment.data() + kChecksumAt, 0, sizeof(uint64_t));
  const uint64_t checksum =
      XXH3_64bits(segment.data(), kHeaderSize + count * sizeof(snapshot::SectionEntry));
  std::memcpy(segment.data() + kChecksumAt, &checksum, sizeof checksum);
}

}  // namespace merlon::tests
