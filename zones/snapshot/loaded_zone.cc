// SPDX-License-Identifier: Apache-2.0
#include "zones/snapshot/loaded_zone.h"

#include <sodium.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "zones/base/assert.h"

namespace merlon::snapshot {
namespace {

// A larger body costs more lines than the one that its place elsewhere does.
constexpr uint32_t kInlineBodySizeMax = 64;
// Names whose buckets are fetched before the first of them is written.
constexpr size_t kIndexAhead = 64;

}  // namespace

IndexKey IndexKey::random() {
  MERLON_ASSERT(sodium_init() >= 0);
  IndexKey key;
  randombytes_buf(key.secret.data(), key.secret.size());
  return key;
}

Result<std::shared_ptr<const LoadedZone>> LoadedZone::make(
    Segment segment, std::vector<std::shared_ptr<const LoadedBodies>> bodies, const IndexKey& key) {
  auto zone = std::make_shared<LoadedZone>();
  zone->segment_ = std::move(segment);
  auto view = ZoneView::open(zone->segment_);
  if (!view) {
    return std::unexpected(view.error());
  }
  zone->view_ = *view;
  zone->bodies_ = std::move(bodies);
  std::vector<const BodiesView*> body_views;
  for (const auto& loaded : zone->bodies_) {
    body_views.push_back(&loaded->view);
  }
  if (auto good = zone->view_.check_references(zone->segment_, body_views); !good) {
    return std::unexpected(good.error());
  }
  zone->negative_ = zone->view_.own_bodies().body(zone->view_.info().negative_body);
  if (auto good = zone->write_records(); !good) {
    return std::unexpected(good.error());
  }
  zone->index_names(key);
  return std::shared_ptr<const LoadedZone>(std::move(zone));
}

std::vector<uint8_t> LoadedZone::count_references() const {
  std::vector<uint8_t> references(view_.own_bodies().size());
  for (const RrsetEntry& rrset : view_.rrsets()) {
    if (rrset.dependency == 0) {
      uint8_t& count = references[rrset.body];
      count = static_cast<uint8_t>(count + (count < 2 ? 1 : 0));
    }
  }
  return references;
}

bool LoadedZone::is_inline(const RrsetEntry& rrset, const std::vector<uint8_t>& references) const {
  return rrset.dependency == 0 && references[rrset.body] == 1 &&
         view_.own_bodies().body(rrset.body).size <= kInlineBodySizeMax;
}

size_t LoadedZone::record_lines(const NodeEntry& node,
                                const std::vector<uint8_t>& references) const {
  size_t size = sizeof(Node) + node.rrset_count * sizeof(Rrset) + node.name_size;
  for (const RrsetEntry& rrset : view_.rrsets_of(node)) {
    size += is_inline(rrset, references) ? body_of(rrset).size : 0;
  }
  return (size + sizeof(RecordLine) - 1) / sizeof(RecordLine);
}

void LoadedZone::write_record(const NodeEntry& node, const std::vector<uint8_t>& references,
                              uint8_t* out) {
  Node* head = new (out) Node;
  head->tier_mask = node.tier_mask;
  head->rrset_count = node.rrset_count;
  head->name_size = node.name_size;
  uint8_t* rrset_at = out + sizeof(Node);
  uint8_t* byte_at = rrset_at + node.rrset_count * sizeof(Rrset);
  const auto append = [&byte_at](Bytes bytes) {
    const uint8_t* first = byte_at;
    std::copy(bytes.begin(), bytes.end(), byte_at);
    byte_at += bytes.size();
    return first;
  };
  append(view_.name_of(node));
  for (const RrsetEntry& rrset : view_.rrsets_of(node)) {
    Body body = body_of(rrset);
    if (is_inline(rrset, references)) {
      body.data = append(body.bytes());
    }
    new (rrset_at) Rrset{body, rrset.type};
    rrset_at += sizeof(Rrset);
  }
}

Status LoadedZone::write_records() {
  const std::vector<uint8_t> references = count_references();
  uint64_t line_count = 0;
  record_at_.reserve(view_.nodes().size());
  for (const NodeEntry& node : view_.nodes()) {
    record_at_.push_back(static_cast<uint32_t>(line_count));
    line_count += record_lines(node, references);
    if (line_count >= NameIndex::kNone) {
      return fail(ErrorCode::unsupported, "a zone of more than {} bytes in memory",
                  uint64_t{NameIndex::kNone} * sizeof(RecordLine));
    }
  }
  records_.resize(line_count + 1);  // one to spare, for who fetches a record's second line
  lines_ = records_.data();
  for (size_t i = 0; i < record_at_.size(); ++i) {
    write_record(view_.nodes()[i], references, records_[record_at_[i]].bytes.data());
  }
  return {};
}

// The buckets lie anywhere, so they are fetched some names ahead.
void LoadedZone::index_names(const IndexKey& key) {
  index_.reset(record_at_.size());
  std::array<uint64_t, kIndexAhead> hashes;
  for (size_t first = 0; first < record_at_.size(); first += kIndexAhead) {
    const auto some =
        std::span(record_at_).subspan(first, std::min(kIndexAhead, record_at_.size() - first));
    for (size_t i = 0; i < some.size(); ++i) {
      hashes[i] = key.hash(node_at(some[i])->name());
      index_.prefetch(hashes[i]);
    }
    for (size_t i = 0; i < some.size(); ++i) {
      index_.insert(hashes[i], some[i]);
    }
  }
  record_at_ = {};
}

}  // namespace merlon::snapshot
