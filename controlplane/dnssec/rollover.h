// SPDX-License-Identifier: Apache-2.0
// The keys of a zone and how one replaces another (RFC 7583, RFC 6781 section 4.1): a state
// machine of plain values. Each step changes what the zone shows, and the next may follow only when
// every resolver has forgotten what it saw before. Its wait begins when the zone that shows the
// step is in service (published()), not when it was decided: a publish that fails, or a machine
// that is off for a week, makes a rollover longer, never wrong.
//
//   zsk        publish   the new DNSKEY is shown              until all know it
//   (pre-      swap      the new key signs, the old is shown  until the old signatures are
//   forgotten publish)   -         the old DNSKEY goes ksk        publish   both DNSKEYs are shown,
//   both sign the DNSKEY RRset   until all know it (double-   parent    CDS names the new key until
//   all trust it: the parent's DS signature)           was seen and the old one forgotten, or RFC
//   5011's hold-down is over
//              -         the old DNSKEY goes
//   with a CSK the zone's other signatures are swapped at `parent`
//   algorithm  presign   the zone is signed with both, the DNSKEY RRset as before
//              publish   all DNSKEYs are shown
//              parent    as above
//              withdraw  the old DNSKEYs go, their signatures stay
//              -         the old signatures go
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "controlplane/dnssec/keys.h"
#include "zones/base/error.h"

namespace merlon::dnssec {

// Times in Unix seconds, 0: not yet.
struct KeyState {
  uint32_t id = 0;  // within the zone, never used again
  Role role = Role::csk;
  Algorithm algorithm = Algorithm::ecdsa_p256;
  std::vector<uint8_t> public_key{};  // empty: to be generated
  int64_t created = 0;
  int64_t publish = 0;  // the DNSKEY is shown from here
  int64_t active = 0;   // signs from here
  int64_t retire = 0;   // no longer signs
  int64_t remove = 0;   // the DNSKEY is no longer shown

  bool is_sep() const { return role != Role::zsk; }
  bool is_shown() const { return publish != 0 && remove == 0; }
  bool signs_keys() const { return is_sep() && is_shown(); }
  bool signs_zone() const { return role != Role::ksk && active != 0 && retire == 0; }
  bool is_in_use() const { return remove == 0 || (role != Role::ksk && retire == 0); }
  std::vector<uint8_t> dnskey() const {
    return dnskey_rdata(flags_of(role), algorithm, public_key);
  }
};

enum class RolloverKind : uint8_t { none, zsk, ksk, algorithm };
enum class Step : uint8_t { none, presign, publish, parent, swap, withdraw };
std::string_view to_string(RolloverKind kind);
std::string_view to_string(Step step);
Result<RolloverKind> parse_rollover_kind(std::string_view text);
Result<Step> parse_step(std::string_view text);

struct Rollover {
  RolloverKind kind = RolloverKind::none;
  Step step = Step::none;
  uint32_t first_new_id = 0;  // keys from this one on replace those before
  int64_t since = 0;          // when the step went into service; 0: not yet
  int64_t ds_seen = 0;        // when the parent's new DS was confirmed
};

struct ZoneKeys {
  std::vector<KeyState> keys;
  Rollover rollover;
  // The largest TTLs that this zone ever had: how long resolvers may remember it.
  int64_t zone_ttl_max_s = 0;
  int64_t dnskey_ttl_max_s = 0;
};

enum class Layout : uint8_t { csk, split };  // one key, or KSK and ZSK
// How the world learns which KSK to trust.
enum class Trust : uint8_t {
  confirmed,  // somebody says that the DS (or the customers' trust anchors) are changed
  hold_down,  // resolvers follow by RFC 5011
};

struct RolloverPolicy {
  Layout layout = Layout::csk;
  Algorithm algorithm = Algorithm::ecdsa_p256;
  Trust trust = Trust::confirmed;
  int64_t propagation_s = 3600;      // until every server has a generation
  int64_t parent_ds_ttl_s = 86400;   // of the DS RRset
  int64_t hold_down_s = 30 * 86400;  // RFC 5011 section 2.4.1
  int64_t signature_validity_s = 14 * 86400;
  int64_t zsk_lifetime_s = 0;  // 0: until somebody asks for another
  int64_t ksk_lifetime_s = 0;
};

inline constexpr int64_t kNever = INT64_MAX;

// The keys of a zone that has none: active at once, since nobody can remember anything else.
ZoneKeys initial_keys(const RolloverPolicy& policy, int64_t now);

// Begins a rollover; its keys are to be generated. Errors: conflict (one is under way, or it makes
// no sense for these keys).
Status start_rollover(ZoneKeys& zone, RolloverKind kind, const RolloverPolicy& policy, int64_t now);
// Goes one step on when it is time, or begins what the lifetimes ask for. True: something changed.
bool advance(ZoneKeys& zone, const RolloverPolicy& policy, int64_t now);
// A zone as of now is in service. True: something changed.
bool published(ZoneKeys& zone, int64_t now);
// The parent shows the DS of the new key, or the customers have its trust anchor. Errors: conflict
// (nothing waits for it).
Status ds_seen(ZoneKeys& zone, int64_t now);

// Drops keys that have been out of use for 90 days: until then somebody may ask which key made a
// signature. True: something changed.
bool drop_unused(ZoneKeys& zone, int64_t now);

// When advance() will do something; kNever while it waits for a publication or a person.
int64_t next_step_at(const ZoneKeys& zone, const RolloverPolicy& policy);
// Whether CDS and trust anchors are to name the key.
bool is_trust_anchor(const ZoneKeys& zone, const KeyState& key);
// Errors: conflict when no key may sign: all are retired or removed.
Status check_usable(const ZoneKeys& zone);

}  // namespace merlon::dnssec
