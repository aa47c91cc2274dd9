// SPDX-License-Identifier: Apache-2.0
// Answer bodies: what stands behind the question, ready to be copied (FORMAT.md, "Bodies").
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "zones/base/error.h"
#include "zones/name/name.h"
#include "zones/snapshot/segment.h"

namespace merlon::snapshot {

struct BodyEntry {
  uint32_t offset;
  uint32_t size;
  uint16_t answer_count;
  uint16_t authority_count;
  uint16_t additional_count;
  uint16_t checksum;
  uint32_t pointer_first;
  uint16_t pointer_count;
  uint16_t reserved;
};
static_assert(sizeof(BodyEntry) == 24 && std::has_unique_object_representations_v<BodyEntry>);

// One body as the answer logic uses it: a view into a loaded segment, which must outlive it.
struct Body {
  const uint8_t* data = nullptr;
  const uint16_t* pointers = nullptr;  // offsets of two-byte pointers to the apex
  uint32_t size = 0;
  uint16_t answer_count = 0;
  uint16_t authority_count = 0;
  uint16_t additional_count = 0;
  uint16_t pointer_count = 0;
  uint16_t checksum = 0;

  Bytes bytes() const { return {data, size}; }
};

// Checked access to the body sections of a bodies or zone segment.
class BodiesView {
 public:
  // Checks every entry, pointer and record. Errors: corruption with section and offset.
  static Result<BodiesView> open(const Segment& segment);

  size_t size() const { return index_.size(); }
  // REQUIRES: index < size().
  Body body(uint32_t index) const {
    const BodyEntry& entry = index_[index];
    return {.data = data_.data() + entry.offset,
            .pointers = pointers_.data() + entry.pointer_first,
            .size = entry.size,
            .answer_count = entry.answer_count,
            .authority_count = entry.authority_count,
            .additional_count = entry.additional_count,
            .pointer_count = entry.pointer_count,
            .checksum = entry.checksum};
  }
  // The type that all answer records of the body share, when they have the owner 0xC00C and nothing
  // else is in the body; 0 otherwise. Found once, by open(): a million names may share a body.
  // REQUIRES: index < size().
  uint16_t answer_type(uint32_t index) const { return answer_types_[index]; }
  // A and AAAA records in bodies that have one type of them.
  uint64_t address_count() const { return address_count_; }

 private:
  // The answer type of body i, whose place is known to be good.
  Result<uint16_t> check_body(const Segment& segment, size_t i) const;

  std::span<const BodyEntry> index_;
  std::span<const uint16_t> pointers_;
  Bytes data_;
  std::vector<uint16_t> answer_types_;
  uint64_t address_count_ = 0;
};

// Writes bodies. One body at a time: begin(), records.., end(). Record data is given in wire form;
// names inside it are uncompressed.
class BodiesBuilder {
 public:
  enum class Owner : uint8_t { qname, apex };
  enum class Section : uint8_t { answer, authority, additional };
  struct Record {
    Section section = Section::answer;
    Owner owner = Owner::qname;
    uint16_t type = 0;
    uint32_t ttl = 0;
    Bytes data{};
  };

  void begin();
  // So many answer records of the question's name, type and TTL, whose data of `data_size` bytes
  // the caller writes: returns where each record's data is to be, the first; the next one is
  // kAnswerRoom + data_size further. Valid until anything else is added.
  uint8_t* add_answers(uint16_t type, uint32_t ttl, uint16_t data_size, uint16_t count);
  static constexpr size_t kAnswerRoom = 12;
  // REQUIRES: sections in message order; data.size() <= 65535.
  void add(const Record& record);
  // The index of the finished body. Errors: invalid_argument when it exceeds what a message holds.
  Result<uint32_t> end();

  size_t size() const { return index_.size(); }
  // REQUIRES: index < size(). Valid until the next body is begun.
  Bytes bytes_of(uint32_t index) const {
    return Bytes(data_).subspan(index_[index].offset, index_[index].size);
  }
  // The builder of the segment takes views: bodies must not change until its bytes are made.
  void write_sections(SegmentBuilder& builder) const;
  std::vector<uint8_t> finish() const;  // a whole bodies segment
  Result<Segment> build() const;        // the same, checked, without one more copy
  // Empty again, with the memory it has.
  void clear();

 private:
  std::vector<BodyEntry> index_;
  std::vector<uint16_t> pointers_;
  std::vector<uint8_t> data_;
  BodyEntry open_{};
};

// Leaves room in a message of 65,535 bytes for header, the longest question, OPT with all its
// options (113) and a short TSIG record, so that every body can be sent over TCP whatever name
// asks.
inline constexpr uint32_t kBodySizeMax = 65535 - 12 - 259 - 192;

}  // namespace merlon::snapshot
