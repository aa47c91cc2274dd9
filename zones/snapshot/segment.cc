// SPDX-License-Identifier: Apache-2.0
#include "zones/snapshot/segment.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "zones/base/assert.h"

namespace merlon::snapshot {
namespace {

static_assert(std::endian::native == std::endian::little,
              "segments are little-endian and read in place");

constexpr std::array<uint8_t, 8> kMagic = {'M', 'E', 'R', 'L', 'O', 'N', 0x1a, '\n'};
constexpr uint16_t kMajor = 1;
constexpr uint16_t kMinor = 1;
constexpr size_t kHugePageSize = size_t{2} << 20;
constexpr uint64_t kMappedSizeMin = 64 << 10;

struct SegmentHeader {
  std::array<uint8_t, 8> magic;
  uint16_t major;
  uint16_t minor;
  uint32_t kind;
  uint64_t file_size;
  uint32_t section_count;
  uint32_t reserved0;
  uint64_t checksum;
  std::array<uint8_t, 24> reserved1;
};
static_assert(sizeof(SegmentHeader) == 64 && std::is_trivially_copyable_v<SegmentHeader> &&
              std::has_unique_object_representations_v<SegmentHeader>);

uint64_t align_up(uint64_t offset) {
  return (offset + kSectionAlignment - 1) / kSectionAlignment * kSectionAlignment;
}

// XXH3 over header (checksum zero) and section table.
uint64_t header_checksum(SegmentHeader header, Bytes table) {
  header.checksum = 0;
  XXH3_state_t state;
  XXH3_64bits_reset(&state);
  XXH3_64bits_update(&state, &header, sizeof header);
  XXH3_64bits_update(&state, table.data(), table.size());
  return XXH3_64bits_digest(&state);
}

bool all_zero(Bytes bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](uint8_t byte) { return byte == 0; });
}

bool known_kind(uint32_t kind) {
  switch (kind) {
#define MERLON_X(name, value) case value:
    MERLON_SECTIONS(MERLON_X)
#undef MERLON_X
    return true;
    default:
      return false;
  }
}

Status check_header(const SegmentHeader& header, uint64_t size) {
  if (header.magic != kMagic) {
    return fail(ErrorCode::corruption, "header at offset 0: not a Merlon segment (bad magic)");
  }
  if (header.major != kMajor) {
    return fail(ErrorCode::unsupported,
                "header at offset 8: segment version {}.{}, this program reads {}.x", header.major,
                header.minor, kMajor);
  }
  if (header.kind < 1 || header.kind > 4) {
    return fail(ErrorCode::corruption, "header at offset 12: unknown segment kind {}", header.kind);
  }
  if (header.file_size != size) {
    return fail(ErrorCode::corruption, "header at offset 16: says {} bytes, the file has {}",
                header.file_size, size);
  }
  if (header.section_count < 1 || header.section_count > kSectionCountMax ||
      sizeof(SegmentHeader) + header.section_count * sizeof(SectionEntry) > size) {
    return fail(ErrorCode::corruption, "header at offset 24: section count {}",
                header.section_count);
  }
  if (header.reserved0 != 0 || !all_zero(header.reserved1)) {
    return fail(ErrorCode::corruption, "header at offset 28: reserved bytes are not zero");
  }
  return {};
}

// Which sections a segment may hold (FORMAT.md); a transfer segment's are its own affair.
bool belongs(uint32_t section, SegmentKind segment) {
  const bool is_body = section <= static_cast<uint32_t>(SectionKind::body_data);
  const bool is_zone = section >= static_cast<uint32_t>(SectionKind::zone_info) &&
                       section <= static_cast<uint32_t>(SectionKind::nsec3);
  const bool is_access = section >= static_cast<uint32_t>(SectionKind::subjects) &&
                         section <= static_cast<uint32_t>(SectionKind::sources6);
  switch (segment) {
    case SegmentKind::bodies:
      return is_body;
    case SegmentKind::zone:
      return is_body || is_zone;
    case SegmentKind::access:
      return is_access;
    case SegmentKind::transfer:
      return true;
  }
  return false;
}

