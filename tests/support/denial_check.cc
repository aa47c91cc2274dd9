// SPDX-License-Identifier: Apache-2.0
#include "tests/support/denial_check.h"

#include <fmt/format.h>
#include <ldns/ldns.h>

#include <algorithm>
#include <cstdlib>
#include <optional>

#include "zones/base/assert.h"
#include "zones/wire/wire.h"

namespace merlon::tests {
namespace {

namespace type = wire::type;
using End = ModelAnswer::End;
using name::Name;

std::set<uint16_t> types_in(Bytes bitmaps) {
  std::set<uint16_t> types;
  while (bitmaps.size() >= 2) {
    for (size_t bit = 0; bit < bitmaps[1] * size_t{8}; ++bit) {
      if ((bitmaps[2 + bit / 8] & (0x80u >> (bit % 8))) != 0) {
        types.insert(static_cast<uint16_t>(bitmaps[0] * 256u + bit));
      }
    }
    bitmaps = bitmaps.subspan(2 + size_t{bitmaps[1]});
  }
  return types;
}

Name ancestor(Name name, size_t labels) {
  while (name.label_count() > labels) {
    name = name.parent();
  }
  return name;
}

Name common_ancestor(const Name& a, const Name& b) {
  Name at = a;
  while (!b.is_at_or_below(at)) {
    at = at.parent();
  }
  return at;
}

Name name_in(Bytes data) {
  size_t end = 0;
  while (data[end] != 0) {
    end += data[end] + size_t{1};
  }
  return Name::from_wire(data.first(end + 1))->folded();
}

Name signer_of(const ZoneRecord& signature) {
  return name_in(Bytes(signature.data).subspan(18));
}

template <class T>
bool is_between(const T& before, const T& at, const T& next) {
  return before < next ? before < at && at < next : before < at || at < next;
}

// What all kinds of denial records have: places in a ring, and types at them.
struct Link {
  std::string at;    // NSEC3: the first label of the owner
  std::string next;  // likewise
  Name owner;        // NSEC
  Name next_owner;
  std::set<uint16_t> types;
  bool opt_out = false;

  // RFC 6840 section 4.1 and 4.3.
  bool denies(uint16_t qtype) const {
    const bool is_parents = types.contains(type::ns) && !types.contains(type::soa);
    return !types.contains(qtype) && !types.contains(type::cname) &&
           (qtype == type::ds || !is_parents);
  }
};

class Denial {
 public:
  // What the zone's keys have signed: the last record's range goes round, past other zones.
  Denial(const std::vector<ZoneRecord>& authority, const Name& zone) {
    std::set<Name> signed_owners;
    for (const ZoneRecord& record : authority) {
      if (record.type == type::rrsig && signer_of(record) == zone) {
        signed_owners.insert(record.owner);
      }
    }
    for (const ZoneRecord& record : authority) {
      if (!signed_owners.contains(record.owner)) {
        continue;
      }
      const Bytes data(record.data);
      if (record.type == type::nsec) {
        const Name next = name_in(data);
        links_.push_back({.at = "",
                          .next = "",
                          .owner = record.owner,
                          .next_owner = next,
                          .types = types_in(data.subspan(next.size()))});
      } else if (record.type == type::nsec3) {
        is_nsec3_ = true;
        iterations_ = load_be16(&data[2]);
        salt_.assign(data.begin() + 5, data.begin() + 5 + data[4]);
        const Bytes rest = data.subspan(5 + size_t{data[4]});
        std::array<char, 64> text{};
        ldns_b32_ntop_extended_hex(&rest[1], rest[0], text.data(), text.size());
        const Bytes owner = record.owner.wire();
        links_.push_back({.at = std::string(as_text(owner.subspan(1, owner[0]))),
                          .next = std::string(text.data()),
                          .owner = {},
                          .next_owner = {},
                          .types = types_in(rest.subspan(1 + size_t{rest[0]})),
                          .opt_out = (data[1] & 1) != 0});
      }
    }
  }

