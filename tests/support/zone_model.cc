// SPDX-License-Identifier: Apache-2.0
#include "tests/support/zone_model.h"

#include <algorithm>

#include "zones/base/assert.h"
#include "zones/wire/wire.h"

namespace merlon::tests {
namespace {

namespace type = wire::type;
using name::Name;

constexpr int kChainMax = 64;

bool is_for_dnssec(uint16_t t) {
  return t == type::rrsig || t == type::nsec || t == type::nsec3 || t == type::nsec3param ||
         t == type::dnskey;
}

Name ancestor(Name name, size_t labels) {
  while (name.label_count() > labels) {
    name = name.parent();
  }
  return name;
}

Name target_of(const ZoneRecord& record) {
  return Name::from_wire(record.data)->folded();
}

}  // namespace

struct ZoneModel::Walk {
  ModelAnswer& made;
  uint16_t type;
  Name name;
  std::set<Name> visited;
  std::set<Name> dnames;
};

void ZoneModel::add_zone(const Name& apex, const std::vector<ZoneRecord>& records) {
  for (const ZoneRecord& record : records) {
    if (!is_for_dnssec(record.type)) {
      zones_[apex][record.owner][record.type].push_back(record);
    }
  }
}

const ZoneModel::Rrsets* ZoneModel::rrsets_at(const Zone& zone, const Name& name) {
  const auto at = zone.find(name);
  return at == zone.end() ? nullptr : &at->second;
}

// Names below make an empty non-terminal exist.
bool ZoneModel::exists(const Zone& zone, const Name& name) {
  return std::ranges::any_of(zone,
                             [&](const auto& entry) { return entry.first.is_at_or_below(name); });
}

ModelAnswer ZoneModel::ask(const Name& name, uint16_t type) const {
  ModelAnswer made;
  Walk walk{made, type, name.folded(), {}, {}};
  for (int i = 0; i < kChainMax; ++i) {
    made.name = walk.name;
    walk.visited.insert(walk.name);
    if (!step(walk)) {
      return made;
    }
    if (walk.visited.contains(walk.name)) {
      break;
    }
  }
  made.end = ModelAnswer::End::elsewhere;
  return made;
}

// The zone that is asked: the deepest one, but for DS its parent.
const ZoneModel::Zone* ZoneModel::find_zone(Walk& walk) const {
  std::vector<Name> apexes;
  for (const auto& [apex, zone] : zones_) {
    if (walk.name.is_at_or_below(apex)) {
      apexes.push_back(apex);
    }
  }
  std::ranges::sort(apexes, {}, &Name::label_count);
  if (apexes.empty()) {
    return nullptr;
  }
  if (walk.type == type::ds && walk.name == apexes.back() && apexes.size() > 1) {
    apexes.pop_back();
  }
  walk.made.zone = apexes.back();
  return &zones_.at(walk.made.zone);
}

bool ZoneModel::step(Walk& walk) const {
  ModelAnswer& made = walk.made;
  const Zone* zone = find_zone(walk);
  if (zone == nullptr) {
    made.refused = made.answer.empty();
    made.end = ModelAnswer::End::elsewhere;
    return false;
  }
  for (size_t depth = made.zone.label_count(); depth <= walk.name.label_count(); ++depth) {
    const Name at = ancestor(walk.name, depth);
    if (!exists(*zone, at)) {
      return expand(walk, *zone, at.parent());
    }
    static const Rrsets kEmpty;
    const Rrsets* found = rrsets_at(*zone, at);
    const Rrsets& rrsets = found == nullptr ? kEmpty : *found;
    const bool is_exact = at == walk.name;
    const bool asks_parent = is_exact && walk.type == type::ds;
    if (at != made.zone && rrsets.contains(type::ns) && !asks_parent) {
      for (const ZoneRecord& record : rrsets.at(type::ns)) {
        made.authority.insert(to_text(record));
      }
      made.authoritative = !made.answer.empty();
      made.end = ModelAnswer::End::referral;
      made.cut = at;
      return false;
    }
    if (is_exact) {
      return answer_from(walk, *zone, rrsets);
    }
    if (rrsets.contains(type::dname)) {
      return redirect(walk, rrsets.at(type::dname).at(0));
    }
  }
  return false;
}

bool ZoneModel::redirect(Walk& walk, const ZoneRecord& dname) {
  ModelAnswer& made = walk.made;
  const Name target = target_of(dname);
  if (!walk.dnames.insert(dname.owner).second && target.is_at_or_below(dname.owner)) {
    made.end = ModelAnswer::End::elsewhere;
    return false;
  }
  made.answer.insert(to_text(dname));
  std::vector<uint8_t> wire(
      walk.name.wire().begin(),
      walk.name.wire().end() - static_cast<std::ptrdiff_t>(dname.owner.size()));
  wire.insert(wire.end(), target.wire().begin(), target.wire().end());
  const auto next = Name::from_wire(wire);
  if (!next) {
    made.rcode = 6;
    return false;
  }
  const std::string alias = to_text({walk.name, type::cname, dname.ttl, wire});
  made.answer.insert(alias);
  made.synthesized.insert(alias);
  walk.name = *next;
  return walk.type != type::cname;
}

bool ZoneModel::expand(Walk& walk, const Zone& zone, const Name& encloser) const {
  ModelAnswer& made = walk.made;
  const auto wildcard = encloser.child("*");
  if (!wildcard || !exists(zone, *wildcard)) {
    made.rcode = 3;
    made.authority.insert(to_text(zone.at(made.zone).at(type::soa).at(0)));
    made.end = ModelAnswer::End::nxdomain;
    return false;
  }
  static const Rrsets kEmpty;
  const Rrsets* source = rrsets_at(zone, *wildcard);
  const size_t before = made.answer.size();
  const Name owner = walk.name;
  const bool goes_on = answer_from(walk, zone, source == nullptr ? kEmpty : *source);
  if (made.answer.size() != before) {
    made.expanded.push_back(owner);
  }
  return goes_on;
}

bool ZoneModel::answer_from(Walk& walk, const Zone& zone, const Rrsets& rrsets) const {
  ModelAnswer& made = walk.made;
  const auto add = [&](const ZoneRecord& record) {
    ZoneRecord owned = record;
    owned.owner = walk.name;
    made.answer.insert(to_text(owned));
  };
  if (const auto found = rrsets.find(walk.type); found != rrsets.end()) {
    std::ranges::for_each(found->second, add);
    return false;
  }
  const bool is_cut = rrsets.contains(type::ns);
  if (const auto found = rrsets.find(type::cname); found != rrsets.end() && !is_cut) {
    add(found->second.at(0));
    walk.name = target_of(found->second.at(0));
    return true;
  }
  made.authority.insert(to_text(zone.at(made.zone).at(type::soa).at(0)));
  made.end = ModelAnswer::End::nodata;
  return false;
}

}  // namespace merlon::tests