// Places ascending and gap-free up to alignment, padding zero, checksums right.
Status check_sections(Bytes file, SegmentKind kind, std::span<const SectionEntry> sections) {
  uint64_t end = sizeof(SegmentHeader) + sections.size_bytes();
  uint32_t kind_before = 0;
  for (size_t i = 0; i < sections.size(); ++i) {
    const SectionEntry& entry = sections[i];
    const uint64_t at = sizeof(SegmentHeader) + i * sizeof(SectionEntry);
    if (entry.kind <= kind_before || entry.reserved != 0 ||
        (entry.kind < kIgnorableSectionKind &&
         (!known_kind(entry.kind) || !belongs(entry.kind, kind)))) {
      return fail(ErrorCode::corruption, "section table at offset {}: unexpected section kind {}",
                  at, entry.kind);
    }
    const std::string name = to_string(SectionKind{entry.kind});
    if (entry.offset != align_up(end) || entry.offset > file.size() ||
        entry.size > file.size() - entry.offset) {
      return fail(ErrorCode::corruption,
                  "section table at offset {}: section {} at {} with {} bytes is out of place", at,
                  name, entry.offset, entry.size);
    }
    if (!all_zero(file.subspan(end, entry.offset - end))) {
      return fail(ErrorCode::corruption, "padding at offset {}: not zero", end);
    }
    if (XXH3_64bits(file.data() + entry.offset, entry.size) != entry.checksum) {
      return fail(ErrorCode::corruption,
                  "section {} at offset {}: checksum differs ({} bytes damaged or changed)", name,
                  entry.offset, entry.size);
    }
    end = entry.offset + entry.size;
    kind_before = entry.kind;
  }
  if (end != file.size()) {
    return fail(ErrorCode::corruption, "offset {}: {} bytes behind the last section", end,
                file.size() - end);
  }
  return {};
}

Result<SegmentBuffer> read_into_buffer(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    return fail_errno(fmt::format("open {}", path), errno);
  }
  struct Closer {
    int fd;
    ~Closer() { ::close(fd); }
  } closer{fd};
  struct stat info{};
  if (::fstat(fd, &info) != 0) {
    return fail_errno(fmt::format("stat {}", path), errno);
  }
  if (!S_ISREG(info.st_mode)) {
    return fail(ErrorCode::corruption, "{}: not a regular file", path);
  }
  auto buffer = SegmentBuffer::allocate(static_cast<uint64_t>(info.st_size));
  if (!buffer) {
    return in(path, buffer.error());
  }
  MutableBytes room = buffer->bytes();
  size_t filled = 0;
  while (filled < room.size()) {
    const ssize_t n = ::read(fd, room.data() + filled, room.size() - filled);
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n < 0) {
      return fail_errno(fmt::format("read {} at offset {}", path, filled), errno);
    }
    if (n == 0) {
      return fail(ErrorCode::corruption, "{}: became shorter while it was read, at offset {}", path,
                  filled);
    }
    filled += static_cast<size_t>(n);
  }
  return buffer;
}

}  // namespace

ContentHash ContentHash::of(Bytes content) {
  ContentHash hash;
  crypto_generichash(hash.bytes.data(), hash.bytes.size(), content.data(), content.size(), nullptr,
                     0);
  return hash;
}

Result<ContentHash> ContentHash::from_text(std::string_view hex) {
  ContentHash hash;
  if (!from_hex(hex, hash.bytes)) {
    return fail(ErrorCode::invalid_argument, "\"{}\" is no content hash of 64 hex digits", hex);
  }
  return hash;
}

std::string_view to_string(SegmentKind kind) {
  switch (kind) {
    case SegmentKind::bodies:
      return "bodies";
    case SegmentKind::zone:
      return "zone";
    case SegmentKind::access:
      return "access";
    case SegmentKind::transfer:
      return "transfer";
  }
  return "unknown";
}

