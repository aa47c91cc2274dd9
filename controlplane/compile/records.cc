// SPDX-License-Identifier: Apache-2.0
#include "controlplane/compile/records.h"

#include <algorithm>

#include "zones/base/assert.h"
#include "zones/name/name.h"
#include "zones/wire/wire.h"

namespace merlon::compile {
namespace {

constexpr size_t kOwnerPointerSize = 2;
constexpr size_t kRecordFixedSize = 10;  // type, class, TTL, data length
constexpr size_t kBase32HashSize = 32;

std::strong_ordering compare_bytes(Bytes a, Bytes b) {
  return std::lexicographical_compare_three_way(a.begin(), a.end(), b.begin(), b.end());
}

// The records of a body, all of which have the owner 0xC00C.
void append_body(Bytes body, std::vector<NodeRecord>& records) {
  while (!body.empty()) {
    const uint8_t* at = body.data() + kOwnerPointerSize;
    const size_t data_size = load_be16(at + 8);
    records.push_back({load_be16(at), load_be32(at + 4),
                       body.subspan(kOwnerPointerSize + kRecordFixedSize, data_size)});
    body = body.subspan(kOwnerPointerSize + kRecordFixedSize + data_size);
  }
}

void sort_records(std::vector<NodeRecord>& records) {
  std::ranges::sort(records, [](const NodeRecord& a, const NodeRecord& b) {
    if (a.type != b.type) {
      return a.type < b.type;
    }
    const auto order = compare_bytes(a.data, b.data);
    return order != 0 ? order < 0 : a.ttl < b.ttl;
  });
}

}  // namespace

RecordView::RecordView(Bytes wire) {
  while (wire[owner_size_] != 0) {
    owner_size_ += size_t{wire[owner_size_]} + 1;
  }
  ++owner_size_;
  const size_t data_size = load_be16(wire.data() + owner_size_ + 8);
  wire_ = wire.first(owner_size_ + kRecordFixedSize + data_size);
}

std::strong_ordering compare(const RecordView& a, const RecordView& b) {
  if (const auto order = name::compare_canonical(a.owner(), b.owner()); order != 0) {
    return order;
  }
  if (const auto order = a.type() <=> b.type(); order != 0) {
    return order;
  }
  const auto order = compare_bytes(a.data(), b.data());
  return order != 0 ? order : a.ttl() <=> b.ttl();
}

void RecordList::add(Bytes owner, uint16_t type, uint32_t ttl, Bytes data) {
  MERLON_ASSERT(data.size() <= UINT16_MAX);
  const size_t start = bytes_.size();
  bytes_.resize(start + owner.size() + kRecordFixedSize);
  std::ranges::copy(owner, bytes_.begin() + static_cast<std::ptrdiff_t>(start));
  uint8_t* at = bytes_.data() + start + owner.size();
  store_be16(at, type);
  store_be16(at + 2, wire::kClassIn);
  store_be32(at + 4, ttl);
  store_be16(at + 8, static_cast<uint16_t>(data.size()));
  bytes_.insert(bytes_.end(), data.begin(), data.end());
  ++count_;
}

void RecordList::add(const RecordView& record) {
  bytes_.insert(bytes_.end(), record.wire().begin(), record.wire().end());
  ++count_;
}

std::vector<RecordView> RecordList::views() const {
  std::vector<RecordView> views;
  views.reserve(count_);
  for (const RecordView record : *this) {
    views.push_back(record);
  }
  return views;
}

Bytes rrset_bytes(const ZoneContent& zone, size_t rrset) {
  const snapshot::RrsetEntry& entry = zone.view->rrsets()[rrset];
  if (entry.dependency == 0) {
    return zone.view->own_bodies().body(entry.body).bytes();
  }
  MERLON_ASSERT(entry.dependency <= zone.bodies.size());
  return zone.bodies[entry.dependency - 1u]->body(entry.body).bytes();
}

Bytes signature_bytes(const ZoneContent& zone, size_t rrset) {
  const uint32_t body = zone.view->signature_of(rrset);
  return body == snapshot::kNoBody ? Bytes() : zone.view->own_bodies().body(body).bytes();
}

std::vector<NodeRecord> records_of_node(const ZoneContent& zone, size_t node) {
  std::vector<NodeRecord> records;
  const snapshot::NodeEntry& entry = zone.view->nodes()[node];
  for (size_t i = 0; i < entry.rrset_count; ++i) {
    append_body(rrset_bytes(zone, entry.rrset_first + i), records);
    append_body(signature_bytes(zone, entry.rrset_first + i), records);
  }
  sort_records(records);
  return records;
}

std::vector<NodeRecord> records_of_nsec3(const ZoneContent& zone, size_t entry) {
  std::vector<NodeRecord> records;
  const snapshot::Nsec3Entry& nsec3 = zone.view->nsec3()[entry];
  append_body(zone.view->own_bodies().body(nsec3.body).bytes(), records);
  append_body(zone.view->own_bodies().body(nsec3.signature).bytes(), records);
  sort_records(records);
  return records;
}

std::vector<uint8_t> nsec3_owner(const snapshot::Nsec3Entry& entry, Bytes apex) {
  static constexpr char kDigits[] = "0123456789abcdefghijklmnopqrstuv";
  const auto& hash = entry.hash;
  std::vector<uint8_t> owner = {kBase32HashSize};
  for (size_t i = 0; i < kBase32HashSize; ++i) {
    const size_t bit = i * 5;
    const unsigned word = (unsigned{hash[bit / 8]} << 8) |
                          (bit / 8 + 1 < hash.size() ? unsigned{hash[bit / 8 + 1]} : 0);
    owner.push_back(static_cast<uint8_t>(kDigits[(word >> (11 - bit % 8)) & 31]));
  }
  owner.insert(owner.end(), apex.begin(), apex.end());
  return owner;
}

std::vector<uint8_t> nsec3_owner(const ZoneContent& zone, size_t entry) {
  return nsec3_owner(zone.view->nsec3()[entry], zone.view->apex());
}

RecordList records_of(const ZoneContent& zone) {
  RecordList nodes;
  for (size_t i = 0; i < zone.view->nodes().size(); ++i) {
    for (const NodeRecord& record : records_of_node(zone, i)) {
      nodes.add(zone.view->name_of(zone.view->nodes()[i]), record.type, record.ttl, record.data);
    }
  }
  RecordList nsec3;
  for (size_t i = 0; i < zone.view->nsec3().size(); ++i) {
    const std::vector<uint8_t> owner = nsec3_owner(zone, i);
    for (const NodeRecord& record : records_of_nsec3(zone, i)) {
      nsec3.add(owner, record.type, record.ttl, record.data);
    }
  }
  return merged(nodes, nsec3);
}

RecordList merged(const RecordList& a, const RecordList& b) {
  if (a.empty() || b.empty()) {
    return a.empty() ? b : a;
  }
  RecordList all;
  auto at = b.begin();
  for (const RecordView record : a) {
    for (; at != b.end() && compare(*at, record) < 0; ++at) {
      all.add(*at);
    }
    all.add(record);
  }
  for (; at != b.end(); ++at) {
    all.add(*at);
  }
  return all;
}

}  // namespace merlon::compile
