// SPDX-License-Identifier: Apache-2.0
#include "controlplane/zonefile/zone_data.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <numeric>

#include "controlplane/zonefile/rdata.h"
#include "zones/base/assert.h"
#include "zones/name/fold.h"
#include "zones/wire/wire.h"

namespace merlon::zonefile {
namespace {

constexpr size_t kNotesMax = 100;
// Validators take zones with more as unsigned (RFC 9276 section 3.2), and each absent name costs
// that many digests of the core that answers.
constexpr unsigned kNsec3IterationsMax = 150;
constexpr size_t kNsec3ParamFixedSize = 5;  // algorithm, flags, iterations, salt size

bool is_below(Bytes name, Bytes ancestor) {
  if (name.size() <= ancestor.size()) {
    return false;
  }
  const size_t start = name.size() - ancestor.size();
  size_t at = 0;
  while (at < start) {
    at += name[at] + size_t{1};
  }
  return at == start && std::ranges::equal(name.subspan(start), ancestor);
}

}  // namespace

uint32_t ZoneData::serial() const {
  const Rrset* soa = at_apex(wire::type::soa);
  MERLON_ASSERT(soa != nullptr);
  const Bytes data = data_of(*soa, 0);
  return load_be32(data.data() + data.size() - 20);
}

const ZoneData::Rrset* ZoneData::at_apex(uint16_t type) const {
  for (const Rrset& rrset : rrsets_) {  // the apex comes first
    if (rrset.owner_size != apex_.size()) {
      break;
    }
    if (rrset.type == type) {
      return &rrset;
    }
  }
  return nullptr;
}

std::string ZoneData::place_text(Place place) const {
  if (place.file >= files_.size()) {
    return fmt::format("record {}", place.line);
  }
  return fmt::format("{}:{}", files_[place.file].path, place.line);
}

ZoneAssembler::ZoneAssembler(const name::Name& apex) {
  zone_.apex_ = apex.folded();
}

uint32_t ZoneAssembler::add_file(FileState file) {
  zone_.files_.push_back(std::move(file));
  return static_cast<uint32_t>(zone_.files_.size() - 1);
}

void ZoneAssembler::note(Place place, std::string_view text) {
  if (zone_.notes_.size() < kNotesMax) {
    zone_.notes_.push_back(fmt::format("{}: {}", zone_.place_text(place), text));
  }
}

std::unexpected<Error> ZoneAssembler::fault(Place place, std::string_view text) const {
  return std::unexpected(
      Error{ErrorCode::invalid_argument, fmt::format("{}: {}", zone_.place_text(place), text)});
}

std::string ZoneAssembler::owner_text(Bytes owner) const {
  const auto name = name::Name::from_wire(owner);
  return name ? name->to_text() : to_hex(owner);
}

Status ZoneAssembler::add(const Record& record) {
  if (!wire::is_data_type(record.type)) {
    return fault(record.place, fmt::format("{} {}: not a type that a zone holds",
                                           owner_text(record.owner), type_text(record.type)));
  }
  std::array<uint8_t, name::kWireSizeMax> folded;
  std::ranges::transform(record.owner, folded.begin(), name::fold);
  const Bytes owner(folded.data(), record.owner.size());
  if (!std::ranges::equal(owner, zone_.apex_.wire()) && !is_below(owner, zone_.apex_.wire())) {
    return fault(record.place, fmt::format("{} is not in zone {}", owner_text(record.owner),
                                           zone_.apex_.to_text()));
  }
  if (zone_.bytes_.size() > UINT32_MAX - 2 * wire::kMessageSizeMax) {
    return fault(record.place, "a zone of more than 4 GiB");
  }
  Raw raw;
  if (!raw_.empty() && std::ranges::equal(owner_of(raw_.back()), owner)) {
    raw.owner = raw_.back().owner;
  } else {
    raw.owner = static_cast<uint32_t>(zone_.bytes_.size());
    zone_.bytes_.insert(zone_.bytes_.end(), owner.begin(), owner.end());
  }
  raw.owner_size = static_cast<uint8_t>(owner.size());
  raw.data = static_cast<uint32_t>(zone_.bytes_.size());
  zone_.bytes_.insert(zone_.bytes_.end(), record.data.begin(), record.data.end());
  raw.size = static_cast<uint16_t>(record.data.size());
  raw.type = record.type;
  raw.ttl = record.ttl;
  raw.place = record.place;
  if (record.type == wire::type::rrsig) {
    if (record.data.size() < 19) {
      return fault(record.place, "data that is no RRSIG record");
    }
    raw.covers = load_be16(record.data.data());
  }
  raw_.push_back(raw);
  return {};
}

void ZoneAssembler::sort() {
  const auto before = [this](const Raw& a, const Raw& b) {
    if (a.owner != b.owner) {
      const auto order = name::compare_canonical(owner_of(a), owner_of(b));
      if (order != 0) {
        return order < 0;
      }
    }
    return a.type != b.type ? a.type < b.type : a.covers < b.covers;
  };
  if (!std::ranges::is_sorted(raw_, before)) {
    std::ranges::stable_sort(raw_, before);
  }
}

Result<ZoneData> ZoneAssembler::finish() {
  sort();
  zone_.records_.reserve(raw_.size());
  for (size_t first = 0; first < raw_.size();) {
    size_t end = first + 1;
    while (end < raw_.size() && raw_[end].type == raw_[first].type &&
           raw_[end].covers == raw_[first].covers &&
           std::ranges::equal(owner_of(raw_[end]), owner_of(raw_[first]))) {
      ++end;
    }
    add_rrset(first, end);
    first = end;
  }
  raw_ = {};
  if (auto good = check_apex(); !good) {
    return std::unexpected(good.error());
  }
  if (auto good = check_names(); !good) {
    return std::unexpected(good.error());
  }
  drop_orphan_signatures();
  return std::move(zone_);
}

std::vector<size_t> ZoneAssembler::without_duplicates(size_t first, size_t end) {
  std::vector<size_t> kept;
  if (end - first == 1) {
    return {first};
  }
  const auto canonical = [this](size_t i) {
    const Bytes data = data_of(raw_[i]);
    std::vector<uint8_t> folded(data.begin(), data.end());
    fold_rdata(raw_[i].type, folded);
    return folded;
  };
  std::vector<std::vector<uint8_t>> seen;  // in the order of `order`, once that is sorted
  for (size_t i = first; i < end; ++i) {
    seen.push_back(canonical(i));
  }
  std::vector<size_t> order(end - first);
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, [&](size_t a, size_t b) { return seen[a] < seen[b]; });
  std::vector<bool> twice(end - first);
  for (size_t i = 1; i < order.size(); ++i) {
    twice[order[i]] = seen[order[i]] == seen[order[i - 1]];
  }
  for (size_t i = 0; i < twice.size(); ++i) {
    if (!twice[i]) {
      kept.push_back(first + i);
      continue;
    }
    const Raw& raw = raw_[first + i];
    note(raw.place, fmt::format("{} {}: a record that was there already", owner_text(owner_of(raw)),
                                type_text(raw.type)));
  }
  return kept;
}

