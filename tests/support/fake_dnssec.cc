// SPDX-License-Identifier: Apache-2.0
// Signed zones of FakeOperations, and what it publishes for accounts.
#include <algorithm>

#include "tests/support/fake_begin.h"
#include "tests/support/fake_operations.h"

namespace merlon::tests {

void FakeOperations::sign_zone(const std::string& apex) {
  const std::lock_guard lock(mutex_);
  const int64_t now = clock_();
  dnssec_.enabled = true;
  dnssec_.zones.push_back({.apex = apex,
                           .is_signed = true,
                           .keys = {{.tag = 4711,
                                     .role = "csk",
                                     .algorithm = "ecdsa-p256",
                                     .state = "active",
                                     .is_trust_anchor = true,
                                     .created = now,
                                     .published = now,
                                     .active = now}},
                           .trust_anchors = {apex + " IN DNSKEY 257 3 13 AAAA"},
                           .ds = {apex + " IN DS 4711 13 2 00AA", apex + " IN DS 4711 13 4 00BB"}});
}

Result<api::DnssecZone*> FakeOperations::find_zone(const std::string& apex) {
  if (!dnssec_.enabled) {
    return fail(ErrorCode::unsupported, "no zone is signed: set `sign` in [dnssec]");
  }
  const auto found = std::ranges::find(dnssec_.zones, apex, &api::DnssecZone::apex);
  if (found == dnssec_.zones.end()) {
    return fail(ErrorCode::not_found, "zone {} has no keys", apex);
  }
  return &*found;
}

Result<api::Dnssec> FakeOperations::dnssec_zones() {
  MERLON_BEGIN();
  return dnssec_;
}

Result<api::DnssecZone> FakeOperations::dnssec_zone(const std::string& apex) {
  MERLON_BEGIN();
  const auto zone = find_zone(apex);
  if (!zone) {
    return std::unexpected(zone.error());
  }
  return **zone;
}

// A new key's DS is waited for at once.
Result<api::DnssecZone> FakeOperations::start_rollover(const std::string& apex,
                                                       const api::RolloverRequest& request) {
  MERLON_BEGIN();
  const auto found = find_zone(apex);
  if (!found) {
    return std::unexpected(found.error());
  }
  api::DnssecZone& zone = **found;
  if (zone.rollover != "none") {
    return fail(ErrorCode::conflict, "a rollover of kind {} is under way", zone.rollover);
  }
  zone.rollover = request.kind;
  zone.step = "parent";
  zone.step_since = clock_();
  zone.awaits_ds = true;
  api::DnssecKey key = zone.keys.front();
  key.tag = 4712;
  key.state = "published";
  key.algorithm = request.algorithm.empty() ? key.algorithm : request.algorithm;
  zone.keys.push_back(key);
  return zone;
}

Result<api::DnssecZone> FakeOperations::ds_seen(const std::string& apex) {
  MERLON_BEGIN();
  const auto found = find_zone(apex);
  if (!found) {
    return std::unexpected(found.error());
  }
  api::DnssecZone& zone = **found;
  if (!zone.awaits_ds) {
    return fail(ErrorCode::conflict, "no new key waits for its DS");
  }
  zone.awaits_ds = false;
  zone.next_step_at = clock_() + 86400;
  return zone;
}

Status FakeOperations::confirm_clock() {
  MERLON_BEGIN();
  return dnssec_.enabled ? Status() : fail(ErrorCode::unsupported, "no zone is signed");
}

// One list per IP policy, of its block lists' entries; the last ones fall off.
Result<api::Published> FakeOperations::published_of(const std::string& account) {
  MERLON_BEGIN();
  const auto found = find_account(account);
  if (!found) {
    return std::unexpected(found.error());
  }
  api::Published published;
  for (const auto& [name, policy] : (*found)->policies) {
    uint64_t count = 0;
    for (const std::string& list : policy.lists) {
      count += (*found)->lists[list].entries.size();
    }
    if (policy.kind == store::PolicyKind::dns) {
      published.policy_zones.push_back({.apex = name + ".rpz." + account + ".merlon.internal.",
                                        .serial = 1,
                                        .name_count = count});
      continue;
    }
    const uint64_t kept = policy.capacity == 0 ? count : std::min(count, policy.capacity);
    api::ListInfo list;
    list.name = name;
    list.kind = "policy";
    list.address4_count = kept;
    list.fallen_off_count = count - kept;
    list.names = {name + "." + account + ".merlon.internal."};
    published.lists.push_back(std::move(list));
    if (kept == 0) {
      published.problems.push_back("policy " + name + ": there is nothing on it");
    }
  }
  return published;
}

}  // namespace merlon::tests
