// SPDX-License-Identifier: Apache-2.0
#include "tests/zones_differential/names.h"

#include "zones/wire/wire.h"

namespace merlon::differential {

void Names::add(const zonefile::ZoneData& data) {
  const name::Name apex = data.apex().folded();
  Zone& zone = zones_[apex];
  for (const zonefile::ZoneData::Rrset& rrset : data.rrsets()) {
    name::Name name = name::Name::from_wire(data.owner_of(rrset))->folded();
    owners_.insert(name.to_text());
    if (rrset.type == wire::type::ns && name != apex) {
      zone.cuts.insert(name);
    }
    while (nodes_.insert(name).second || name.is_at_or_below(apex)) {
      if (name.is_at_or_below(apex)) {
        zone.nodes.insert(name);
      }
      if (name.is_root()) {
        break;
      }
      name = name.parent();
    }
  }
}

std::map<name::Name, Names::Zone>::const_iterator Names::zone_of(name::Name name) const {
  for (;;) {
    const auto zone = zones_.find(name);
    if (zone != zones_.end() || name.is_root()) {
      return zone;
    }
    name = name.parent();
  }
}

bool Names::is_elsewhere(const name::Name& asked) const {
  name::Name name = asked.folded();
  const auto zone = zone_of(name);
  if (zone == zones_.end()) {
    return false;
  }
  for (; name != zone->first; name = name.parent()) {
    if (nodes_.contains(name) && !zone->second.nodes.contains(name)) {
      return true;
    }
  }
  return false;
}

bool Names::has_no_parent(const name::Name& asked) const {
  const name::Name apex = asked.folded();
  if (!zones_.contains(apex) || apex.is_root()) {
    return false;
  }
  const auto above = zone_of(apex.parent());
  if (above == zones_.end()) {
    return false;
  }
  if (!above->second.cuts.contains(apex)) {
    return true;
  }
  for (name::Name name = apex.parent(); name != above->first; name = name.parent()) {
    if (above->second.cuts.contains(name)) {
      return true;
    }
  }
  return false;
}

}  // namespace merlon::differential
