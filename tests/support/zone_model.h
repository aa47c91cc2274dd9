// SPDX-License-Identifier: Apache-2.0
// What a server should answer, found the slow and plain way of RFC 1034 section 4.3.2: from the
// zone's apex down, label by label, over sorted maps. No DNSSEC; one tier.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/support/text_zone.h"

namespace merlon::tests {

struct ModelAnswer {
  bool refused = false;
  uint16_t rcode = 0;
  bool authoritative = true;
  std::set<std::string> answer;  // to_text() of records
  std::set<std::string> authority;
  // For who checks proofs: where it ended, in which zone, and what came of it.
  enum class End : uint8_t { data, nodata, nxdomain, referral, elsewhere } end = End::data;
  name::Name name;
  name::Name zone;
  name::Name cut;                     // of a referral
  std::vector<name::Name> expanded;   // owners in the answer that a wildcard made
  std::set<std::string> synthesized;  // CNAMEs that a DNAME made
};

class ZoneModel {
 public:
  // Records of one zone; what signs or denies is left out.
  void add_zone(const name::Name& apex, const std::vector<ZoneRecord>& records);
  ModelAnswer ask(const name::Name& name, uint16_t type) const;

 private:
  using Rrsets = std::map<uint16_t, std::vector<ZoneRecord>>;
  using Zone = std::map<name::Name, Rrsets>;

  struct Walk;
  const Zone* find_zone(Walk& walk) const;
  bool step(Walk& walk) const;
  static bool redirect(Walk& walk, const ZoneRecord& dname);
  bool expand(Walk& walk, const Zone& zone, const name::Name& encloser) const;
  bool answer_from(Walk& walk, const Zone& zone, const Rrsets& rrsets) const;
  static const Rrsets* rrsets_at(const Zone& zone, const name::Name& name);
  static bool exists(const Zone& zone, const name::Name& name);

  std::map<name::Name, Zone> zones_;
};

}  // namespace merlon::tests
