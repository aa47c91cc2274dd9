// SPDX-License-Identifier: Apache-2.0
// The form in which differences are kept. Numbers are LEB128 but for the checksum.
//
//   version 1 | serial from | serial to | apex size, apex | four lists | XXH3-64 of all before (LE)
//   list:   count, records (SOA before, SOA after, removed, added)
//   record: flags; unless same owner: bytes shared with the end of the owner before, size of what
//           is in front of them, that; unless the same: type; TTL; data size, data
//
// Lists of removed and added records ascend strictly, so nothing is there twice.
#include <xxhash.h>

#include <algorithm>

#include "controlplane/compile/difference.h"
#include "zones/wire/wire.h"

namespace merlon::compile {
namespace {

constexpr uint8_t kVersion = 1;
constexpr uint8_t kSameOwner = 1;
constexpr uint8_t kSameType = 2;
constexpr uint8_t kSameTtl = 4;
constexpr uint8_t kSameData = 8;
constexpr uint8_t kAllFlags = 15;
constexpr size_t kChecksumSize = 8;

void put_number(std::vector<uint8_t>& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) {
    out.push_back(static_cast<uint8_t>(value | 0x80));
  }
  out.push_back(static_cast<uint8_t>(value));
}

void put_bytes(std::vector<uint8_t>& out, Bytes bytes) {
  put_number(out, bytes.size());
  out.insert(out.end(), bytes.begin(), bytes.end());
}

// The record before, at first nothing.
struct Last {
  Bytes owner;
  uint16_t type = 0;
  uint32_t ttl = 0;
  Bytes data;
};

size_t shared_end(Bytes a, Bytes b) {
  size_t shared = 0;
  while (shared < std::min(a.size(), b.size()) &&
         a[a.size() - 1 - shared] == b[b.size() - 1 - shared]) {
    ++shared;
  }
  return shared;
}

void put_records(std::vector<uint8_t>& out, const RecordList& list, Last& last) {
  put_number(out, list.size());
  for (const RecordView record : list) {
    const bool same_owner = std::ranges::equal(record.owner(), last.owner);
    const bool same_data = std::ranges::equal(record.data(), last.data);
    out.push_back(static_cast<uint8_t>(
        (same_owner ? kSameOwner : 0) | (record.type() == last.type ? kSameType : 0) |
        (record.ttl() == last.ttl ? kSameTtl : 0) | (same_data ? kSameData : 0)));
    if (!same_owner) {
      const size_t shared = shared_end(record.owner(), last.owner);
      put_number(out, shared);
      put_bytes(out, record.owner().first(record.owner().size() - shared));
    }
    if (record.type() != last.type) {
      put_number(out, record.type());
    }
    if (record.ttl() != last.ttl) {
      put_number(out, record.ttl());
    }
    if (!same_data) {
      put_bytes(out, record.data());
    }
    last = {record.owner(), record.type(), record.ttl(), record.data()};
  }
}

// Reads with a sticky failure: after the first fault all is zero and nothing moves.
class Input {
 public:
  explicit Input(Bytes bytes) : bytes_(bytes) {}

  uint64_t number(uint64_t value_max) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const uint8_t byte = u8();
      value |= uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) {
        ok_ = ok_ && value <= value_max && (byte != 0 || shift == 0);
        return ok_ ? value : 0;
      }
    }
    ok_ = false;
    return 0;
  }
  uint8_t u8() {
    const Bytes byte = take(1);
    return byte.empty() ? uint8_t{0} : byte[0];
  }
  Bytes take(size_t count) {
    if (!ok_ || count > bytes_.size() - at_) {
      ok_ = false;
      return {};
    }
    at_ += count;
    return bytes_.subspan(at_ - count, count);
  }
  Bytes sized(size_t size_max) { return take(number(size_max)); }

  bool ok() const { return ok_; }
  size_t at() const { return at_; }
  size_t left() const { return bytes_.size() - at_; }

 private:
  Bytes bytes_;
  size_t at_ = 0;
  bool ok_ = true;
};

// Decodes the lists one after the other.
class ListReader {
 public:
  ListReader(Input& input, const name::Name& apex) : input_(input), apex_(apex) {}

  // "" or what is wrong.
  std::string_view read(RecordList& list, uint64_t count_max) {
    const uint64_t count = input_.number(count_max);
    for (uint64_t i = 0; i < count && input_.ok(); ++i) {
      const size_t start = list.bytes().size();
      if (const auto fault = read_record(list); !fault.empty()) {
        return fault;
      }
      if (i > 0 && compare(RecordView(list.bytes().subspan(last_start_)),
                           RecordView(list.bytes().subspan(start))) >= 0) {
        return "records out of order";
      }
      last_start_ = start;
    }
    return input_.ok() ? "" : "runs past its end";
  }

