// SPDX-License-Identifier: Apache-2.0
// What each zone is to be made of.
#include <algorithm>

#include "controlplane/coordinator/builder.h"
#include "controlplane/policy/profiles.h"
#include "controlplane/policy/protected_set.h"

namespace merlon::coordinator {
namespace {

uint32_t tier_bit(store::Tier tier) {
  return 1u << static_cast<unsigned>(tier);
}

// The devices' own addresses stay out, of what feeds list and of what the account blocks itself.
// Only what is listed is named, so that accounts with the same policy have equal selections.
void spare(const address::IpSet& devices, const Inputs& inputs, policy::Selection& selection) {
  if (!devices.empty()) {
    selection.allow = selection.allow.united(inputs.listed_part(devices))
                          .united(selection.block.intersected(devices));
  }
}

void sort_by_label(auto& lists) {
  std::ranges::sort(lists, std::less<>(),
                    [](const auto& list) -> const std::string& { return list.input.label; });
}

}  // namespace

// About how many addresses come out: what the feeds list, as far as the device can hold it.
uint64_t Builder::weight_of(const policy::Selection& selection) const {
  uint64_t weight = 0;
  const std::vector<std::string>& ids = inputs_.universe().feeds();
  for (const policy::Selection::Chosen& chosen : selection.feeds) {
    const std::string& id = ids[chosen.feed];  // of a feed, or of a part of one
    const auto record =
        std::ranges::find(inputs_.feeds(), id.substr(0, id.find('|')),
                          [](const store::FeedRecord& one) { return one.definition.id; });
    if (record != inputs_.feeds().end()) {
      weight += record->state.prefix4_count + record->state.prefix6_count;
    }
  }
  return selection.capacity == 0 ? weight : std::min(weight, selection.capacity);
}

Result<Builder::PlannedZone> Builder::plan_shared(int64_t now) const {
  PlannedZone zone;
  zone.apex = options_.compile.suffix;
  const address::IpSet devices = inputs_.narrow_device_addresses();
  for (const policy::ListDefinition& definition : policy::shared_lists(inputs_.feeds())) {
    PlannedList list;
    list.selection = policy::select_shared(definition, inputs_.context(now));
    spare(devices, inputs_, list.selection);
    list.input = {.label = definition.name,
                  .tier_mask = tier_bit(definition.tier),
                  .content = nullptr,
                  .addresses4_per_name = options_.compile.addresses4_per_name,
                  .addresses6_per_name = options_.compile.addresses6_per_name,
                  .changed = inputs_.changed_of(definition.feeds)};
    list.info.name = definition.name;
    list.info.kind = to_string(definition.kind);
    list.info.tier = definition.tier;
    list.info.feeds = definition.feeds;
    list.info.domain_count = inputs_.domain_count_of(definition.feeds);
    zone.lists.push_back(std::move(list));
  }
  sort_by_label(zone.lists);
  return zone;
}

Result<Builder::PlannedList> Builder::plan_policy(const AccountInputs& inputs,
                                                  const store::Policy& policy, int64_t now) const {
  if (auto good =
          policy::check_own_entries(policy, inputs.lists, policy::protected_addresses(), now);
      !good) {
    return std::unexpected(good.error());
  }
  for (const store::Target& target : policy.targets) {
    if (!policy::places_of(target).empty()) {
      if (const auto known = inputs_.addresses_at(target); !known) {
        return in(fmt::format("policy {}", policy.name), known.error());
      }
    }
  }
  auto selection = policy::select_policy(policy, inputs.lists, inputs_.context(now));
  if (!selection) {
    return in(fmt::format("policy {}", policy.name), selection.error());
  }
  const policy::Profile* profile = policy::find_profile(policy.profile);
  const auto at = static_cast<size_t>(&policy - inputs.policies.data());
  PlannedList list;
  list.input = {.label = policy.name,
                .tier_mask = 0,
                .content = nullptr,
                .addresses4_per_name =
                    std::min(profile->addresses4_per_name, options_.compile.addresses4_per_name),
                .addresses6_per_name =
                    std::min(profile->addresses6_per_name, options_.compile.addresses6_per_name),
                .changed = std::max(policy.created, inputs_.changed_of(inputs.policy_feeds[at]))};
  for (const policy::OwnList& own : inputs.lists) {
    if (std::ranges::find(policy.lists, own.list.name) != policy.lists.end()) {
      list.input.changed = std::max(list.input.changed, own.list.changed);
    }
  }
  list.selection = std::move(*selection);
  spare(inputs.device_addresses, inputs_, list.selection);
  list.info.name = policy.name;
  list.info.kind = "policy";
  list.info.tier = inputs.account.tier;
  list.info.feeds = inputs.policy_feeds[at];
  return list;
}

// One list per policy for addresses, and one per block list of the account's own that has any.
Result<Builder::PlannedZone> Builder::plan_account(const AccountInputs& inputs, int64_t now) const {
  PlannedZone zone;
  zone.account = inputs.account.number;
  auto apex = options_.compile.suffix.child(inputs.account.name);
  if (!apex) {
    return std::unexpected(apex.error());
  }
  zone.apex = *apex;
  for (const store::Policy& policy : inputs.policies) {
    if (policy.kind != store::PolicyKind::ip) {
      continue;
    }
    auto list = plan_policy(inputs, policy, now);
    if (!list) {
      return std::unexpected(list.error());
    }
    zone.lists.push_back(std::move(*list));
  }
  std::vector<policy::OwnList> allow_lists;
  for (const policy::OwnList& own : inputs.lists) {
    if (own.list.direction == store::Direction::allow) {
      allow_lists.push_back(own);
    }
  }
  for (const policy::OwnList& own : inputs.lists) {
    if (own.list.direction != store::Direction::block) {
      continue;
    }
    PlannedList list;
    list.selection = policy::select_own_list(own, allow_lists, inputs_.context(now));
    spare(inputs.device_addresses, inputs_, list.selection);
    if (list.selection.block.v4.empty() && list.selection.block.v6.empty()) {
      continue;  // domains alone
    }
    list.input = {.label = own.list.name,
                  .tier_mask = 0,
                  .content = nullptr,
                  .addresses4_per_name = options_.compile.addresses4_per_name,
                  .addresses6_per_name = options_.compile.addresses6_per_name,
                  .changed = own.list.changed};
    list.info.name = own.list.name;
    list.info.kind = "own";
    list.info.tier = inputs.account.tier;
    zone.lists.push_back(std::move(list));
  }
  sort_by_label(zone.lists);
  for (const PlannedList& list : zone.lists) {
    zone.weight += weight_of(list.selection);
  }
  return zone;
}

}  // namespace merlon::coordinator
