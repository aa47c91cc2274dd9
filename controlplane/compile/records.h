// SPDX-License-Identifier: Apache-2.0
// The records of a compiled zone one by one, as transfers carry them: full owner names, in the
// canonical order of RFC 4034 section 6 (owner, type, data), RRSIG, NSEC and NSEC3 included.
#pragma once

#include <compare>
#include <cstdint>
#include <span>
#include <vector>

#include "zones/base/bytes.h"
#include "zones/base/error.h"
#include "zones/snapshot/zone.h"

namespace merlon::compile {

// A zone with the bodies segments that it depends on, in the order of its dependencies.
// REQUIRES: ZoneView::check_references() passed.
struct ZoneContent {
  const snapshot::ZoneView* view = nullptr;
  std::span<const snapshot::BodiesView* const> bodies{};
};

// A record in wire form, uncompressed, in somebody's memory.
class RecordView {
 public:
  // REQUIRES: `wire` begins with a whole record.
  explicit RecordView(Bytes wire);

  Bytes wire() const { return wire_; }
  Bytes owner() const { return wire_.first(owner_size_); }
  uint16_t type() const { return load_be16(wire_.data() + owner_size_); }
  uint32_t ttl() const { return load_be32(wire_.data() + owner_size_ + 4); }
  Bytes data() const { return wire_.subspan(owner_size_ + size_t{10}); }

 private:
  Bytes wire_;
  size_t owner_size_ = 0;
};

// Owner, type, data, and then the TTL: equal are equal records.
std::strong_ordering compare(const RecordView& a, const RecordView& b);

// Records packed one after the other: bytes() goes into a transfer as it is.
class RecordList {
 public:
  class Iterator {
   public:
    Iterator(Bytes left) : left_(left) {}  // NOLINT(google-explicit-constructor)
    RecordView operator*() const { return RecordView(left_); }
    Iterator& operator++() {
      left_ = left_.subspan(RecordView(left_).wire().size());
      return *this;
    }
    bool operator!=(const Iterator& other) const { return left_.size() != other.left_.size(); }

   private:
    Bytes left_;
  };

  void add(Bytes owner, uint16_t type, uint32_t ttl, Bytes data);
  void add(const RecordView& record);
  size_t size() const { return count_; }
  bool empty() const { return count_ == 0; }
  Bytes bytes() const { return bytes_; }
  Iterator begin() const { return Bytes(bytes_); }
  Iterator end() const { return Bytes(bytes_).last(0); }
  std::vector<RecordView> views() const;  // valid until the list changes
  bool operator==(const RecordList&) const = default;

 private:
  std::vector<uint8_t> bytes_;
  size_t count_ = 0;
};

// All records, the SOA once.
RecordList records_of(const ZoneContent& zone);

// Two lists in canonical order as one.
RecordList merged(const RecordList& a, const RecordList& b);

// The records of one node, or of one NSEC3 entry, in canonical order; their owners apart.
struct NodeRecord {
  uint16_t type;
  uint32_t ttl;
  Bytes data;
};
std::vector<NodeRecord> records_of_node(const ZoneContent& zone, size_t node);
std::vector<NodeRecord> records_of_nsec3(const ZoneContent& zone, size_t entry);
// The owner of an NSEC3 record: base32hex of the hash (RFC 5155 section 3), lower case as in all
// canonical forms, below the apex.
std::vector<uint8_t> nsec3_owner(const snapshot::Nsec3Entry& entry, Bytes apex);
std::vector<uint8_t> nsec3_owner(const ZoneContent& zone, size_t entry);
// The body of an RRset, given by its place in rrsets(), and that of its signatures ("": none).
Bytes rrset_bytes(const ZoneContent& zone, size_t rrset);
Bytes signature_bytes(const ZoneContent& zone, size_t rrset);

}  // namespace merlon::compile
