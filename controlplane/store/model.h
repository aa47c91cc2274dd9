// SPDX-License-Identifier: Apache-2.0
// What the platform knows, as plain values: feed definitions and their state, what a feed lists,
// who listed an indicator since when, accounts with their devices, lists and policies. Times are
// Unix seconds (UTC); 0 means never.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "zones/address/address.h"
#include "zones/address/range_set.h"

namespace merlon::store {

enum class Direction : uint8_t { block, allow };

// Who may see a list. A tier sees its own lists and those of the tiers below it.
enum class Tier : uint8_t { community = 0, basic = 1, advanced = 2, operator_ = 3 };

struct FeedDefinition {
  std::string id;     // also its list's label: [a-z0-9-]{1,40}; collisions: policy/lists.h
  std::string title;  // free text
  std::string url;    // its scheme says how it comes: fetch/fetch.h
  std::string format = "auto";
  std::string category = "blacklist";  // an RSIT type, see feeds/categories.h
  uint8_t severity = 3;                // 0..5
  uint8_t confidence = 50;             // 0..100
  Direction direction = Direction::block;
  Tier tier = Tier::basic;
  bool in_basic = true;  // its addresses go into the shared list `basic`
  bool enabled = true;
  uint32_t interval_s = 3600;
  uint32_t timeout_s = 60;
  uint64_t size_max_bytes = 64 << 20;
  // Where it comes from and under what terms; free text for people.
  std::string provider = {};
  std::string licence = {};
  std::string homepage = {};
  // How we show who we are, as one line: fetch/credentials.h. Secrets themselves are in files.
  std::string credentials = {};
  bool private_hosts = false;  // its URL may lead to private, loopback and link-local addresses
  // When what it no longer names, or named long ago, stops counting: store/ageing.h.
  std::string ageing = "sudden_death";
  // Feeds that it takes its entries from: what both list has been said once.
  std::vector<std::string> copies = {};

  bool operator==(const FeedDefinition&) const = default;
};

enum class FeedHealth : uint8_t {
  never_fetched,
  good,         // the last attempt was applied or had nothing new
  failed,       // the last attempt did not bring content; the last good copy stays in force
  quarantined,  // content came but was not believed; the last good copy stays in force
};

struct RejectedLine {
  uint64_t line = 0;   // 1-based
  std::string reason;  // a name from the parser's list of reasons
  std::string text;    // at most 120 bytes, control characters replaced
};

struct FeedState {
  FeedHealth health = FeedHealth::never_fetched;
  std::string reason;  // why failed or quarantined; "" when good
  int64_t last_attempt = 0;
  int64_t last_good = 0;          // last time the source confirmed or renewed the content
  int64_t last_changed = 0;       // last time the content differed from before
  int64_t not_before = 0;         // its server asked to be left alone until then
  uint64_t last_duration_ms = 0;  // of the last attempt to fetch it
  std::string format;             // what the parser took the content for
  std::string etag;
  std::string last_modified;
  uint64_t size_bytes = 0;
  uint64_t line_count = 0;
  uint64_t rejected_count = 0;
  std::vector<std::pair<std::string, uint64_t>> rejected_by_reason;
  std::vector<RejectedLine> rejected_examples;  // the first ten
  // What the set in force holds.
  uint64_t prefix4_count = 0;
  uint64_t prefix6_count = 0;
  uint64_t domain_count = 0;
};

// What one feed lists now, as listed: ranges cut into prefixes but neighbours not merged, so that
// each entry keeps its own history. Each vector is sorted and unique; domains are in folded text
// form without the final dot.
struct FeedSet {
  std::vector<address::Prefix<address::Bits4>> v4;
  std::vector<address::Prefix<address::Bits6>> v6;
  std::vector<std::string> domains;

  bool empty() const { return v4.empty() && v6.empty() && domains.empty(); }
  address::IpSet addresses() const;  // merged into ranges
  void normalise();                  // sorts and makes unique
  bool operator==(const FeedSet&) const = default;
};

struct FeedRecord {
  FeedDefinition definition;
  FeedState state;
};

// A time during which an indicator counted as listed by a source.
struct Interval {
  int64_t from = 0;
  int64_t until = 0;  // 0: it still does
  bool operator==(const Interval&) const = default;
};

// One source's word on one indicator.
struct Observation {
  std::string value;  // the indicator as listed: an address, a prefix or a domain
  std::string feed;
  int64_t first_seen = 0;
  int64_t last_seen = 0;                 // for a listed indicator, the feed's last_good
  bool listed = false;                   // false: withdrawn at last_seen, or aged out then
  std::vector<Interval> intervals = {};  // oldest first
  // When it stops counting by itself (ageing.h); 0: not before the source withdraws it.
  int64_t ages_out = 0;
  bool gone = false;  // listed only because of its ageing: the source no longer names it
};

struct Device {
  std::string name;  // [a-z0-9-]{1,40}
  std::string account;
  Tier tier = Tier::basic;
  std::vector<address::AnyPrefix> sources;
  int64_t created = 0;
  uint32_t number = 0;          // assigned by the store, never reused
  uint32_t account_number = 0;  // assigned by the store, never reused; 0 is nobody
  // Names of others that it asks for are looked up for it, under a DNS policy of its account.
  bool recursion = false;
  std::string dns_policy{};  // "": all of the account's, in the order of their names
  // What it signs transfers with; the key is called <device>.<account>.<suffix>.
  std::string tsig_algorithm{};  // "hmac-sha256" or "hmac-sha512"; "": no key, access by source
  std::string tsig_secret{};     // base64
  std::vector<std::string> notify{};  // who is told of changes: addresses, with or without a port
  std::string certificate{};   // SHA-256 (lower-case hex) of the one it must show over TLS; "": any
  std::string token_digest{};  // SHA-256 (lower-case hex) of its token for zone files; "": none

