// SPDX-License-Identifier: Apache-2.0
#include "controlplane/policy/lists.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>

#include "controlplane/policy/protected_set.h"

namespace merlon::policy {
namespace {

bool is_digits(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// Whether the list `owner` may come to need `name` for one of its parts.
bool owns_as_part(std::string_view owner, std::string_view name) {
  return name.starts_with(owner) && is_digits(name.substr(owner.size()));
}

bool makes_lists(const store::FeedRecord& feed) {
  const store::FeedState& state = feed.state;
  const bool applied = state.last_good != 0 || state.prefix4_count != 0 ||
                       state.prefix6_count != 0 || state.domain_count != 0;
  return feed.definition.enabled && feed.definition.direction == store::Direction::block && applied;
}

// Neighbours are merged first, so that each range is copied log2(sets) times, not once per set.
address::IpSet union_of(std::vector<address::IpSet> sets) {
  while (sets.size() > 1) {
    size_t kept = 0;
    for (size_t i = 0; i < sets.size(); i += 2) {
      sets[kept] = i + 1 < sets.size() ? sets[i].united(sets[i + 1]) : std::move(sets[i]);
      ++kept;
    }
    sets.resize(kept);
  }
  return sets.empty() ? address::IpSet{} : std::move(sets.front());
}

bool is_narrow(const store::FeedSet& set, const NarrowFrom& from) {
  return std::ranges::all_of(set.v4, [&](auto prefix) { return prefix.length >= from.length4; }) &&
         std::ranges::all_of(set.v6, [&](auto prefix) { return prefix.length >= from.length6; });
}

address::IpSet narrow_part(const store::FeedSet& set, const NarrowFrom& from) {
  store::FeedSet part;
  std::ranges::copy_if(set.v4, std::back_inserter(part.v4),
                       [&](auto prefix) { return prefix.length >= from.length4; });
  std::ranges::copy_if(set.v6, std::back_inserter(part.v6),
                       [&](auto prefix) { return prefix.length >= from.length6; });
  return part.addresses();
}

}  // namespace

std::vector<std::string> reserved_list_names() {
  std::vector<std::string> names(kOwnLabels.begin(), kOwnLabels.end());
  names.insert(names.end(), kCategoryNames.begin(), kCategoryNames.end());
  return names;
}

bool owns_name(std::string_view list, std::string_view name) {
  return name == list || owns_as_part(list, name);
}

std::string list_name_conflict(std::span<const std::string> existing, std::string_view candidate) {
  for (const std::string& name : existing) {
    if (name == candidate) {
      return fmt::format("the name {} is taken or reserved", candidate);
    }
    if (owns_as_part(name, candidate)) {
      return fmt::format(
          "{} would collide with a part of list {}, which continues as {}1, {}2, ...", candidate,
          name, name, name);
    }
    if (owns_as_part(candidate, name)) {
      return fmt::format("a part of {} ({}1, {}2, ...) would collide with list {}", candidate,
                         candidate, candidate, name);
    }
  }
  return "";
}

std::string_view to_string(ListDefinition::Kind kind) {
  switch (kind) {
    case ListDefinition::Kind::feed:
      return "feed";
    case ListDefinition::Kind::category:
      return "category";
    case ListDefinition::Kind::basic:
      return "basic";
  }
  return "unknown";
}

std::vector<ListDefinition> shared_lists(const std::vector<store::FeedRecord>& feeds) {
  std::map<std::string, ListDefinition> lists;
  const auto put = [&lists](std::string_view name, ListDefinition::Kind kind, store::Tier tier,
                            const std::string& feed) {
    ListDefinition& list = lists[std::string(name)];
    list.name = name;
    list.kind = kind;
    list.tier = tier;
    list.feeds.push_back(feed);
  };
  for (const store::FeedRecord& feed : feeds) {
    if (!makes_lists(feed)) {
      continue;
    }
    const store::FeedDefinition& definition = feed.definition;
    put(definition.id, ListDefinition::Kind::feed, definition.tier, definition.id);
    if (definition.tier <= store::Tier::basic) {
      put(definition.category, ListDefinition::Kind::category, store::Tier::basic, definition.id);
    }
    if (definition.in_basic) {
      put(kBasicList, ListDefinition::Kind::basic, store::Tier::basic, definition.id);
    }
  }
  std::vector<ListDefinition> sorted;
  sorted.reserve(lists.size());
  for (auto& [name, list] : lists) {
    std::sort(list.feeds.begin(), list.feeds.end());
    sorted.push_back(std::move(list));
  }
  return sorted;
}

address::IpSet allowed_addresses(const std::vector<store::FeedRecord>& feeds, const SetOf& set_of) {
  std::vector<address::IpSet> sets;
  for (const store::FeedRecord& feed : feeds) {
    if (feed.definition.enabled && feed.definition.direction == store::Direction::allow) {
      sets.push_back(set_of(feed.definition.id).addresses());
    }
  }
  return union_of(std::move(sets));
}

ListContent compose(const ListDefinition& list, const SetOf& set_of, const address::IpSet& allowed,
                    const NarrowFrom& narrow_from) {
  ListContent content;
  std::vector<address::IpSet> sets;
  std::vector<address::IpSet> narrow_sets;  // only when somebody lists something wide
  const bool all_narrow = std::ranges::all_of(
      list.feeds, [&](const auto& id) { return is_narrow(set_of(id), narrow_from); });
  sets.reserve(list.feeds.size());
  for (const std::string& feed : list.feeds) {
    const store::FeedSet& set = set_of(feed);
    sets.push_back(set.addresses());
    if (!all_narrow) {
      narrow_sets.push_back(narrow_part(set, narrow_from));
    }
    content.domains.insert(content.domains.end(), set.domains.begin(), set.domains.end());
  }
  if (list.feeds.size() > 1) {
    std::sort(content.domains.begin(), content.domains.end());
    content.domains.erase(std::unique(content.domains.begin(), content.domains.end()),
                          content.domains.end());
  }
  const address::IpSet listed = union_of(std::move(sets));
  content.taken_out_protected = listed.intersected(protected_addresses());
  const address::IpSet blockable = listed.minus(protected_addresses());
  content.taken_out_allowed = blockable.intersected(allowed);
  content.addresses = blockable.minus(allowed);
  content.narrow = all_narrow ? content.addresses
                              : union_of(std::move(narrow_sets)).intersected(content.addresses);
  return content;
}

}  // namespace merlon::policy