  const Link* match(const Name& name) const {
    const std::string at = is_nsec3_ ? hash(name) : "";
    return find([&](const Link& link) { return is_nsec3_ ? link.at == at : link.owner == name; });
  }
  const Link* cover(const Name& name) const {
    const std::string at = is_nsec3_ ? hash(name) : "";
    return find([&](const Link& link) {
      return is_nsec3_ ? is_between(link.at, at, link.next)
                       : is_between(link.owner, name, link.next_owner);
    });
  }
  bool is_nsec3() const { return is_nsec3_; }

  // The closest encloser that the records show, when they also show that nothing is nearer.
  std::optional<Name> encloser(const Name& name, const Link** nearer = nullptr) const {
    if (!is_nsec3_) {
      const Link* covering = cover(name);
      if (covering == nullptr || covering->next_owner.is_at_or_below(name)) {
        return std::nullopt;
      }
      const Name a = common_ancestor(name, covering->owner);
      const Name b = common_ancestor(name, covering->next_owner);
      return a.label_count() > b.label_count() ? a : b;
    }
    for (Name at = name; !at.is_root();) {
      const Name child = at;
      at = at.parent();
      if (match(at) != nullptr) {
        const Link* covering = cover(child);
        if (nearer != nullptr) {
          *nearer = covering;
        }
        return covering == nullptr ? std::nullopt : std::optional<Name>(at);
      }
    }
    return std::nullopt;
  }

 private:
  template <class Is>
  const Link* find(Is&& is) const {
    const auto at = std::ranges::find_if(links_, is);
    return at == links_.end() ? nullptr : &*at;
  }
  std::string hash(const Name& name) const {
    ldns_rdf* plain = ldns_rdf_new_frm_data(LDNS_RDF_TYPE_DNAME, name.size(), name.wire().data());
    std::vector<uint8_t> salt = salt_;
    ldns_rdf* hashed = ldns_nsec3_hash_name(plain, LDNS_SHA1, iterations_,
                                            static_cast<uint8_t>(salt.size()), salt.data());
    const uint8_t* label = ldns_rdf_data(hashed);
    std::string text(reinterpret_cast<const char*>(label + 1), label[0]);
    ldns_rdf_deep_free(plain);
    ldns_rdf_deep_free(hashed);
    return text;
  }