 private:
  std::string_view read_record(RecordList& list) {
    const uint8_t flags = input_.u8();
    if (flags > kAllFlags) {
      return "unknown flags";
    }
    if ((flags & kSameOwner) == 0) {
      const size_t shared = input_.number(owner_.size());
      const Bytes front = input_.sized(name::kWireSizeMax);
      std::vector<uint8_t> owner(front.begin(), front.end());
      owner.insert(owner.end(), owner_.end() - static_cast<std::ptrdiff_t>(shared), owner_.end());
      const auto name = name::Name::from_wire(owner);
      if (!name || !name->is_at_or_below(apex_)) {
        return "an owner that is no name of the zone";
      }
      owner_ = std::move(owner);
    }
    type_ = (flags & kSameType) != 0 ? type_ : static_cast<uint16_t>(input_.number(UINT16_MAX));
    ttl_ = (flags & kSameTtl) != 0 ? ttl_ : static_cast<uint32_t>(input_.number(UINT32_MAX));
    if ((flags & kSameData) == 0) {
      const Bytes data = input_.sized(UINT16_MAX);
      data_.assign(data.begin(), data.end());
    }
    if (!input_.ok()) {
      return "runs past its end";
    }
    if (owner_.empty() || !wire::is_data_type(type_)) {
      return "a record that no zone holds";
    }
    total_ += owner_.size() + data_.size() + 10;
    if (total_ > kDifferenceSizeMax) {
      return "more than a difference may hold";
    }
    list.add(owner_, type_, ttl_, data_);
    return "";
  }

  Input& input_;
  const name::Name& apex_;
  std::vector<uint8_t> owner_;
  uint16_t type_ = 0;
  uint32_t ttl_ = 0;
  std::vector<uint8_t> data_;
  size_t last_start_ = 0;
  size_t total_ = 0;
};

bool is_soa(const RecordList& list, const name::Name& apex) {
  return list.size() == 1 && (*list.begin()).type() == wire::type::soa &&
         std::ranges::equal((*list.begin()).owner(), apex.wire());
}

std::unexpected<Error> damaged(size_t at, std::string_view what) {
  return fail(ErrorCode::corruption, "difference at offset {}: {}", at, what);
}

}  // namespace

std::vector<uint8_t> encode(const Difference& difference) {
  std::vector<uint8_t> out;
  out.push_back(kVersion);
  put_number(out, difference.serial_from);
  put_number(out, difference.serial_to);
  put_bytes(out, difference.apex.wire());
  Last last;
  for (const RecordList* list :
       {&difference.soa_from, &difference.soa_to, &difference.removed, &difference.added}) {
    put_records(out, *list, last);
  }
  const Le64 checksum = XXH3_64bits(out.data(), out.size());
  out.insert(out.end(), checksum.bytes.begin(), checksum.bytes.end());
  return out;
}

Result<Difference> decode_difference(Bytes bytes) {
  if (bytes.size() < kChecksumSize) {
    return damaged(0, "too short");
  }
  const Bytes content = bytes.first(bytes.size() - kChecksumSize);
  Le64 checksum;
  std::ranges::copy(bytes.last(kChecksumSize), checksum.bytes.begin());
  if (checksum != XXH3_64bits(content.data(), content.size())) {
    return damaged(content.size(), "checksum differs");
  }
  Input input(content);
  if (input.u8() != kVersion) {
    return fail(ErrorCode::unsupported, "difference of version {}, not {}",
                content.empty() ? 0 : content[0], kVersion);
  }
  Difference read;
  read.serial_from = static_cast<uint32_t>(input.number(UINT32_MAX));
  read.serial_to = static_cast<uint32_t>(input.number(UINT32_MAX));
  const auto apex = name::Name::from_wire(input.sized(name::kWireSizeMax));
  if (!input.ok() || !apex) {
    return damaged(input.at(), "no apex");
  }
  read.apex = *apex;
  ListReader lists(input, read.apex);
  for (RecordList* list : {&read.soa_from, &read.soa_to, &read.removed, &read.added}) {
    if (const auto fault = lists.read(*list, input.left()); !fault.empty()) {
      return damaged(input.at(), fault);
    }
  }
  if (!is_soa(read.soa_from, read.apex) || !is_soa(read.soa_to, read.apex)) {
    return damaged(input.at(), "not one SOA of each serial");
  }
  if (input.left() != 0) {
    return damaged(input.at(), "bytes behind its end");
  }
  return read;
}

}  // namespace merlon::compile