void ZoneAssembler::add_rrset(size_t first, size_t end) {
  const Raw& raw = raw_[first];
  ZoneData::Rrset rrset{.owner = raw.owner,
                        .first = static_cast<uint32_t>(zone_.records_.size()),
                        .count = 0,
                        .ttl = raw.ttl,
                        .type = raw.type,
                        .covers = raw.covers,
                        .owner_size = raw.owner_size,
                        .place = raw.place};
  for (size_t i = first; i < end; ++i) {
    if (raw_[i].ttl != raw.ttl && rrset.ttl == raw.ttl) {
      note(raw_[i].place, fmt::format("{} {}: TTLs differ; the lowest is taken",
                                      owner_text(owner_of(raw)), type_text(raw.type)));
    }
    rrset.ttl = std::min(rrset.ttl, raw_[i].ttl);
  }
  for (const size_t i : without_duplicates(first, end)) {
    zone_.records_.push_back({raw_[i].data, raw_[i].size});
    ++rrset.count;
  }
  zone_.rrsets_.push_back(rrset);
}

Status ZoneAssembler::check_apex() const {
  for (const ZoneData::Rrset& rrset : zone_.rrsets_) {
    const Bytes owner = zone_.owner_of(rrset);
    if (rrset.type == wire::type::soa && owner.size() != zone_.apex_.size()) {
      return fault(rrset.place, fmt::format("{} SOA: not at the apex {}", owner_text(owner),
                                            zone_.apex_.to_text()));
    }
  }
  const std::string where =
      zone_.files_.empty() ? std::string("the transfer") : zone_.files_[0].path;
  const ZoneData::Rrset* soa = zone_.at_apex(wire::type::soa);
  if (soa == nullptr) {
    return fail(ErrorCode::invalid_argument, "{}: no SOA record of {}", where,
                zone_.apex_.to_text());
  }
  if (soa->count != 1) {
    return fault(soa->place, fmt::format("{} SOA: {} of them, a zone has one",
                                         zone_.apex_.to_text(), soa->count));
  }
  if (zone_.at_apex(wire::type::ns) == nullptr) {
    return fail(ErrorCode::invalid_argument, "{}: no NS record of {}", where,
                zone_.apex_.to_text());
  }
  return check_nsec3_parameters();
}

