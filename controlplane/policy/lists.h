// SPDX-License-Identifier: Apache-2.0
// Which shared lists exist and what they hold.
//   feed      one per enabled block feed that has been applied, named by the feed's id
//   category  one per category that such feeds have, named by the category
//   basic     all such feeds that say in_basic
// Feeds of direction allow make no list: their addresses are taken out of every list.
// A category list has tier basic, so a feed that only higher tiers may see stays out of it;
// in_basic is the operator's own word and puts a feed of any tier into `basic`.
//
// Names. A list called x that outgrows one DNS name continues as x1, x2, ... so it owns x and x
// followed by digits. Two lists collide when one's name is the other's, or the other's followed by
// digits only. Feed ids are checked against feeds, categories and reserved names when a feed is
// added (Store::add_feed), so that the names of shared_lists() never collide.
// Pure functions, thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/store/model.h"
#include "zones/address/range_set.h"

namespace merlon::policy {

inline constexpr std::string_view kBasicList = "basic";
inline constexpr std::string_view kCatalogLabel = "catalog";  // <device>.catalog.<account>.<suffix>
inline constexpr std::string_view kRpzLabel = "rpz";          // <policy>.rpz.<account>.<suffix>
// What the zone's own NS and SOA records name. A list there would make its entries our name server.
inline constexpr std::string_view kNameServerLabel = "ns1";
inline constexpr std::string_view kMailboxLabel = "hostmaster";
// No feed and no category may be called so.
inline constexpr auto kOwnLabels =
    std::to_array<std::string_view>({kBasicList, kRpzLabel, kNameServerLabel, kMailboxLabel});

// The names of feeds/categories.h, each of which may name a list. Repeated here because a policy is
// made of names alone; a category beyond these is reserved once a feed has it (Store::add_feed).
inline constexpr auto kCategoryNames = std::to_array<std::string_view>({
    "blacklist",
    "botnet",
    "brute-force",
    "c2-server",
    "ddos",
    "ddos-amplifier",
    "dga-domain",
    "dos",
    "exploit",
    "harmful-speech",
    "ids-alert",
    "infected-system",
    "malware",
    "malware-configuration",
    "malware-distribution",
    "masquerade",
    "other",
    "phishing",
    "potentially-unwanted-accessible",
    "proxy",
    "scanner",
    "social-engineering",
    "spam",
    "system-compromise",
    "test",
    "tor",
    "undetermined",
    "vulnerable-system",
});

// Names that no feed may take: kOwnLabels and every category.
std::vector<std::string> reserved_list_names();

// Whether `name` is that of the list or of a part that it has or may come to have.
bool owns_name(std::string_view list, std::string_view name);

// Why a list called `candidate` cannot exist beside these names; "" when it can.
std::string list_name_conflict(std::span<const std::string> existing, std::string_view candidate);

struct ListDefinition {
  enum class Kind : uint8_t { feed, category, basic };

  std::string name;
  Kind kind = Kind::feed;
  store::Tier tier = store::Tier::basic;
  std::vector<std::string> feeds{};  // ids, sorted
  bool operator==(const ListDefinition&) const = default;
};
std::string_view to_string(ListDefinition::Kind kind);

// Sorted by name; the same records in any order give the same lists.
std::vector<ListDefinition> shared_lists(const std::vector<store::FeedRecord>& feeds);

// The set in force of a feed, by id. The reference must hold until the called function returns.
using SetOf = std::function<const store::FeedSet&(const std::string&)>;

// What the enabled allow-direction feeds list.
address::IpSet allowed_addresses(const std::vector<store::FeedRecord>& feeds, const SetOf& set_of);

// The three sets are disjoint and complete: what the feeds list is exactly addresses +
// taken_out_protected + taken_out_allowed, and no address is in two of them (one that is
// both protected and allowed counts as protected).
struct ListContent {
  address::IpSet addresses;
  // The part of `addresses` that some feed lists in a prefix no wider than NarrowFrom. Kept apart
  // because `addresses` is merged: two /24 side by side are one /23 there, but were listed narrow.
  address::IpSet narrow;
  address::IpSet taken_out_protected;
  address::IpSet taken_out_allowed;
  std::vector<std::string> domains;  // sorted, unique
};

// The shortest prefixes that count as narrow.
struct NarrowFrom {
  int length4 = 24;
  int length6 = 124;
};
ListContent compose(const ListDefinition& list, const SetOf& set_of, const address::IpSet& allowed,
                    const NarrowFrom& narrow_from);

}  // namespace merlon::policy
