// SPDX-License-Identifier: Apache-2.0
#include "controlplane/coordinator/rpz_plan.h"

#include <algorithm>

#include "controlplane/policy/lists.h"

namespace merlon::coordinator {
namespace {

using compile::RpzAction;

constexpr std::string_view kTestLabel = "rpz-test";

RpzAction action_of(store::Action action) {
  switch (action) {
    case store::Action::nxdomain:
      return RpzAction::nxdomain;
    case store::Action::nodata:
      return RpzAction::nodata;
    case store::Action::passthru:
      return RpzAction::passthru;
    case store::Action::drop:
      return RpzAction::drop;
    case store::Action::tcp_only:
      return RpzAction::tcp_only;
    case store::Action::garden:
      return RpzAction::garden;
  }
  return RpzAction::nxdomain;
}

// What one feed lists twice over is one set.
std::shared_ptr<const domains::DomainSet> united(
    const std::vector<std::shared_ptr<const domains::DomainSet>>& sets) {
  if (sets.size() == 1) {
    return sets.front();
  }
  std::vector<const domains::DomainSet*> all;
  for (const auto& set : sets) {
    all.push_back(set.get());
  }
  return std::make_shared<const domains::DomainSet>(domains::DomainSet::unite(all));
}

address::IpSet minus(const address::IpSet& from, const address::IpSet& what) {
  return {.v4 = from.v4.minus(what.v4), .v6 = from.v6.minus(what.v6)};
}

}  // namespace

compile::RpzSettings RpzPlanner::settings() const {
  compile::RpzSettings settings;
  if (const auto primary = suffix_.child(policy::kNameServerLabel)) {
    settings.primary = *primary;
  }
  if (const auto mailbox = suffix_.child(policy::kMailboxLabel)) {
    settings.mailbox = *mailbox;
  }
  return settings;
}

Status RpzPlanner::prepare() {
  using Purpose = domains::CanonicalOptions::Purpose;
  if (block_ != nullptr) {
    return {};
  }
  for (const auto& [purpose, into] :
       {std::pair(Purpose::block, &block_), std::pair(Purpose::allow, &allow_)}) {
    domains::CanonicalOptions options;
    options.purpose = purpose;
    options.own_zones = {suffix_};
    auto made = domains::Canonicaliser::make(options);
    if (!made) {
      return std::unexpected(made.error());
    }
    *into = std::make_unique<domains::Canonicaliser>(std::move(*made));
  }
  return {};
}

Result<RpzPlanner::SetPointer> RpzPlanner::domains_of(const store::FeedDefinition& feed,
                                                      const safety::Net& net) {
  SetPointer& known = domains_[feed.id];
  if (known != nullptr) {
    return known;
  }
  const auto set = store_.set_of(feed.id);
  if (!set && set.error().code != ErrorCode::not_found) {
    return in(fmt::format("feed {}", feed.id), set.error());
  }
  const auto& reader = feed.direction == store::Direction::block ? block_ : allow_;
  domains::DomainSetBuilder builder;
  for (const std::string& text : set ? set->domains : std::vector<std::string>{}) {
    const auto domain = reader->read(text);  // what must not be listed is left out
    if (domain && (feed.direction == store::Direction::allow || !net.leaves_out(*domain))) {
      builder.add(*domain);
    }
  }
  domains::DomainSet listed = builder.finish();
  if (feed.direction == store::Direction::block && net.has_domains()) {
    safety::Net::Split split = net.split(listed);
    if (!split.holes.empty()) {
      holes_[feed.id] = std::make_shared<const domains::DomainSet>(std::move(split.holes));
    }
    listed = std::move(split.kept);
  }
  known = std::make_shared<const domains::DomainSet>(std::move(listed));
  return known;
}

RpzPlanner::SetPointer RpzPlanner::domains_of(const policy::OwnList& list, int64_t now) const {
  const auto& reader = list.list.direction == store::Direction::block ? block_ : allow_;
  domains::DomainSetBuilder builder;
  for (const store::CustomEntry& entry : list.entries) {
    if (entry.expires != 0 && entry.expires <= now) {
      continue;
    }
    if (const auto domain = reader->read(entry.value)) {
      builder.add(*domain);
    }
  }
  return std::make_shared<const domains::DomainSet>(builder.finish());
}

// Per target what its feeds list; what allow feeds list passes.
Status RpzPlanner::add_targets(const store::Policy& policy, const Inputs& inputs,
                               std::vector<Rule>& rules) {
  Rule allowed{.action = RpzAction::passthru, .domains = {}, .addresses = {}};
  for (const store::FeedRecord& record : inputs.feeds()) {
    const store::FeedDefinition& feed = record.definition;
    if (!feed.enabled || feed.direction != store::Direction::allow) {
      continue;
    }
    auto set = domains_of(feed, inputs.net());
    if (!set) {
      return std::unexpected(set.error());
    }
    allowed.domains.push_back(std::move(*set));
  }
  rules.push_back(std::move(allowed));
  for (const store::Target& target : policy.targets) {
    Rule rule{.action = action_of(target.action), .domains = {}, .addresses = {}};
    const bool somewhere = !policy::places_of(target).empty();
    for (const store::FeedRecord& record : inputs.feeds()) {
      const store::FeedDefinition& feed = record.definition;
      if (!feed.enabled || feed.direction != store::Direction::block ||
          !policy::meets(target, feed)) {
        continue;
      }
      if (!somewhere) {
        auto set = domains_of(feed, inputs.net());
        if (!set) {
          return std::unexpected(set.error());
        }
        rule.domains.push_back(std::move(*set));
      }
      const address::IpSet listed = inputs.addresses_of(feed.id);
      rule.addresses = {.v4 = rule.addresses.v4.united(listed.v4),
                        .v6 = rule.addresses.v6.united(listed.v6)};
    }
    if (somewhere) {
      const auto within = inputs.addresses_at(target);
      if (!within) {
        return std::unexpected(within.error());
      }
      rule.addresses = rule.addresses.intersected(*within);
    }
    rule.addresses = minus(minus(rule.addresses, inputs.net().never()), inputs.allowed());
    rules.push_back(std::move(rule));
  }
  return {};
}

void RpzPlanner::add_holes(const store::Policy& policy, const AccountInputs& account,
                           const Inputs& inputs, int64_t now, std::vector<Rule>& rules) const {
  std::vector<SetPointer> holes;
  for (const std::string& feed : policy::feeds_of(policy, inputs.feeds())) {
    if (const auto found = holes_.find(feed); found != holes_.end()) {
      holes.push_back(found->second);
    }
  }
  if (holes.empty()) {
    return;
  }
  domains::DomainSet left = *united(holes);
  for (const policy::OwnList& list : account.lists) {
    if (list.list.direction == store::Direction::block &&
        std::ranges::find(policy.lists, list.list.name) != policy.lists.end()) {
      left = left.minus(*domains_of(list, now)).kept;
    }
  }
  rules.push_back({.action = RpzAction::passthru,
                   .domains = {std::make_shared<const domains::DomainSet>(std::move(left))},
                   .addresses = {}});
}

void RpzPlanner::add_own_lists(const AccountInputs& account, const store::Policy& policy,
                               const Inputs& inputs, int64_t now, std::vector<Rule>& rules) const {
  for (const policy::OwnList& list : account.lists) {
    if (std::ranges::find(policy.lists, list.list.name) == policy.lists.end()) {
      continue;
    }
    const bool blocks = list.list.direction == store::Direction::block;
    rules.push_back({.action = blocks ? action_of(policy.list_action) : RpzAction::passthru,
                     .domains = {domains_of(list, now)},
                     .addresses = policy::addresses_of(list, {}, now).all});
    if (blocks) {
      rules.back().addresses = minus(rules.back().addresses, inputs.net().never());
    }
  }
}

Result<compile::RpzInput> RpzPlanner::plan(const AccountInputs& account,
                                           const store::Policy& policy, const Inputs& inputs,
                                           int64_t now) {
  if (auto ready = prepare(); !ready) {
    return std::unexpected(ready.error());
  }
  compile::RpzInput input;
  input.account = account.account.number;
  auto apex = suffix_.child(account.account.name);
  for (const std::string_view label : {policy::kRpzLabel, std::string_view(policy.name)}) {
    apex = apex ? apex->child(label) : apex;
  }
  const auto test_name = suffix_.child(kTestLabel);
  if (!apex || !test_name) {
    return std::unexpected(apex ? test_name.error() : apex.error());
  }
  input.apex = *apex;
  input.test_name = *test_name;
  name::Name garden;
  if (!policy.garden.empty()) {
    const auto parsed = name::Name::from_text(policy.garden);
    if (!parsed) {
      return in(fmt::format("policy {}: garden", policy.name), parsed.error());
    }
    garden = *parsed;
  }
  std::vector<Rule> rules;
  if (auto added = add_targets(policy, inputs, rules); !added) {
    return std::unexpected(added.error());
  }
  add_own_lists(account, policy, inputs, now, rules);
  add_holes(policy, account, inputs, now, rules);
  for (Rule& rule : rules) {
    if (rule.action != RpzAction::passthru) {
      rule.addresses = minus(rule.addresses, account.device_addresses);
    }
    input.rules.push_back({.action = rule.action,
                           .garden = rule.action == RpzAction::garden ? garden : name::Name(),
                           .domains = rule.domains.empty() ? nullptr : united(rule.domains),
                           .addresses = std::move(rule.addresses)});
  }
  return input;
}

}  // namespace merlon::coordinator