bool parse_segment_kind(std::string_view text, SegmentKind& out) {
  for (const SegmentKind kind :
       {SegmentKind::bodies, SegmentKind::zone, SegmentKind::access, SegmentKind::transfer}) {
    if (text == to_string(kind)) {
      out = kind;
      return true;
    }
  }
  return false;
}

std::string to_string(SectionKind kind) {
  std::string text;
  switch (kind) {
#define MERLON_X(name, value) \
  case SectionKind::name:     \
    text = #name;             \
    break;
    MERLON_SECTIONS(MERLON_X)
#undef MERLON_X
    default:
      return fmt::format("{}", static_cast<uint32_t>(kind));
  }
  for (char& c : text) {
    c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return text;
}

Result<SegmentBuffer> SegmentBuffer::allocate(uint64_t size) {
  if (size > kSegmentSizeMax) {
    return fail(ErrorCode::corruption, "{} bytes, more than a segment may have", size);
  }
  SegmentBuffer buffer;
  if (size == 0) {
    return buffer;
  }
  if (size < kMappedSizeMin) {
    buffer.data_ = static_cast<uint8_t*>(std::aligned_alloc(kSectionAlignment, align_up(size)));
    if (buffer.data_ == nullptr) {
      return fail_errno(fmt::format("allocate {} bytes", size), ENOMEM);
    }
    buffer.size_ = size;
    return buffer;
  }
  void* data = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) {
    return fail_errno(fmt::format("allocate {} bytes", size), errno);
  }
  if (size >= kHugePageSize) {
    ::madvise(data, size, MADV_HUGEPAGE);  // a wish: without huge pages all works, only slower
  }
  buffer.data_ = static_cast<uint8_t*>(data);
  buffer.size_ = size;
  buffer.mapped_size_ = size;
  return buffer;
}

SegmentBuffer::SegmentBuffer(SegmentBuffer&& other) noexcept {
  *this = std::move(other);
}

SegmentBuffer& SegmentBuffer::operator=(SegmentBuffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(mapped_size_, other.mapped_size_);
  return *this;
}

SegmentBuffer::~SegmentBuffer() {
  if (mapped_size_ != 0) {
    ::munmap(data_, mapped_size_);
  } else {
    std::free(data_);
  }
}

Result<Segment> Segment::load(const std::string& path, SegmentKind kind, const ContentHash& hash) {
  auto buffer = read_into_buffer(path);
  if (!buffer) {
    return std::unexpected(buffer.error());
  }
  const ContentHash content = ContentHash::of(buffer->bytes());
  auto segment = check(std::move(*buffer));
  if (!segment) {
    return in(path, segment.error());
  }
  if (content != hash) {
    return fail(ErrorCode::corruption, "{}: content hash is {}, the name and manifest say {}", path,
                content.to_text(), hash.to_text());
  }
  if (segment->kind() != kind) {
    return fail(ErrorCode::corruption, "{}: header at offset 12: kind is {}, not {}", path,
                to_string(segment->kind()), to_string(kind));
  }
  return segment;
}

Result<Segment> Segment::from_bytes(Bytes bytes) {
  auto buffer = SegmentBuffer::allocate(bytes.size());
  if (!buffer) {
    return std::unexpected(buffer.error());
  }
  if (!bytes.empty()) {
    std::memcpy(buffer->bytes().data(), bytes.data(), bytes.size());
  }
  return check(std::move(*buffer));
}

Result<Segment> Segment::check(SegmentBuffer buffer) {
  const Bytes file = std::as_const(buffer).bytes();
  if (file.size() < sizeof(SegmentHeader)) {
    return fail(ErrorCode::corruption, "header at offset 0: {} bytes are too few for a segment",
                file.size());
  }
  SegmentHeader header;
  std::memcpy(&header, file.data(), sizeof header);
  if (auto good = check_header(header, file.size()); !good) {
    return std::unexpected(good.error());
  }
  const Bytes table =
      file.subspan(sizeof(SegmentHeader), header.section_count * sizeof(SectionEntry));
  if (header_checksum(header, table) != header.checksum) {
    return fail(ErrorCode::corruption, "header at offset 32: checksum of header and table differs");
  }
  Segment segment;
  segment.sections_.resize(header.section_count);
  std::memcpy(segment.sections_.data(), table.data(), table.size());
  if (auto good = check_sections(file, SegmentKind{header.kind}, segment.sections_); !good) {
    return std::unexpected(good.error());
  }
  segment.kind_ = SegmentKind{header.kind};
  segment.buffer_ = std::move(buffer);
  return segment;
}

