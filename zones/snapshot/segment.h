// SPDX-License-Identifier: Apache-2.0
// The segment container of FORMAT.md: header, section table, sections. Knows nothing of what the
// sections mean; the views (bodies.h, zone.h, access.h) do. A Segment owns its bytes in anonymous
// memory (huge pages when large and available) rather than a file mapping: a file that shrinks
// under a mapping is a SIGBUS in the packet path. Immutable after load, so readable from any
// thread.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "zones/base/bytes.h"
#include "zones/base/error.h"
#include "zones/snapshot/hash.h"

namespace merlon::snapshot {

enum class SegmentKind : uint32_t { bodies = 1, zone = 2, access = 3, transfer = 4 };
std::string_view to_string(SegmentKind kind);
bool parse_segment_kind(std::string_view text, SegmentKind& out);

#define MERLON_SECTIONS(X) \
  X(body_index, 1)         \
  X(body_pointers, 2)      \
  X(body_data, 3)          \
  X(zone_info, 16)         \
  X(dependencies, 17)      \
  X(names, 18)             \
  X(nodes, 19)             \
  X(rrsets, 20)            \
  X(signatures, 21)        \
  X(nsec3, 22)             \
  X(subjects, 32)          \
  X(sources4, 33)          \
  X(sources6, 34)

enum class SectionKind : uint32_t {
#define MERLON_X(name, value) name = value,
  MERLON_SECTIONS(MERLON_X)
#undef MERLON_X
};
std::string to_string(SectionKind kind);

inline constexpr uint64_t kSegmentSizeMax = uint64_t{16} << 30;
inline constexpr size_t kSectionAlignment = 64;
inline constexpr size_t kSectionCountMax = 64;
inline constexpr uint32_t kIgnorableSectionKind = 0x8000;

struct SectionEntry {
  uint32_t kind;
  uint32_t reserved;
  uint64_t offset;
  uint64_t size;
  uint64_t checksum;
};
static_assert(sizeof(SectionEntry) == 32 && std::is_trivially_copyable_v<SectionEntry> &&
              std::has_unique_object_representations_v<SectionEntry>);

// Anonymous, 64-byte aligned, writable until it is handed to a Segment. Small ones are of the heap:
// a mapping each would cost a page on the average, and a process may have 65,530 of them.
class SegmentBuffer {
 public:
  SegmentBuffer() = default;
  static Result<SegmentBuffer> allocate(uint64_t size);
  SegmentBuffer(SegmentBuffer&& other) noexcept;
  SegmentBuffer& operator=(SegmentBuffer&& other) noexcept;
  ~SegmentBuffer();

  MutableBytes bytes() { return {data_, size_}; }
  Bytes bytes() const { return {data_, size_}; }

 private:
  uint8_t* data_ = nullptr;
  size_t size_ = 0;
  size_t mapped_size_ = 0;  // 0: of the heap
};

class Segment {
 public:
  Segment() = default;

  // Reads the file and checks container and content hash. Errors name the file, the section and the
  // offset: corruption, unsupported (version), not_found, io.
  static Result<Segment> load(const std::string& path, SegmentKind kind, const ContentHash& hash);
  // The same checks on bytes in memory (tests, fuzzing, the writer's own check), without the hash.
  static Result<Segment> from_bytes(Bytes bytes);
  // The same for bytes that need not be copied.
  static Result<Segment> from_buffer(SegmentBuffer buffer) { return check(std::move(buffer)); }

  SegmentKind kind() const { return kind_; }
  Bytes bytes() const { return buffer_.bytes(); }
  const std::vector<SectionEntry>& sections() const { return sections_; }
  bool has(SectionKind kind) const { return find(kind) != nullptr; }
  // Empty when the section is absent.
  Bytes section(SectionKind kind) const;
  uint64_t offset_of(SectionKind kind) const;

  // A section as an array of T. Errors: corruption when it is missing or no multiple of sizeof(T).
  template <class T>
  Result<std::span<const T>> table(SectionKind kind) const {
    static_assert(std::is_trivially_copyable_v<T> && alignof(T) <= kSectionAlignment);
    const Bytes raw = section(kind);
    if (!has(kind)) {
      return fail(ErrorCode::corruption, "section {} is missing", to_string(kind));
    }
    if (raw.size() % sizeof(T) != 0) {
      return fail(ErrorCode::corruption, "section {} at offset {}: size {} is no multiple of {}",
                  to_string(kind), offset_of(kind), raw.size(), sizeof(T));
    }
    return std::span<const T>(reinterpret_cast<const T*>(raw.data()), raw.size() / sizeof(T));
  }

 private:
  static Result<Segment> check(SegmentBuffer buffer);
  const SectionEntry* find(SectionKind kind) const;

  SegmentBuffer buffer_;
  SegmentKind kind_ = SegmentKind::bodies;
  std::vector<SectionEntry> sections_;
};

// "section NAMES at offset 4096+12: corruption text", the form of every view's errors.
template <class... Args>
std::unexpected<Error> damaged(const Segment& segment, SectionKind kind, uint64_t offset_within,
                               fmt::format_string<Args...> format, Args&&... args) {
  return fail(ErrorCode::corruption, "section {} at offset {}: {}", to_string(kind),
              segment.offset_of(kind) + offset_within,
              fmt::format(format, std::forward<Args>(args)...));
}

// Collects sections and yields the file's bytes. Deterministic.
class SegmentBuilder {
 public:
  explicit SegmentBuilder(SegmentKind kind) : kind_(kind) {}
  SegmentBuilder(const SegmentBuilder&) = delete;
  SegmentBuilder& operator=(const SegmentBuilder&) = delete;

  // REQUIRES: kinds ascend.
  void add(SectionKind kind, std::vector<uint8_t> content);
  // Not copied: must stay until the bytes are made.
  void add_view(SectionKind kind, Bytes content);
  template <class T>
  void add_table(SectionKind kind, const std::vector<T>& rows) {
    static_assert(std::is_trivially_copyable_v<T> && std::has_unique_object_representations_v<T>);
    std::vector<uint8_t> content(rows.size() * sizeof(T));
    if (!rows.empty()) {
      std::memcpy(content.data(), rows.data(), content.size());
    }
    add(kind, std::move(content));
  }
  std::vector<uint8_t> finish() const;
  // The same bytes where a loaded segment has them, checked as one that is loaded. Errors: internal
  // (no memory, or what was added is no segment).
  Result<Segment> build() const;

 private:
  struct Section {
    SectionKind kind;
    Bytes content;
  };
  struct Layout;
  Layout lay_out() const;
  void write(const Layout& layout, MutableBytes file) const;

  SegmentKind kind_;
  std::deque<std::vector<uint8_t>> owned_;
  std::vector<Section> sections_;
};

}  // namespace merlon::snapshot
