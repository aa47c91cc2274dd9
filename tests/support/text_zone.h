// SPDX-License-Identifier: Apache-2.0
// Zones written as text (RFC 1035 section 5), signed with keys made on the spot when asked for,
// loaded and ready to be asked; replies as text again. ldns reads, signs, prints and verifies, so
// that what is tested does not vouch for itself.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/snapshot_fixture.h"
#include "zones/base/bytes.h"
#include "zones/name/name.h"
#include "zones/snapshot/snapshot.h"

namespace merlon::tests {

enum class Signing : uint8_t { none, nsec, nsec3, nsec3_opt_out };

struct TextZone {
  std::string apex;
  std::string text;  // `$ORIGIN` and `$TTL 300` are in front of it
  Signing signing = Signing::none;
  uint32_t account = 0;
  uint32_t tier_mask = kTierAll;
  // Names of another tier, relative to the apex.
  std::vector<std::pair<std::string, uint32_t>> tiers{};
};

struct ZoneRecord {
  name::Name owner;
  uint16_t type = 0;
  uint32_t ttl = 0;
  std::vector<uint8_t> data;
};

// What the zone holds once it is signed. An error in the text is an assertion.
std::vector<ZoneRecord> read_zone(const TextZone& zone);

// A snapshot of these zones. Everybody from 10.0.0.0/8 and 127.0.0.0/8 is account 1 and of every
// tier, 192.0.2.0/24 account 7 and basic, 203.0.113.0/24 account 3 with the verb `empty`.
struct TextSnapshot {
  std::vector<std::vector<ZoneRecord>> zones;
  snapshot::IndexKey key;
  std::shared_ptr<const snapshot::Snapshot> snapshot;

  const snapshot::Subject* subject(std::string_view source) const;
};
TextSnapshot make_text_snapshot(const std::vector<TextZone>& zones);

// A parsed message: its records in order, owners folded.
struct ParsedMessage {
  uint16_t flags = 0;
  std::vector<ZoneRecord> answer;
  std::vector<ZoneRecord> authority;
  std::vector<ZoneRecord> additional;  // without OPT

  uint16_t rcode() const { return flags & 15; }
  bool authoritative() const { return (flags & 0x0400) != 0; }
  bool truncated() const { return (flags & 0x0200) != 0; }
};
// Malformed messages are an assertion.
ParsedMessage parse_message(Bytes message);

// "owner TYPE data", as zone files have it.
std::string to_text(const ZoneRecord& record);
uint16_t type_of(std::string_view text);

// Whether one of the signatures over the RRset verifies with one of the DNSKEY records, now.
bool verifies(const std::vector<ZoneRecord>& rrset, const std::vector<ZoneRecord>& signatures,
              const std::vector<ZoneRecord>& keys);

}  // namespace merlon::tests
