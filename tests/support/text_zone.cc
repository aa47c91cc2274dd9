// SPDX-License-Identifier: Apache-2.0
#include "tests/support/text_zone.h"

#include <fmt/format.h>
#include <ldns/ldns.h>

#include <algorithm>
#include <cstdio>
#include <map>

#include "zones/address/address.h"
#include "zones/base/assert.h"
#include "zones/snapshot/zone_builder.h"
#include "zones/wire/wire.h"

namespace merlon::tests {
namespace {

using snapshot::BodiesBuilder;

struct Free {
  void operator()(ldns_rr* rr) const { ldns_rr_free(rr); }
  void operator()(ldns_rr_list* list) const { ldns_rr_list_deep_free(list); }
  void operator()(ldns_buffer* buffer) const { ldns_buffer_free(buffer); }
  void operator()(std::FILE* file) const { std::fclose(file); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

// The text of a zone that ldns has signed.
std::string sign(const TextZone& zone, std::string text) {
  const Owned<std::FILE> in(fmemopen(text.data(), text.size(), "r"));
  ldns_dnssec_zone* made = nullptr;
  ldns_rdf* apex = ldns_dname_new_frm_str(zone.apex.c_str());
  MERLON_ASSERT(ldns_dnssec_zone_new_frm_fp(&made, in.get(), apex, 300, LDNS_RR_CLASS_IN) ==
                LDNS_STATUS_OK);
  ldns_key* key = ldns_key_new_frm_algorithm(LDNS_SIGN_ECDSAP256SHA256, 256);
  MERLON_ASSERT(key != nullptr);
  ldns_key_set_pubkey_owner(key, ldns_rdf_clone(apex));
  ldns_key_set_flags(key, LDNS_KEY_ZONE_KEY | LDNS_KEY_SEP_KEY);
  ldns_rr* dnskey = ldns_key2rr(key);
  ldns_rr_set_ttl(dnskey, 300);
  ldns_key_set_keytag(key, ldns_calc_keytag(dnskey));
  MERLON_ASSERT(ldns_dnssec_zone_add_rr(made, dnskey) == LDNS_STATUS_OK);
  ldns_key_list* keys = ldns_key_list_new();
  ldns_key_list_push_key(keys, key);
  ldns_rr_list* added = ldns_rr_list_new();
  uint8_t salt[] = {2, 0xab, 0xcd};  // its size first
  const ldns_status signed_well =
      zone.signing == Signing::nsec
          ? ldns_dnssec_zone_sign_flg(made, added, keys, ldns_dnssec_default_replace_signatures,
                                      nullptr, 0)
          : ldns_dnssec_zone_sign_nsec3_flg(
                made, added, keys, ldns_dnssec_default_replace_signatures, nullptr, 1,
                zone.signing == Signing::nsec3_opt_out ? 1 : 0, 1, 2, salt + 1, 0);
  MERLON_ASSERT(signed_well == LDNS_STATUS_OK);
  char* printed = nullptr;
  size_t size = 0;
  {
    const Owned<std::FILE> out(open_memstream(&printed, &size));
    ldns_dnssec_zone_print(out.get(), made);
  }
  std::string result(printed, size);
  std::free(printed);
  ldns_rr_list_free(added);
  ldns_key_list_free(keys);
  ldns_dnssec_zone_deep_free(made);
  ldns_rdf_deep_free(apex);
  return result;
}

name::Name name_of(const ldns_rdf* owner) {
  const auto name = name::Name::from_wire({ldns_rdf_data(owner), ldns_rdf_size(owner)});
  MERLON_ASSERT(name.has_value());
  return name->folded();
}

ZoneRecord record_of(const ldns_rr* rr) {
  ZoneRecord record{
      name_of(ldns_rr_owner(rr)), static_cast<uint16_t>(ldns_rr_get_type(rr)), ldns_rr_ttl(rr), {}};
  const Owned<ldns_buffer> buffer(ldns_buffer_new(1024));
  MERLON_ASSERT(ldns_rr_rdata2buffer_wire(buffer.get(), rr) == LDNS_STATUS_OK);
  const uint8_t* data = ldns_buffer_begin(buffer.get());
  record.data.assign(data, data + ldns_buffer_position(buffer.get()));
  return record;
}

// In memory of ldns; the caller's.
ldns_rr* rr_of(const ZoneRecord& record) {
  std::vector<uint8_t> wire(record.owner.wire().begin(), record.owner.wire().end());
  const size_t at = wire.size();
  wire.resize(at + 10);
  store_be16(&wire[at], record.type);
  store_be16(&wire[at + 2], wire::kClassIn);
  store_be32(&wire[at + 4], record.ttl);
  store_be16(&wire[at + 8], static_cast<uint16_t>(record.data.size()));
  wire.insert(wire.end(), record.data.begin(), record.data.end());
  ldns_rr* rr = nullptr;
  size_t read = 0;
  MERLON_ASSERT(ldns_wire2rr(&rr, wire.data(), wire.size(), &read, LDNS_SECTION_ANSWER) ==
                LDNS_STATUS_OK);
  return rr;
}

Owned<ldns_rr_list> list_of(const std::vector<ZoneRecord>& records) {
  Owned<ldns_rr_list> list(ldns_rr_list_new());
  for (const ZoneRecord& record : records) {
    ldns_rr_list_push_rr(list.get(), rr_of(record));
  }
  return list;
}

uint32_t add_body(BodiesBuilder& own, const std::vector<const ZoneRecord*>& records) {
  own.begin();
  for (const ZoneRecord* record : records) {
    own.add({.type = record->type, .ttl = record->ttl, .data = record->data});
  }
  const auto body = own.end();
  MERLON_ASSERT(body.has_value());
  return *body;
}

std::array<uint8_t, snapshot::kNsec3HashSize> hash_of(const name::Name& owner) {
  constexpr std::string_view kDigits = "0123456789abcdefghijklmnopqrstuv";
  std::array<uint8_t, snapshot::kNsec3HashSize> hash{};
  MERLON_ASSERT(owner.wire()[0] == 32);
  for (size_t bit = 0; bit < hash.size() * 8; ++bit) {
    const size_t digit = kDigits.find(static_cast<char>(owner.wire()[1 + bit / 5]));
    MERLON_ASSERT(digit != std::string_view::npos);
    hash[bit / 8] =
        static_cast<uint8_t>(hash[bit / 8] | (((digit >> (4 - bit % 5)) & 1) << (7 - bit % 8)));
  }
  return hash;
}

// The records of a zone, in RRsets.
struct Collected {
  std::map<name::Name, std::map<uint16_t, std::vector<const ZoneRecord*>>> rrsets;
  std::map<name::Name, std::map<uint16_t, std::vector<const ZoneRecord*>>> signatures;
};

Collected collect(const std::vector<ZoneRecord>& records) {
  Collected collected;
  for (const ZoneRecord& record : records) {
    if (record.type == wire::type::rrsig) {
      collected.signatures[record.owner][load_be16(record.data.data())].push_back(&record);
    } else {
      collected.rrsets[record.owner][record.type].push_back(&record);
    }
  }
  return collected;
}

void set_negative(snapshot::ZoneBuilder& builder, const ZoneRecord& soa) {
  const uint32_t minimum = load_be32(soa.data.data() + soa.data.size() - 4);
  builder.own().begin();
  builder.own().add({.section = BodiesBuilder::Section::authority,
                     .owner = BodiesBuilder::Owner::apex,
                     .type = wire::type::soa,
                     .ttl = std::min(soa.ttl, minimum),
                     .data = soa.data});
  builder.set_negative_body(*builder.own().end());
}

std::shared_ptr<const snapshot::LoadedZone> load(const TextZone& zone,
                                                 const std::vector<ZoneRecord>& records,
                                                 const snapshot::IndexKey& key) {
  const name::Name apex = name::Name::from_text(zone.apex)->folded();
  const auto soa = std::ranges::find(records, wire::type::soa, &ZoneRecord::type);
  MERLON_ASSERT(soa != records.end());
  const uint32_t serial = load_be32(soa->data.data() + soa->data.size() - 20);
  snapshot::ZoneBuilder builder(
      {.apex = apex, .serial = serial, .account = zone.account, .tier_mask = zone.tier_mask});
  Collected collected = collect(records);
  bool has_nsec = false;
  std::vector<snapshot::Nsec3Entry> nsec3;
  for (const auto& [owner, types] : collected.rrsets) {
    for (const auto& [type, rrset] : types) {
      const auto& signatures = collected.signatures[owner];
      const auto covering = signatures.find(type);
      const uint32_t body = add_body(builder.own(), rrset);
      const uint32_t signature = covering == signatures.end()
                                     ? snapshot::kNoBody
                                     : add_body(builder.own(), covering->second);
      if (type == wire::type::nsec3) {
        nsec3.push_back({hash_of(owner), body, signature, 0});
        continue;
      }
      has_nsec = has_nsec || type == wire::type::nsec;
      MERLON_ASSERT(builder.add_rrset(owner, type, 0, body).has_value());
      if (signature != snapshot::kNoBody) {
        MERLON_ASSERT(builder.add_signature(owner, type, signature).has_value());
      }
    }
  }
  for (const auto& [label, tier_mask] : zone.tiers) {
    const auto name = name::Name::from_text(label + "." + zone.apex);
    MERLON_ASSERT(builder.add_node(name->folded(), tier_mask).has_value());
  }
  set_negative(builder, *collected.rrsets[apex][wire::type::soa].at(0));
  MERLON_ASSERT(builder.arrange().has_value());
  for (const snapshot::Nsec3Entry& entry : nsec3) {
    builder.add_nsec3(entry);
  }
  builder.set_denial(!nsec3.empty() ? snapshot::Denial::nsec3
                     : has_nsec     ? snapshot::Denial::nsec
                                    : snapshot::Denial::none);
  const auto bytes = builder.finish();
  MERLON_ASSERT(bytes.has_value());
  auto segment = snapshot::Segment::from_bytes(*bytes);
  MERLON_ASSERT(segment.has_value());
  const auto loaded = snapshot::LoadedZone::make(std::move(*segment), {}, key);
  MERLON_ASSERT(loaded.has_value());
  return *loaded;
}

std::shared_ptr<const snapshot::LoadedAccess> make_access() {
  snapshot::AccessBuilder builder;
  const auto add = [&](std::string_view prefix, const snapshot::Subject& subject) {
    builder.add_source(*address::parse_prefix(prefix), builder.add_subject(subject));
  };
  add("10.0.0.0/8", {1, 1, kTierAll, snapshot::Verb::pass, {}, {}});
  add("127.0.0.0/8", {1, 4, kTierAll, snapshot::Verb::pass, {}, {}});
  add("192.0.2.0/24", {7, 2, kTierBasic, snapshot::Verb::pass, {}, {}});
  add("203.0.113.0/24", {3, 3, kTierAll, snapshot::Verb::empty, {}, {}});
  auto access = std::make_shared<snapshot::LoadedAccess>();
  access->segment = *snapshot::Segment::from_bytes(*builder.finish());
  access->view = *snapshot::AccessView::open(access->segment);
  return access;
}

}  // namespace

std::vector<ZoneRecord> read_zone(const TextZone& zone) {
  std::string text = fmt::format("$ORIGIN {}\n$TTL 300\n{}\n", zone.apex, zone.text);
  if (zone.signing != Signing::none) {
    text = sign(zone, text);
  }
  const Owned<std::FILE> in(fmemopen(text.data(), text.size(), "r"));
  uint32_t ttl = 300;
  ldns_rdf* origin = ldns_dname_new_frm_str(zone.apex.c_str());
  ldns_rdf* previous = nullptr;
  int line = 0;
  std::vector<ZoneRecord> records;
  while (std::feof(in.get()) == 0) {
    ldns_rr* rr = nullptr;
    const ldns_status status = ldns_rr_new_frm_fp_l(&rr, in.get(), &ttl, &origin, &previous, &line);
    if (status == LDNS_STATUS_OK) {
      records.push_back(record_of(rr));
      ldns_rr_free(rr);
    } else if (status != LDNS_STATUS_SYNTAX_TTL && status != LDNS_STATUS_SYNTAX_ORIGIN &&
               status != LDNS_STATUS_SYNTAX_EMPTY) {
      fmt::print(stderr, "zone {} line {}: {}\n", zone.apex, line, ldns_get_errorstr_by_id(status));
      MERLON_ASSERT(status == LDNS_STATUS_OK);
    }
  }
  ldns_rdf_deep_free(origin);
  ldns_rdf_deep_free(previous);
  return records;
}

const snapshot::Subject* TextSnapshot::subject(std::string_view source) const {
  const uint32_t index = snapshot->access()->view.find(*address::parse_address(source));
  return index == snapshot::kNoSubject ? nullptr : &snapshot->subject(index);
}

TextSnapshot make_text_snapshot(const std::vector<TextZone>& zones) {
  TextSnapshot made;
  made.key = fixed_index_key();
  std::vector<std::shared_ptr<const snapshot::LoadedZone>> loaded;
  for (const TextZone& zone : zones) {
    made.zones.push_back(read_zone(zone));
    loaded.push_back(load(zone, made.zones.back(), made.key));
  }
  made.snapshot = *snapshot::Snapshot::assemble(1, std::move(loaded), make_access(), made.key);
  return made;
}

ParsedMessage parse_message(Bytes message) {
  wire::Reader reader(message);
  ParsedMessage parsed;
  reader.skip(2);
  parsed.flags = reader.u16();
  std::array<unsigned, 4> counts;
  for (unsigned& count : counts) {
    count = reader.u16();
  }
  for (unsigned i = 0; i < counts[0]; ++i) {
    reader.name();
    reader.skip(4);
  }
  for (size_t section = 1; section < 4; ++section) {
    for (unsigned i = 0; i < counts[section]; ++i) {
      ZoneRecord record;
      record.owner = reader.name().folded();
      record.type = reader.u16();
      reader.skip(2);
      record.ttl = reader.u32();
      const Bytes data = reader.bytes(reader.u16());
      record.data.assign(data.begin(), data.end());
      if (record.type != wire::type::opt) {
        (section == 1   ? parsed.answer
         : section == 2 ? parsed.authority
                        : parsed.additional)
            .push_back(std::move(record));
      }
    }
  }
  MERLON_ASSERT(reader.ok() && reader.remaining() == 0);
  return parsed;
}

std::string to_text(const ZoneRecord& record) {
  const Owned<ldns_rr> rr(rr_of(record));
  char* text = ldns_rr2str(rr.get());
  std::string all(text);
  std::free(text);
  // owner, TTL, class, type, data, with tabs between.
  const size_t ttl = all.find('\t');
  const size_t type = all.find('\t', all.find('\t', ttl + 1) + 1);
  std::string line = all.substr(0, ttl) + all.substr(type, all.find('\n') - type);
  std::ranges::replace(line, '\t', ' ');
  return line;
}

uint16_t type_of(std::string_view text) {
  return static_cast<uint16_t>(ldns_get_rr_type_by_name(std::string(text).c_str()));
}

bool verifies(const std::vector<ZoneRecord>& rrset, const std::vector<ZoneRecord>& signatures,
              const std::vector<ZoneRecord>& keys) {
  const auto rrs = list_of(rrset);
  const auto key_list = list_of(keys);
  return std::ranges::any_of(signatures, [&](const ZoneRecord& signature) {
    const Owned<ldns_rr> rrsig(rr_of(signature));
    ldns_rr_list* good = ldns_rr_list_new();
    const ldns_status status =
        ldns_verify_rrsig_keylist(rrs.get(), rrsig.get(), key_list.get(), good);
    ldns_rr_list_free(good);
    return status == LDNS_STATUS_OK;
  });
}

}  // namespace merlon::tests