  std::vector<Link> links_;
  bool is_nsec3_ = false;
  uint16_t iterations_ = 0;
  std::vector<uint8_t> salt_;
};

std::string nxdomain_fault(const Denial& denial, const Name& name) {
  const auto encloser = denial.encloser(name);
  if (!encloser) {
    return "nothing shows that the name does not exist";
  }
  const Link* covering = denial.cover(*encloser->child("*"));
  return covering == nullptr ? "nothing shows that no wildcard is there" : "";
}

std::string nodata_fault(const Denial& denial, const Name& name, uint16_t qtype) {
  if (const Link* link = denial.match(name); link != nullptr) {
    return link->denies(qtype) ? "" : "the record at the name does not deny the type";
  }
  if (!denial.is_nsec3()) {
    const Link* covering = denial.cover(name);
    if (covering != nullptr && covering->next_owner.is_at_or_below(name)) {
      return "";  // an empty non-terminal
    }
  }
  const Link* nearer = nullptr;
  const auto encloser = denial.encloser(name, &nearer);
  if (!encloser) {
    return "nothing shows what the name is";
  }
  const Name wildcard = *encloser->child("*");
  if (const Link* link = denial.match(wildcard); link != nullptr) {
    return link->denies(qtype) ? "" : "the wildcard does not deny the type";
  }
  if (!denial.is_nsec3()) {
    const Link* covering = denial.cover(wildcard);
    return covering != nullptr && covering->next_owner.is_at_or_below(wildcard)
               ? ""
               : "nothing shows what the wildcard is";
  }
  return nearer->opt_out ? "" : "nothing shows the wildcard, and no opt-out";
}

std::string referral_fault(const Denial& denial, const Name& cut) {
  if (const Link* link = denial.match(cut); link != nullptr) {
    return link->types.contains(type::ns) && !link->types.contains(type::ds) &&
                   !link->types.contains(type::soa)
               ? ""
               : "the record at the cut is no insecure delegation's";
  }
  const Link* nearer = nullptr;
  const auto encloser = denial.encloser(cut, &nearer);
  return encloser && denial.is_nsec3() && nearer->opt_out ? ""
                                                          : "nothing shows that there is no DS";
}

bool has(const std::vector<ZoneRecord>& section, const Name& owner, uint16_t wanted) {
  return std::ranges::any_of(section, [&](const ZoneRecord& record) {
    return record.owner == owner && record.type == wanted;
  });
}

std::string expansion_fault(const Name& owner, const ParsedMessage& reply) {
  for (const ZoneRecord& record : reply.answer) {
    if (record.type != type::rrsig || record.owner != owner) {
      continue;
    }
    const size_t labels = record.data[3];
    if (labels >= owner.label_count()) {
      return "the signature is not a wildcard's";
    }
    const Denial denial(reply.authority, signer_of(record));
    const Name next_closer = ancestor(owner, labels + 1);
    const Link* covering = denial.is_nsec3() ? denial.cover(next_closer) : denial.cover(owner);
    return covering == nullptr ? "nothing shows that no name is closer than the wildcard" : "";
  }
  return "no signature over what a wildcard gave";
}

}  // namespace

std::string Validator::signature_fault(const ModelAnswer& right,
                                       const std::vector<ZoneRecord>& section) {
  std::map<std::pair<Name, uint16_t>, std::vector<ZoneRecord>> rrsets;
  std::map<std::pair<Name, uint16_t>, std::vector<ZoneRecord>> signatures;
  for (const ZoneRecord& record : section) {
    if (record.type == type::rrsig) {
      signatures[{record.owner, load_be16(record.data.data())}].push_back(record);
    } else {
      rrsets[{record.owner, record.type}].push_back(record);
    }
  }
  for (const auto& [key, rrset] : rrsets) {
    const auto& [owner, rrset_type] = key;
    const bool is_delegation =
        right.end == End::referral && owner == right.cut && rrset_type == type::ns;
    if (is_delegation || right.synthesized.contains(to_text(rrset[0]))) {
      continue;
    }
    const auto& covering = signatures[key];
    std::string memo;
    for (const auto* records : {&rrset, &covering}) {
      for (const ZoneRecord& record : *records) {
        memo += to_text(record) + "\n";
      }
    }
    if (good_.contains(memo)) {
      continue;
    }
    const bool good = std::ranges::any_of(keys_, [&](const auto& zone) {
      return owner.is_at_or_below(zone.first) && verifies(rrset, covering, zone.second);
    });
    if (!good) {
      return fmt::format("no good signature over {}", to_text(rrset[0]));
    }
    if (rrset[0].ttl != covering[0].ttl) {
      return fmt::format("another TTL than its signature's: {}", to_text(rrset[0]));
    }
    good_.insert(memo);
  }
  return "";
}

std::string Validator::fault(const ModelAnswer& right, uint16_t qtype, const ParsedMessage& reply) {
  for (const auto* section : {&reply.answer, &reply.authority}) {
    if (const std::string found = signature_fault(right, *section); !found.empty()) {
      return found;
    }
  }
  const Denial denial(reply.authority, right.zone);
  for (const Name& owner : right.expanded) {
    if (const std::string found = expansion_fault(owner, reply); !found.empty()) {
      return found;
    }
  }
  switch (right.end) {
    case End::nxdomain:
      return nxdomain_fault(denial, right.name);
    case End::nodata:
      return nodata_fault(denial, right.name, qtype);
    case End::referral:
      return has(reply.authority, right.cut, type::ds) ? "" : referral_fault(denial, right.cut);
    default:
      return "";
  }
}

}  // namespace merlon::tests
