// SPDX-License-Identifier: Apache-2.0
#include "controlplane/policy/policies.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>

#include "controlplane/policy/profiles.h"
#include "controlplane/policy/protected_set.h"

namespace merlon::policy {
namespace {

using address::AnyRange;
using address::Bits4;
using address::Bits6;
using address::IpSet;
using address::Range;

// Of every list; they count as addresses of the device's.
constexpr uint64_t kTestAddressCount = 2;

bool names(std::span<const std::string> wanted, const std::string& name) {
  return wanted.empty() || std::ranges::find(wanted, name) != wanted.end();
}

bool in_force(const store::CustomEntry& entry, int64_t now) {
  return entry.expires == 0 || entry.expires > now;
}

// Both families' ranges, not yet merged.
struct Collected {
  std::vector<Range<Bits4>> v4;
  std::vector<Range<Bits6>> v6;

  void add(const AnyRange& range) {
    range.family == address::Family::v4 ? v4.push_back(range.v4()) : v6.push_back(range.v6());
  }
  IpSet take() {
    return {address::RangeSet4::from_unsorted(std::move(v4)),
            address::RangeSet6::from_unsorted(std::move(v6))};
  }
};

// The parts of an entry that are prefixes no wider than NarrowFrom.
void add_narrow(const AnyRange& range, const NarrowFrom& from, Collected& out) {
  if (range.family == address::Family::v4) {
    address::for_each_prefix<Bits4>(range.v4(), [&](address::Prefix<Bits4> prefix) {
      if (prefix.length >= from.length4) {
        out.v4.push_back(prefix.range());
      }
    });
  } else {
    address::for_each_prefix<Bits6>(range.v6(), [&](address::Prefix<Bits6> prefix) {
      if (prefix.length >= from.length6) {
        out.v6.push_back(prefix.range());
      }
    });
  }
}

bool uses(const store::Policy& policy, const store::CustomList& list) {
  return list.account == policy.account &&
         std::ranges::find(policy.lists, list.name) != policy.lists.end();
}

IpSet allowed_by(std::span<const OwnList> lists, const SelectionContext& context) {
  IpSet allowed;
  for (const OwnList& list : lists) {
    if (list.list.direction == store::Direction::allow) {
      allowed = allowed.united(addresses_of(list, context.narrow_from, context.now).all);
    }
  }
  return allowed;
}

Selection::Chosen chosen_of(const store::FeedDefinition& feed, int number) {
  return {.feed = static_cast<uint16_t>(number), .score = score_of(feed.severity, feed.confidence)};
}

// `ids` as parts_of() gives them.
void choose(std::span<const std::string> ids, const SelectionContext& context,
            Selection& selection) {
  for (const std::string& id : ids) {
    const std::string_view feed = std::string_view(id).substr(0, id.find('|'));
    const auto record = std::ranges::find(context.feeds, feed, [](const store::FeedRecord& one) {
      return std::string_view(one.definition.id);
    });
    const int number = context.universe.feed_number(id);
    if (number >= 0 && record != context.feeds.end()) {
      selection.feeds.push_back(chosen_of(record->definition, number));
    }
  }
  std::ranges::sort(selection.feeds, {}, &Selection::Chosen::feed);
}

std::vector<std::string_view> profile_names() {
  std::vector<std::string_view> names;
  for (const Profile& profile : profiles()) {
    names.push_back(profile.name);
  }
  return names;
}

std::string text_of(const AnyRange& range) {
  return range.family == address::Family::v4 ? address::to_text(range.v4())
                                             : address::to_text(range.v6());
}

// The first range of `never` that an entry hits.
std::optional<AnyRange> hit(const AnyRange& entry, const IpSet& never) {
  if (entry.family == address::Family::v4) {
    const auto both = address::RangeSet4::from_normal({entry.v4()}).intersected(never.v4);
    return both.empty() ? std::nullopt
                        : std::optional(AnyRange{entry.family, both.ranges()[0].first,
                                                 both.ranges()[0].last});
  }
  const auto both = address::RangeSet6::from_normal({entry.v6()}).intersected(never.v6);
  return both.empty()
             ? std::nullopt
             : std::optional(AnyRange{entry.family, both.ranges()[0].first, both.ranges()[0].last});
}

}  // namespace

bool meets(const store::Target& target, const store::FeedDefinition& feed) {
  return names(target.feeds, feed.id) && names(target.categories, feed.category) &&
         feed.severity >= target.severity_min && feed.confidence >= target.confidence_min;
}

std::vector<std::string> feeds_of(const store::Policy& policy,
                                  std::span<const store::FeedRecord> feeds) {
  std::vector<std::string> ids;
  for (const store::FeedRecord& feed : feeds) {
    const store::FeedDefinition& definition = feed.definition;
    if (definition.enabled && definition.direction == store::Direction::block &&
        std::ranges::any_of(policy.targets,
                            [&](const auto& target) { return meets(target, definition); })) {
      ids.push_back(definition.id);
    }
  }
  std::ranges::sort(ids);
  return ids;
}

std::string places_of(const store::Target& target) {
  if (target.countries.empty() && target.asns.empty()) {
    return "";
  }
  std::vector<std::string> countries = target.countries;
  std::vector<uint32_t> asns = target.asns;
  std::ranges::sort(countries);
  std::ranges::sort(asns);
  return fmt::format("{}/{}", fmt::join(countries, ","), fmt::join(asns, ","));
}

std::string part_id(const std::string& feed, std::string_view places) {
  return places.empty() ? feed : fmt::format("{}|{}", feed, places);
}

std::vector<std::string> parts_of(const store::Policy& policy,
                                  std::span<const store::FeedRecord> feeds) {
  std::vector<std::string> ids;
  for (const store::FeedRecord& feed : feeds) {
    const store::FeedDefinition& definition = feed.definition;
    std::vector<std::string> places;
    for (const store::Target& target : policy.targets) {
      if (definition.enabled && definition.direction == store::Direction::block &&
          meets(target, definition)) {
        places.push_back(places_of(target));
      }
    }
    const bool whole = std::ranges::find(places, "") != places.end();
    for (const std::string& place : whole ? std::vector<std::string>{""} : places) {
      ids.push_back(part_id(definition.id, place));
    }
  }
  std::ranges::sort(ids);
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

store::FeedSet part_of(const store::FeedSet& set, const address::IpSet& within) {
  store::FeedSet part;
  const auto cut = [](const auto& prefixes, const auto& ranges, auto& out) {
    for (const auto& prefix : prefixes) {
      const auto whole = prefix.range();
      using Bits = decltype(whole.first);
      auto at = std::ranges::lower_bound(ranges, whole.first, {},
                                         [](const auto& range) { return range.last; });
      for (; at != ranges.end() && at->first <= whole.last; ++at) {
        const Range<Bits> both{std::max(at->first, whole.first), std::min(at->last, whole.last)};
        address::for_each_prefix<Bits>(both, [&](const auto& one) { out.push_back(one); });
      }
    }
  };
  cut(set.v4, within.v4.ranges(), part.v4);
  cut(set.v6, within.v6.ranges(), part.v6);
  part.normalise();
  return part;
}

OwnAddresses addresses_of(const OwnList& list, const NarrowFrom& narrow_from, int64_t now) {
  Collected all;
  Collected narrow;
  for (const store::CustomEntry& entry : list.entries) {
    if (!in_force(entry, now)) {
      continue;
    }
    if (const auto range = address::parse_range(entry.value)) {
      all.add(*range);
      add_narrow(*range, narrow_from, narrow);
    }
  }
  return {all.take(), narrow.take()};
}

int64_t next_expiry(std::span<const OwnList> lists, int64_t now) {
  int64_t next = 0;
  for (const OwnList& list : lists) {
    for (const store::CustomEntry& entry : list.entries) {
      if (entry.expires > now && (next == 0 || entry.expires < next)) {
        next = entry.expires;
      }
    }
  }
  return next;
}

Result<Selection> select_policy(const store::Policy& policy, std::span<const OwnList> lists,
                                const SelectionContext& context) {
  const Profile* profile = find_profile(policy.profile);
  if (profile == nullptr) {
    return fail(ErrorCode::invalid_argument,
                "policy {}/{}: there is no profile \"{}\"; there are {}", policy.account,
                policy.name, policy.profile, fmt::join(profile_names(), ", "));
  }
  Selection selection;
  choose(parts_of(policy, context.feeds), context, selection);
  size_t found = 0;
  for (const OwnList& list : lists) {
    if (!uses(policy, list.list)) {
      continue;
    }
    ++found;
    const OwnAddresses own = addresses_of(list, context.narrow_from, context.now);
    if (list.list.direction == store::Direction::block) {
      selection.block = selection.block.united(own.all);
      selection.block_narrow = selection.block_narrow.united(own.narrow);
    } else {
      selection.allow = selection.allow.united(own.all);
    }
  }
  if (found < policy.lists.size()) {
    return fail(ErrorCode::not_found, "policy {}/{}: of its lists {} only {} exist", policy.account,
                policy.name, fmt::join(policy.lists, ", "), found);
  }
  uint64_t capacity = policy.capacity;
  if (profile->capacity != 0 && (capacity == 0 || profile->capacity < capacity)) {
    capacity = profile->capacity;
  }
  selection.capacity =
      capacity == 0 ? 0 : std::max(capacity, kTestAddressCount + 1) - kTestAddressCount;
  return selection;
}

Selection select_shared(const ListDefinition& list, const SelectionContext& context) {
  Selection selection;
  choose(list.feeds, context, selection);
  return selection;
}

Selection select_own_list(const OwnList& list, std::span<const OwnList> allow_lists,
                          const SelectionContext& context) {
  OwnAddresses own = addresses_of(list, context.narrow_from, context.now);
  Selection selection;
  selection.block = std::move(own.all);
  selection.block_narrow = std::move(own.narrow);
  selection.allow = allowed_by(allow_lists, context);
  return selection;
}

Status check_own_entries(const store::Policy& policy, std::span<const OwnList> lists,
                         const address::IpSet& never, int64_t now) {
  for (const OwnList& list : lists) {
    if (!uses(policy, list.list) || list.list.direction != store::Direction::block) {
      continue;
    }
    for (const store::CustomEntry& entry : list.entries) {
      const auto range = in_force(entry, now) ? address::parse_range(entry.value)
                                              : std::unexpected(address::Fault::not_an_address);
      const auto both = range ? hit(*range, never) : std::nullopt;
      if (!both) {
        continue;
      }
      const std::string reason = protected_by({both->family, both->first});
      return fail(ErrorCode::invalid_argument,
                  "policy {}/{}: entry {} of list {} covers {}, which is never blocked{}{}; "
                  "take it out of the list or narrow it",
                  policy.account, policy.name, entry.value, list.list.name, text_of(*both),
                  reason.empty() ? "" : ": ", reason);
    }
  }
  return {};
}

}  // namespace merlon::policy
