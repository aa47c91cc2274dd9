// SPDX-License-Identifier: Apache-2.0
#include "zones/snapshot/loaded_zone.h"

#include <sodium.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "zones/base/assert.h"
#include "zones/name/name.h"
#include "zones/wire/wire.h"

namespace merlon::snapshot {
namespace {

// A larger body costs more lines than the one that its place elsewhere does.
constexpr uint32_t kInlineBodySizeMax = 64;
// Names whose buckets are fetched before the first of them is written.
constexpr size_t kIndexAhead = 64;
constexpr size_t kRecordHeadSize = 12;  // owner pointer, type, class, TTL, data size

size_t depth_of(Bytes name) {
  size_t depth = 0;
  for (size_t at = 0; name[at] != 0; at += size_t{name[at]} + 1) {
    ++depth;
  }
  return depth;
}

}  // namespace

IndexKey IndexKey::random() {
  MERLON_ASSERT(sodium_init() >= 0);
  IndexKey key;
  randombytes_buf(key.secret.data(), key.secret.size());
  return key;
}

Result<std::shared_ptr<const LoadedBodies>> LoadedBodies::make(Segment segment) {
  auto loaded = std::make_shared<LoadedBodies>();
  loaded->segment = std::move(segment);
  auto view = BodiesView::open(loaded->segment);
  if (!view) {
    return std::unexpected(view.error());
  }
  loaded->view = std::move(*view);
  return loaded;
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
  zone->is_signed_ = zone->view_.is_signed();
  zone->apex_depth_ = depth_of(zone->view_.apex());
  if (auto good = zone->find_denial(); !good) {
    return std::unexpected(good.error());
  }
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
                              uint8_t flags, uint8_t* out) {
  Node* head = new (out) Node;
  head->tier_mask = node.tier_mask;
  head->rrset_count = node.rrset_count;
  head->name_size = node.name_size;
  head->flags = flags;
  head->rrset_first = node.rrset_first;
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

// In canonical order a name's ancestors come before it, its parent as the last node of its depth.
std::vector<uint8_t> LoadedZone::find_flags() {
  using namespace node_flag;  // NOLINT(google-build-using-namespace): its names, one function
  std::vector<uint8_t> flags(view_.nodes().size());
  std::array<uint32_t, name::kLabelCountMax + 1> last_at_depth{};
  for (uint32_t i = 0; i < flags.size(); ++i) {
    const NodeEntry& node = view_.nodes()[i];
    const Bytes name = view_.name_of(node);
    const size_t depth = depth_of(name);
    last_at_depth[depth] = i;
    const uint32_t parent = i == 0 ? 0 : last_at_depth[depth - 1];
    uint8_t found = i == 0 ? apex : uint8_t{0};
    const bool hidden = i != 0 && (flags[parent] & (cut | occluded | dname)) != 0;
    found |= hidden ? occluded : uint8_t{0};
    for (const RrsetEntry& rrset : view_.rrsets_of(node)) {
      found |= rrset.type == wire::type::cname ? cname : uint8_t{0};
      if (rrset.type == wire::type::ns && i != 0 && !hidden) {
        found |= cut;
      }
      if (rrset.type == wire::type::dname && !hidden && (found & cut) == 0) {
        found |= dname;
      }
    }
    flags[i] = found;
    if (i != 0 && name[0] == 1 && name[1] == '*') {
      flags[parent] |= wildcard_parent;
    }
  }
  has_plain_misses_ = std::ranges::none_of(
      flags, [](uint8_t each) { return (each & (cut | dname | wildcard_parent)) != 0; });
  return flags;
}

Status LoadedZone::find_denial() {
  if (view_.info().denial == Denial::nsec) {
    for (uint32_t i = 0; i < view_.nodes().size(); ++i) {
      const auto rrsets = view_.rrsets_of(view_.nodes()[i]);
      if (std::ranges::binary_search(rrsets, wire::type::nsec, {}, &RrsetEntry::type)) {
        nsec_nodes_.push_back(i);
      }
    }
  }
  if (view_.info().denial != Denial::nsec3) {
    return {};
  }
  for (const RrsetEntry& rrset : view_.rrsets_of(view_.nodes()[0])) {
    if (rrset.type != wire::type::nsec3param) {
      continue;
    }
    // Data: algorithm, flags, iterations, salt with its size (RFC 5155 section 4.2).
    constexpr size_t kFixedSize = 5;
    const Bytes body = body_of(rrset).bytes();
    const size_t size = load_be16(body.data() + kRecordHeadSize - 2);
    const Bytes data = body.subspan(kRecordHeadSize, size);
    if (size < kFixedSize || data[0] != 1 || size != kFixedSize + data[4]) {
      break;
    }
    nsec3_parameters_ = {.iterations = load_be16(data.data() + 2), .salt = data.subspan(5)};
    return {};
  }
  return damaged(segment_, SectionKind::zone_info, 20,
                 "NSEC3 without a good NSEC3PARAM record at the apex");
}

Encloser LoadedZone::closest_encloser(const IndexKey& key, const LabelledName& name) const {
  Encloser found{&apex_node(), apex_depth_};
  size_t missing = name.label_count;
  while (missing - found.depth > 1) {
    const size_t middle = found.depth + (missing - found.depth) / 2;
    const Bytes suffix = name.suffix(middle);
    if (const Node* node = find(key.hash(suffix), suffix); node != nullptr) {
      found = {node, middle};
    } else {
      missing = middle;
    }
  }
  return found;
}

uint32_t LoadedZone::nsec_at_or_before(Bytes folded_name) const {
  const auto behind = std::ranges::partition_point(nsec_nodes_, [&](uint32_t number) {
    return name::compare_canonical(view_.name_of(view_.nodes()[number]), folded_name) <= 0;
  });
  return behind == nsec_nodes_.begin() ? kNoBody : *(behind - 1);
}

uint32_t LoadedZone::nsec3_at_or_before(const name::Sha1Digest& hash) const {
  const auto entries = view_.nsec3();
  const auto behind = std::ranges::upper_bound(entries, hash, {}, &Nsec3Entry::hash);
  // Before the first is what the last covers.
  const size_t number =
      behind == entries.begin() ? entries.size() : static_cast<size_t>(behind - entries.begin());
  return static_cast<uint32_t>(number - 1);
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
  const std::vector<uint8_t> flags = find_flags();
  for (size_t i = 0; i < record_at_.size(); ++i) {
    write_record(view_.nodes()[i], references, flags[i], records_[record_at_[i]].bytes.data());
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