const SectionEntry* Segment::find(SectionKind kind) const {
  for (const SectionEntry& entry : sections_) {
    if (entry.kind == static_cast<uint32_t>(kind)) {
      return &entry;
    }
  }
  return nullptr;
}

Bytes Segment::section(SectionKind kind) const {
  const SectionEntry* entry = find(kind);
  return entry == nullptr ? Bytes{} : bytes().subspan(entry->offset, entry->size);
}

uint64_t Segment::offset_of(SectionKind kind) const {
  const SectionEntry* entry = find(kind);
  return entry == nullptr ? 0 : entry->offset;
}

struct SegmentBuilder::Layout {
  SegmentHeader header{};
  std::vector<SectionEntry> table;
};

void SegmentBuilder::add(SectionKind kind, std::vector<uint8_t> content) {
  owned_.push_back(std::move(content));
  add_view(kind, owned_.back());
}

void SegmentBuilder::add_view(SectionKind kind, Bytes content) {
  MERLON_ASSERT(sections_.empty() || sections_.back().kind < kind);
  sections_.push_back({kind, content});
}

SegmentBuilder::Layout SegmentBuilder::lay_out() const {
  MERLON_ASSERT(!sections_.empty() && sections_.size() <= kSectionCountMax);
  Layout layout;
  uint64_t end = sizeof(SegmentHeader) + sections_.size() * sizeof(SectionEntry);
  for (const Section& section : sections_) {
    const uint64_t offset = align_up(end);
    layout.table.push_back({static_cast<uint32_t>(section.kind), 0, offset, section.content.size(),
                            XXH3_64bits(section.content.data(), section.content.size())});
    end = offset + section.content.size();
  }
  layout.header.magic = kMagic;
  layout.header.major = kMajor;
  layout.header.minor = kMinor;
  layout.header.kind = static_cast<uint32_t>(kind_);
  layout.header.file_size = end;
  layout.header.section_count = static_cast<uint32_t>(layout.table.size());
  layout.header.checksum =
      header_checksum(layout.header, {reinterpret_cast<const uint8_t*>(layout.table.data()),
                                      layout.table.size() * sizeof(SectionEntry)});
  return layout;
}

// REQUIRES: the file is all zero yet.
void SegmentBuilder::write(const Layout& layout, MutableBytes file) const {
  std::memcpy(file.data(), &layout.header, sizeof layout.header);
  std::memcpy(file.data() + sizeof layout.header, layout.table.data(),
              layout.table.size() * sizeof(SectionEntry));
  for (size_t i = 0; i < sections_.size(); ++i) {
    if (!sections_[i].content.empty()) {
      std::memcpy(file.data() + layout.table[i].offset, sections_[i].content.data(),
                  sections_[i].content.size());
    }
  }
}

std::vector<uint8_t> SegmentBuilder::finish() const {
  const Layout layout = lay_out();
  std::vector<uint8_t> file(layout.header.file_size);
  write(layout, file);
  return file;
}

Result<Segment> SegmentBuilder::build() const {
  const Layout layout = lay_out();
  auto buffer = SegmentBuffer::allocate(layout.header.file_size);
  if (!buffer) {
    return fail(ErrorCode::internal, "{}", buffer.error().message);
  }
  if (layout.header.file_size < kMappedSizeMin) {  // of the heap, and so not zero
    std::memset(buffer->bytes().data(), 0, layout.header.file_size);
  }
  write(layout, buffer->bytes());
  return Segment::from_buffer(std::move(*buffer));
}

}  // namespace merlon::snapshot
