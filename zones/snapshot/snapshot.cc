// SPDX-License-Identifier: Apache-2.0
#include "zones/snapshot/snapshot.h"

#include <sodium.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>

#include "zones/base/assert.h"

namespace merlon::snapshot {
namespace {

// Reads one segment that the manifest lists. The size is compared before anything is read.
Result<Segment> load_listed(const Directory& directory, const ManifestSegment& listed) {
  const std::string path = directory.segment_path(listed.hash);
  std::error_code error;
  const uint64_t size = std::filesystem::file_size(path, error);
  if (!error && size != listed.size_bytes) {
    return fail(ErrorCode::corruption, "{}: has {} bytes, the manifest says {}", path, size,
                listed.size_bytes);
  }
  return Segment::load(path, listed.kind, listed.hash);
}

// Loaded = LoadedBodies or LoadedAccess, View its view.
template <class Loaded, class View>
Result<std::shared_ptr<const Loaded>> load_viewed(const Directory& directory,
                                                  const ManifestSegment& listed) {
  auto segment = load_listed(directory, listed);
  if (!segment) {
    return std::unexpected(segment.error());
  }
  auto loaded = std::make_shared<Loaded>();
  loaded->segment = std::move(*segment);
  auto view = View::open(loaded->segment);
  if (!view) {
    return in(directory.segment_path(listed.hash), view.error());
  }
  loaded->view = std::move(*view);
  return loaded;
}

template <class Map>
typename Map::mapped_type find_shared(const Map* before, const ContentHash& hash) {
  if (before == nullptr) {
    return nullptr;
  }
  const auto at = before->find(hash);
  return at == before->end() ? nullptr : at->second;
}

size_t count_labels(Bytes name) {
  size_t count = 0;
  for (size_t at = 0; name[at] != 0; at += size_t{name[at]} + 1) {
    ++count;
  }
  return count;
}

}  // namespace

Result<std::shared_ptr<const Snapshot>> Snapshot::load(const Directory& directory,
                                                       const Manifest& manifest,
                                                       const IndexKey& key, const Snapshot* before,
                                                       const LoadOptions& options) {
  MERLON_ASSERT(sodium_init() >= 0);
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->generation_ = manifest.generation;
  snapshot->key_ = key;
  const std::string context = fmt::format("load generation {}", manifest.generation);
  snapshot->reserve(manifest);
  if (options.made != nullptr) {
    snapshot->adopt(manifest, *options.made);
  }
  if (options.threads > 1) {
    if (auto read = snapshot->read_ahead(directory, manifest, before, options.threads); !read) {
      return in(context, read.error());
    }
  }
  // The manifest's order (bodies before zones) is the order of dependencies.
  for (const ManifestSegment& listed : manifest.segments) {
    Result<uint64_t> size = uint64_t{0};
    switch (listed.kind) {
      case SegmentKind::bodies:
        size = snapshot->load_bodies(directory, listed, before);
        break;
      case SegmentKind::zone:
        size = snapshot->load_zone(directory, listed, before);
        break;
      case SegmentKind::access:
        size = snapshot->load_access(directory, listed, before);
        break;
      case SegmentKind::transfer:
        continue;  // read by those who send transfers
    }
    if (!size) {
      return in(context, size.error());
    }
    if (*size != listed.size_bytes) {
      return fail(ErrorCode::corruption, "{}: {}: has {} bytes, the manifest says {}", context,
                  directory.segment_path(listed.hash), *size, listed.size_bytes);
    }
    snapshot->size_bytes_ += *size;
  }
  if (auto good = snapshot->index_apexes(); !good) {
    return in(context, good.error());
  }
  snapshot->count_memory();
  return std::shared_ptr<const Snapshot>(std::move(snapshot));
}

void Snapshot::reserve(const Manifest& manifest) {
  const auto count = [&manifest](SegmentKind kind) {
    return static_cast<size_t>(std::ranges::count(manifest.segments, kind, &ManifestSegment::kind));
  };
  bodies_by_hash_.reserve(count(SegmentKind::bodies));
  zones_.reserve(count(SegmentKind::zone));
  zones_by_hash_.reserve(zones_.capacity());
}

void Snapshot::adopt(const Manifest& manifest, const BodiesByHash& made) {
  for (const ManifestSegment& listed : manifest.segments) {
    const auto at = listed.kind == SegmentKind::bodies ? made.find(listed.hash) : made.end();
    if (at != made.end()) {
      bodies_by_hash_[listed.hash] = at->second;
    }
  }
}

Status Snapshot::read_ahead(const Directory& directory, const Manifest& manifest,
                            const Snapshot* before, unsigned threads) {
  std::vector<const ManifestSegment*> wanted;
  for (const ManifestSegment& listed : manifest.segments) {
    if (listed.kind == SegmentKind::bodies && !bodies_by_hash_.contains(listed.hash) &&
        (before == nullptr || !before->bodies_by_hash_.contains(listed.hash))) {
      wanted.push_back(&listed);
    }
  }
  std::vector<Result<std::shared_ptr<const LoadedBodies>>> results(wanted.size());
  std::atomic<size_t> next{0};
  const auto work = [&] {
    for (size_t i = next++; i < wanted.size(); i = next++) {
      results[i] = load_viewed<LoadedBodies, BodiesView>(directory, *wanted[i]);
    }
  };
  std::vector<std::thread> others;
  for (size_t i = 1; i < std::min<size_t>(threads, wanted.size()); ++i) {
    others.emplace_back(work);
  }
  work();
  for (std::thread& other : others) {
    other.join();
  }
  for (size_t i = 0; i < wanted.size(); ++i) {
    if (!results[i]) {
      return std::unexpected(results[i].error());
    }
    bodies_by_hash_[wanted[i]->hash] = std::move(*results[i]);
  }
  return {};
}

Result<uint64_t> Snapshot::load_bodies(const Directory& directory, const ManifestSegment& listed,
                                       const Snapshot* before) {
  auto& place = bodies_by_hash_[listed.hash];
  if (place == nullptr) {
    place = find_shared(before == nullptr ? nullptr : &before->bodies_by_hash_, listed.hash);
  }
  if (place == nullptr) {
    auto loaded = load_viewed<LoadedBodies, BodiesView>(directory, listed);
    if (!loaded) {
      return std::unexpected(loaded.error());
    }
    place = *loaded;
  }
  return place->segment.bytes().size();
}

Result<uint64_t> Snapshot::load_zone(const Directory& directory, const ManifestSegment& listed,
                                     const Snapshot* before) {
  const auto path = [&] { return directory.segment_path(listed.hash); };
  // A zone's index is made with the key: one made with another key would find nothing.
  const bool may_share = before != nullptr && before->key_ == key_;
  auto zone = find_shared(may_share ? &before->zones_by_hash_ : nullptr, listed.hash);
  if (zone != nullptr) {
    // What a cold start would refuse is refused here too.
    if (auto good = check_dependencies(zone->view().dependencies()); !good) {
      return in(path(), good.error());
    }
  } else {
    auto segment = load_listed(directory, listed);
    if (!segment) {
      return std::unexpected(segment.error());
    }
    // The dependencies are read here to find the bodies, and checked by make().
    const auto hashes = segment->table<ContentHash>(SectionKind::dependencies);
    if (!hashes) {
      return in(path(), hashes.error());
    }
    auto bodies = find_dependencies(*hashes);
    if (!bodies) {
      return in(path(), bodies.error());
    }
    auto made = LoadedZone::make(std::move(*segment), std::move(*bodies), key_);
    if (!made) {
      return in(path(), made.error());
    }
    zone = *made;
  }
  if (!std::ranges::equal(zone->view().apex(), listed.apex.folded().wire())) {
    return fail(ErrorCode::corruption, "{}: section ZONE_INFO: apex is {}, the manifest says {}",
                path(), name::Name::from_wire(zone->view().apex())->to_text(),
                listed.apex.to_text());
  }
  zones_by_hash_[listed.hash] = zone;
  zones_.push_back(zone);
  return zone->size_bytes();
}

Result<uint64_t> Snapshot::load_access(const Directory& directory, const ManifestSegment& listed,
                                       const Snapshot* before) {
  access_hash_ = listed.hash;
  if (before != nullptr && before->access_ != nullptr && before->access_hash_ == listed.hash) {
    access_ = before->access_;
  } else {
    auto loaded = load_viewed<LoadedAccess, AccessView>(directory, listed);
    if (!loaded) {
      return std::unexpected(loaded.error());
    }
    access_ = *loaded;
  }
  return access_->segment.bytes().size();
}

Result<std::vector<std::shared_ptr<const LoadedBodies>>> Snapshot::find_dependencies(
    std::span<const ContentHash> hashes) const {
  std::vector<std::shared_ptr<const LoadedBodies>> bodies;
  bodies.reserve(hashes.size());
  for (const ContentHash& hash : hashes) {
    const auto at = bodies_by_hash_.find(hash);
    if (at == bodies_by_hash_.end()) {
      return fail(ErrorCode::corruption, "section DEPENDENCIES: segment {} is not in the manifest",
                  hash.to_text());
    }
    bodies.push_back(at->second);
  }
  return bodies;
}

Status Snapshot::check_dependencies(std::span<const ContentHash> hashes) const {
  for (const ContentHash& hash : hashes) {
    if (!bodies_by_hash_.contains(hash)) {
      return fail(ErrorCode::corruption, "section DEPENDENCIES: segment {} is not in the manifest",
                  hash.to_text());
    }
  }
  return {};
}

Result<std::shared_ptr<const Snapshot>> Snapshot::assemble(
    uint64_t generation, std::vector<std::shared_ptr<const LoadedZone>> zones,
    std::shared_ptr<const LoadedAccess> access, const IndexKey& key) {
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->generation_ = generation;
  snapshot->key_ = key;
  snapshot->zones_ = std::move(zones);
  snapshot->access_ = std::move(access);
  for (const auto& zone : snapshot->zones_) {
    snapshot->size_bytes_ += zone->size_bytes();
  }
  if (auto good = snapshot->index_apexes(); !good) {
    return std::unexpected(good.error());
  }
  snapshot->count_memory();
  return std::shared_ptr<const Snapshot>(std::move(snapshot));
}

Status Snapshot::index_apexes() {
  if (access_ == nullptr) {
    return fail(ErrorCode::corruption, "no access segment");
  }
  if (auto good = apexes_.build(zones_, key_); !good) {
    return good;
  }
  for (const auto& zone : zones_) {
    node_count_ += zone->view().nodes().size();
    if (zone->view().info().account == 0) {
      continue;
    }
    for (Bytes above = zone->view().apex(); above[0] != 0;) {
      above = above.subspan(size_t{above[0]} + 1);
      const LoadedZone* parent = apexes_.find_exactly(above);
      if (parent != nullptr && parent->view().info().account == 0 &&
          (over_accounts_.empty() || over_accounts_.back() != parent)) {
        over_accounts_.push_back(parent);  // neighbours mostly have one parent
      }
    }
  }
  std::ranges::sort(over_accounts_, std::less<>());
  over_accounts_.erase(std::unique(over_accounts_.begin(), over_accounts_.end()),
                       over_accounts_.end());
  return {};
}

void Snapshot::count_memory() {
  resident_bytes_ = access_->segment.bytes().size();
  for (const auto& zone : zones_) {
    resident_bytes_ += zone->size_bytes() + zone->memory_bytes();
    address_count_ += zone->view().own_bodies().address_count();
  }
  for (const auto& [hash, bodies] : bodies_by_hash_) {
    resident_bytes_ += bodies->segment.bytes().size();
    address_count_ += bodies->view.address_count();
  }
}

const LoadedZone* Snapshot::find_zone_above(const LoadedZone& zone, Bytes folded_name,
                                            const uint8_t* label_offsets,
                                            size_t label_count) const {
  const size_t depth = count_labels(zone.view().apex());
  return depth == 0 ? nullptr : apexes_.find({folded_name, label_offsets, label_count}, depth - 1);
}

}  // namespace merlon::snapshot
