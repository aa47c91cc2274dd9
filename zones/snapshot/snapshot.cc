// SPDX-License-Identifier: Apache-2.0
#include "zones/snapshot/snapshot.h"

#include <sodium.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <bit>

#include "zones/base/assert.h"

namespace merlon::snapshot {
namespace {

// At most half full, so that probing stays short and always ends at a free slot.
uint64_t slot_count_for(size_t entries) {
  return std::bit_ceil(std::max<uint64_t>(entries * 2, 8));
}

Result<std::shared_ptr<const LoadedBodies>> load_bodies(const Directory& directory,
                                                        const ContentHash& hash) {
  const std::string path = directory.segment_path(hash);
  auto segment = Segment::load(path, SegmentKind::bodies, hash);
  if (!segment) {
    return std::unexpected(segment.error());
  }
  auto loaded = std::make_shared<LoadedBodies>();
  loaded->segment = std::move(*segment);
  auto view = BodiesView::open(loaded->segment);
  if (!view) {
    return in(path, view.error());
  }
  loaded->view = *view;
  return loaded;
}

Result<std::shared_ptr<const LoadedAccess>> load_access(const Directory& directory,
                                                        const ContentHash& hash) {
  const std::string path = directory.segment_path(hash);
  auto segment = Segment::load(path, SegmentKind::access, hash);
  if (!segment) {
    return std::unexpected(segment.error());
  }
  auto loaded = std::make_shared<LoadedAccess>();
  loaded->segment = std::move(*segment);
  auto view = AccessView::open(loaded->segment);
  if (!view) {
    return in(path, view.error());
  }
  loaded->view = std::move(*view);
  return loaded;
}

Status check_size(const Directory& directory, const ManifestSegment& listed, uint64_t size) {
  if (listed.size_bytes != size) {
    return fail(ErrorCode::corruption, "{}: has {} bytes, the manifest says {}",
                directory.segment_path(listed.hash), size, listed.size_bytes);
  }
  return {};
}

}  // namespace

IndexKey IndexKey::random() {
  static_assert(sizeof(IndexKey::secret) >= XXH3_SECRET_SIZE_MIN);
  MERLON_ASSERT(sodium_init() >= 0);
  IndexKey key;
  randombytes_buf(key.secret.data(), key.secret.size());
  return key;
}

uint64_t IndexKey::hash(Bytes folded_name) const {
  return XXH3_64bits_withSecret(folded_name.data(), folded_name.size(), secret.data(),
                                secret.size());
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
  const auto rrsets = zone->view_.rrsets();
  zone->rrsets_.reserve(rrsets.size());
  for (const RrsetEntry& rrset : rrsets) {
    const BodiesView& source =
        rrset.dependency == 0 ? zone->view_.own_bodies() : *body_views[rrset.dependency - 1u];
    zone->rrsets_.push_back({source.body(rrset.body), rrset.type});
  }
  zone->negative_ = zone->view_.own_bodies().body(zone->view_.info().negative_body);
  const auto nodes = zone->view_.nodes();
  zone->nodes_ = nodes.data();
  zone->names_ = nodes.empty() ? nullptr : zone->view_.name_of(nodes[0]).data();
  zone->slots_.resize(slot_count_for(nodes.size()));
  zone->mask_ = zone->slots_.size() - 1;
  for (size_t i = 0; i < nodes.size(); ++i) {
    const uint64_t hash = key.hash(zone->view_.name_of(nodes[i]));
    uint64_t at = hash & zone->mask_;
    while (zone->slots_[at].node_plus_one != 0) {
      at = (at + 1) & zone->mask_;
    }
    zone->slots_[at] = {static_cast<uint32_t>(hash >> 32), static_cast<uint32_t>(i + 1)};
  }
  return std::shared_ptr<const LoadedZone>(std::move(zone));
}

Result<std::shared_ptr<const Snapshot>> Snapshot::load(const Directory& directory,
                                                       const Manifest& manifest,
                                                       const IndexKey& key,
                                                       const Snapshot* before) {
  MERLON_ASSERT(sodium_init() >= 0);
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->generation_ = manifest.generation;
  snapshot->key_ = key;
  const std::string context = fmt::format("load generation {}", manifest.generation);
  // The manifest's order (bodies before zones) is the order of dependencies.
  for (const ManifestSegment& listed : manifest.segments) {
    uint64_t size = 0;
    if (listed.kind == SegmentKind::bodies) {
      auto& place = snapshot->bodies_by_hash_[listed.hash];
      if (before != nullptr) {
        const auto old = before->bodies_by_hash_.find(listed.hash);
        place = old == before->bodies_by_hash_.end() ? nullptr : old->second;
      }
      if (place == nullptr) {
        auto loaded = load_bodies(directory, listed.hash);
        if (!loaded) {
          return in(context, loaded.error());
        }
        place = *loaded;
      }
      size = place->segment.bytes().size();
    } else if (listed.kind == SegmentKind::zone) {
      auto& place = snapshot->zones_by_hash_[listed.hash];
      if (before != nullptr) {
        const auto old = before->zones_by_hash_.find(listed.hash);
        place = old == before->zones_by_hash_.end() ? nullptr : old->second;
      }
      if (place == nullptr) {
        const std::string path = directory.segment_path(listed.hash);
        auto segment = Segment::load(path, SegmentKind::zone, listed.hash);
        if (!segment) {
          return in(context, segment.error());
        }
        // The dependencies are read once here to find the bodies, and checked by make().
        const auto hashes = segment->table<ContentHash>(SectionKind::dependencies);
        if (!hashes) {
          return in(fmt::format("{}: {}", context, path), hashes.error());
        }
        std::vector<std::shared_ptr<const LoadedBodies>> bodies;
        for (const ContentHash& hash : *hashes) {
          const auto at = snapshot->bodies_by_hash_.find(hash);
          if (at == snapshot->bodies_by_hash_.end()) {
            return fail(ErrorCode::corruption,
                        "{}: {}: section DEPENDENCIES at offset {}: segment {} is not in the "
                        "manifest",
                        context, path, segment->offset_of(SectionKind::dependencies),
                        hash.to_text());
          }
          bodies.push_back(at->second);
        }
        auto zone = LoadedZone::make(std::move(*segment), std::move(bodies), key);
        if (!zone) {
          return in(fmt::format("{}: {}", context, path), zone.error());
        }
        place = *zone;
      }
      if (!std::ranges::equal(place->view().apex(), listed.apex.wire())) {
        return fail(ErrorCode::corruption, "{}: {}: section ZONE_INFO: apex is not {}", context,
                    directory.segment_path(listed.hash), listed.apex.to_text());
      }
      size = place->size_bytes();
      snapshot->zones_.push_back(place);
    } else if (listed.kind == SegmentKind::access) {
      snapshot->access_hash_ = listed.hash;
      if (before != nullptr && before->access_ && before->access_hash_ == listed.hash) {
        snapshot->access_ = before->access_;
      } else {
        auto loaded = load_access(directory, listed.hash);
        if (!loaded) {
          return in(context, loaded.error());
        }
        snapshot->access_ = *loaded;
      }
      size = snapshot->access_->segment.bytes().size();
    } else {
      continue;  // transfer segments are read by those who send transfers
    }
    if (auto good = check_size(directory, listed, size); !good) {
      return in(context, good.error());
    }
    snapshot->size_bytes_ += size;
  }
  if (auto good = snapshot->index_apexes(); !good) {
    return in(context, good.error());
  }
  return std::shared_ptr<const Snapshot>(std::move(snapshot));
}

Result<std::shared_ptr<const Snapshot>> Snapshot::assemble(
    uint64_t generation, std::vector<std::shared_ptr<const LoadedZone>> zones,
    std::shared_ptr<const LoadedAccess> access, const IndexKey& key) {
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->generation_ = generation;
  snapshot->key_ = key;
  snapshot->zones_ = std::move(zones);
  snapshot->access_ = std::move(access);
  if (auto good = snapshot->index_apexes(); !good) {
    return std::unexpected(good.error());
  }
  return std::shared_ptr<const Snapshot>(std::move(snapshot));
}

Status Snapshot::index_apexes() {
  if (access_ == nullptr) {
    return fail(ErrorCode::corruption, "no access segment");
  }
  apexes_.resize(slot_count_for(zones_.size()));
  apex_mask_ = apexes_.size() - 1;
  for (const auto& zone : zones_) {
    const Bytes apex = zone->view().apex();
    const uint64_t hash = key_.hash(apex);
    uint64_t at = hash & apex_mask_;
    for (; apexes_[at].zone != nullptr; at = (at + 1) & apex_mask_) {
      if (std::ranges::equal(apexes_[at].zone->view().apex(), apex)) {
        return fail(ErrorCode::corruption, "two zones for one apex");
      }
    }
    apexes_[at] = {hash, zone.get()};
    size_t depth = 0;
    for (size_t label = 0; apex[label] != 0; label += size_t{apex[label]} + 1) {
      ++depth;
    }
    apex_depths_[depth] = true;
    apex_depth_max_ = std::max(apex_depth_max_, depth);
    node_count_ += zone->view().nodes().size();
  }
  return {};
}

const LoadedZone* Snapshot::find_zone(Bytes folded_name, const uint8_t* label_offsets,
                                      size_t label_count) const {
  for (size_t depth = std::min(label_count, apex_depth_max_) + 1; depth-- > 0;) {
    if (!apex_depths_[depth]) {
      continue;
    }
    const size_t start = depth == 0 ? folded_name.size() - 1 : label_offsets[label_count - depth];
    const Bytes suffix = folded_name.subspan(start);
    const uint64_t hash = key_.hash(suffix);
    for (uint64_t at = hash & apex_mask_; apexes_[at].zone != nullptr; at = (at + 1) & apex_mask_) {
      if (apexes_[at].hash == hash && std::ranges::equal(apexes_[at].zone->view().apex(), suffix)) {
        return apexes_[at].zone;
      }
    }
  }
  return nullptr;
}

}  // namespace merlon::snapshot