Status ZoneAssembler::check_nsec3_parameters() const {
  const ZoneData::Rrset* parameters = zone_.at_apex(wire::type::nsec3param);
  for (size_t i = 0; parameters != nullptr && i < parameters->count; ++i) {
    const Bytes data = zone_.data_of(*parameters, i);
    const unsigned iterations =
        data.size() < kNsec3ParamFixedSize ? 0u : unsigned{load_be16(data.data() + 2)};
    if (iterations > kNsec3IterationsMax) {
      return fault(parameters->place,
                   fmt::format("{} NSEC3PARAM: {} iterations; more than {} are insecure to "
                               "validators, sign the zone with 0",
                               zone_.apex_.to_text(), iterations, kNsec3IterationsMax));
    }
  }
  return {};
}

Status ZoneAssembler::check_names() {
  std::vector<size_t> dnames;  // owners above the present name, the nearest last
  for (size_t first = 0; first < zone_.rrsets_.size();) {
    const Bytes owner = zone_.owner_of(zone_.rrsets_[first]);
    size_t end = first;
    bool hashed = false;  // an NSEC3 record's owner is no name of the zone's tree
    while (end < zone_.rrsets_.size() &&
           std::ranges::equal(zone_.owner_of(zone_.rrsets_[end]), owner)) {
      hashed = hashed || zone_.rrsets_[end].type == wire::type::nsec3;
      ++end;
    }
    while (!dnames.empty() && !is_below(owner, zone_.owner_of(zone_.rrsets_[dnames.back()]))) {
      dnames.pop_back();
    }
    if (!dnames.empty() && !hashed) {
      return fault(zone_.rrsets_[first].place,
                   fmt::format("{} lies below the DNAME record of {}", owner_text(owner),
                               owner_text(zone_.owner_of(zone_.rrsets_[dnames.back()]))));
    }
    if (auto good = check_node(first, end); !good) {
      return good;
    }
    for (size_t i = first; i < end; ++i) {
      if (zone_.rrsets_[i].type == wire::type::dname) {
        dnames.push_back(i);
      }
    }
    first = end;
  }
  return {};
}

// The RRsets of one name.
Status ZoneAssembler::check_node(size_t first, size_t end) const {
  const std::span<const ZoneData::Rrset> rrsets(zone_.rrsets_.data() + first, end - first);
  const auto cname = std::ranges::find(rrsets, wire::type::cname, &ZoneData::Rrset::type);
  const std::string owner = cname != rrsets.end() ? owner_text(zone_.owner_of(*cname)) : "";
  for (const ZoneData::Rrset& rrset : rrsets) {
    const bool single = rrset.type == wire::type::cname || rrset.type == wire::type::dname;
    if (single && rrset.count != 1) {
      return fault(rrset.place, fmt::format("{} {}: {} of them, a name has one",
                                            owner_text(zone_.owner_of(rrset)),
                                            type_text(rrset.type), rrset.count));
    }
    const bool beside = rrset.type == wire::type::cname || rrset.type == wire::type::rrsig ||
                        rrset.type == wire::type::nsec || rrset.type == 24 || rrset.type == 25 ||
                        rrset.type == 30;  // SIG, KEY, NXT
    if (cname != rrsets.end() && !beside) {
      return fault(cname->place,
                   fmt::format("{} CNAME: there is a {} record of this name too ({})", owner,
                               type_text(rrset.type), zone_.place_text(rrset.place)));
    }
  }
  return {};
}

// RRSIG records of an RRset that is not there sign nothing.
void ZoneAssembler::drop_orphan_signatures() {
  std::vector<ZoneData::Rrset>& rrsets = zone_.rrsets_;
  size_t node = 0;  // where the name of the RRset looked at begins
  const auto is_orphan = [&](size_t i) {
    if (!std::ranges::equal(zone_.owner_of(rrsets[node]), zone_.owner_of(rrsets[i]))) {
      node = i;
    }
    if (rrsets[i].type != wire::type::rrsig) {
      return false;
    }
    for (size_t k = node; k < rrsets.size() && rrsets[k].owner_size == rrsets[i].owner_size &&
                          std::ranges::equal(zone_.owner_of(rrsets[k]), zone_.owner_of(rrsets[i]));
         ++k) {
      if (rrsets[k].type == rrsets[i].covers && rrsets[k].type != wire::type::rrsig) {
        return false;
      }
    }
    return true;
  };
  std::vector<bool> orphans(rrsets.size());
  for (size_t i = 0; i < rrsets.size(); ++i) {
    orphans[i] = is_orphan(i);
    if (orphans[i]) {
      note(rrsets[i].place,
           fmt::format("{} RRSIG {}: there is no such RRset; left out",
                       owner_text(zone_.owner_of(rrsets[i])), type_text(rrsets[i].covers)));
    }
  }
  size_t i = 0;
  std::erase_if(rrsets, [&](const ZoneData::Rrset&) { return orphans[i++]; });
}

}  // namespace merlon::zonefile
