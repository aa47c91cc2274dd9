// SPDX-License-Identifier: Apache-2.0
// Which names the zones of one server have, each for itself and together.
#pragma once

#include <map>
#include <set>
#include <string>

#include "controlplane/zonefile/zone_data.h"
#include "zones/name/name.h"

namespace merlon::differential {

class Names {
 public:
  void add(const zonefile::ZoneData& zone);

  // Whether a zone has records of this owner (folded text).
  bool has_record(const std::string& owner) const { return owners_.contains(owner); }
  // Whether the name, or one between it and the apex of the zone that is nearest to it, is in
  // another zone's file only: below a delegation, or on the way to the other zone's apex.
  bool is_elsewhere(const name::Name& name) const;
  // Whether the name is an apex that the nearest zone above does not delegate: it has no delegation
  // there, or one above that too.
  bool has_no_parent(const name::Name& apex) const;

 private:
  struct Zone {
    std::set<name::Name> nodes;  // with empty non-terminals
    std::set<name::Name> cuts;
  };

  // The zone of the longest apex at or above the name; end() when there is none.
  std::map<name::Name, Zone>::const_iterator zone_of(name::Name name) const;

  std::map<name::Name, Zone> zones_;  // by apex
  std::set<name::Name> nodes_;        // of all, up to the root
  std::set<std::string> owners_;
};

}  // namespace merlon::differential