  bool operator==(const Device&) const = default;
};

// Where a device is told of changes.
struct NotifyTarget {
  address::Address address{};
  uint16_t port = 53;
};
// "192.0.2.1", "192.0.2.1:5353", "2001:db8::1", "[2001:db8::1]:5353"; nullopt: none of these.
std::optional<NotifyTarget> parse_notify_target(std::string_view text);

// An account: the devices, lists and policies of one customer. Its name is a DNS label, so its
// names are <list>.<account>.<suffix> and <policy>.rpz.<account>.<suffix>.
struct Account {
  std::string name;   // [a-z0-9-]{1,40}; not a name of a shared list
  std::string title;  // free text
  Tier tier = Tier::advanced;
  int64_t created = 0;
  uint32_t number = 0;  // assigned by the store, never reused; 0 is nobody

  bool operator==(const Account&) const = default;
};

// One entry of an account's own list.
struct CustomEntry {
  std::string value;    // canonical: an address, a prefix, a range a-b, a domain or *.domain
  std::string comment;  // free text, at most 200 bytes
  int64_t created = 0;
  int64_t expires = 0;  // 0: never

  bool operator==(const CustomEntry&) const = default;
};

// A list that an account keeps itself: what its policies block (or allow) besides feeds. A block
// list with addresses is also published under its own name.
struct CustomList {
  std::string account;
  std::string name;   // [a-z0-9-]{1,40}; with its policies one set of names: Store::add_list
  std::string title;  // free text
  Direction direction = Direction::block;  // for good: what was checked depends on it
  int64_t created = 0;
  int64_t changed = 0;  // newest change of its entries
  uint64_t entry_count = 0;
  uint32_t number = 0;          // assigned by the store, never reused
  uint32_t account_number = 0;  // assigned by the store
  bool operator==(const CustomList&) const = default;
};

// What a DNS policy does with a name that it lists. `garden`: CNAME to the policy's garden.
enum class Action : uint8_t { nxdomain, nodata, passthru, drop, tcp_only, garden };

// Some of what the feeds list: that of every feed which meets all conditions.
struct Target {
  std::vector<std::string> feeds;       // any of these; empty: of any feed
  std::vector<std::string> categories;  // any of these; empty: of any category
  uint8_t severity_min = 0;             // 0..5
  uint8_t confidence_min = 0;           // 0..100
  Action action = Action::nxdomain;     // DNS policies only
  // Of what those feeds list, addresses in any of these countries (ISO 3166, upper case) and any of
  // these autonomous systems; empty: anywhere. Domains are nowhere: a target that names a place
  // takes none.
  std::vector<std::string> countries = {};
  std::vector<uint32_t> asns = {};
  bool operator==(const Target&) const = default;
};

enum class PolicyKind : uint8_t { ip, dns };

struct Policy {
  std::string account;
  std::string name;   // [a-z0-9-]{1,40}; unique in the account together with its lists
  std::string title;  // free text
  PolicyKind kind = PolicyKind::ip;
  std::vector<Target> targets;
  std::vector<std::string> lists;  // the account's own: block lists add, allow lists take out
  Action list_action = Action::nxdomain;  // of its block lists; DNS policies only
  std::string garden;                     // a domain or *.domain, where an action needs one
  std::string profile;    // what its devices can take: policy/profiles.h; "": default
  uint64_t capacity = 0;  // addresses in all; 0: as the profile says
  int64_t created = 0;
  int64_t changed = 0;          // newest change of the definition
  uint32_t number = 0;          // assigned by the store, never reused
  uint32_t account_number = 0;  // assigned by the store
  bool operator==(const Policy&) const = default;
};

std::string_view to_string(Action action);
std::string_view to_string(PolicyKind kind);
bool parse_action(std::string_view text, Action& out);
bool parse_policy_kind(std::string_view text, PolicyKind& out);

std::string_view to_string(Direction direction);
std::string_view to_string(Tier tier);
std::string_view to_string(FeedHealth health);
bool parse_direction(std::string_view text, Direction& out);
bool parse_tier(std::string_view text, Tier& out);

}  // namespace merlon::store
