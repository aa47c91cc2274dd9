// SPDX-License-Identifier: Apache-2.0
#include "controlplane/dnssec/rollover.h"

#include <algorithm>
#include <array>

namespace merlon::dnssec {
namespace {

constexpr std::array<std::string_view, 4> kKinds = {"none", "zsk", "ksk", "algorithm"};
constexpr std::array<std::string_view, 6> kSteps = {"none",   "presign", "publish",
                                                    "parent", "swap",    "withdraw"};

bool is_new(const ZoneKeys& zone, const KeyState& key) {
  return zone.rollover.kind != RolloverKind::none && key.id >= zone.rollover.first_new_id;
}

// The keys that the present rollover puts in or takes out.
bool takes_part(const ZoneKeys& zone, const KeyState& key) {
  switch (zone.rollover.kind) {
    case RolloverKind::zsk:
      return key.role == Role::zsk;
    case RolloverKind::ksk:
      return key.is_sep();
    default:
      return true;
  }
}

template <class F>
void for_each(ZoneKeys& zone, F&& f) {
  for (KeyState& key : zone.keys) {
    if (takes_part(zone, key)) {
      f(key, is_new(zone, key));
    }
  }
}

void add_key(ZoneKeys& zone, Role role, Algorithm algorithm, int64_t now) {
  uint32_t id = 0;
  for (const KeyState& key : zone.keys) {
    id = std::max(id, key.id);
  }
  zone.keys.push_back({.id = id + 1, .role = role, .algorithm = algorithm, .created = now});
}

void set(int64_t& time, int64_t now) {
  time = time != 0 ? time : now;
}

void retire_old_signers(ZoneKeys& zone, int64_t now) {
  for_each(zone, [&](KeyState& key, bool fresh) {
    if (key.role != Role::ksk) {
      set(fresh ? key.active : key.retire, now);
    }
  });
}

// What the zone shows differently from this step on.
void enter(ZoneKeys& zone, Step step, int64_t now) {
  Rollover& rollover = zone.rollover;
  rollover.step = step;
  rollover.since = 0;
  if (step == Step::presign) {
    for_each(zone, [&](KeyState& key, bool fresh) {
      if (fresh && key.role != Role::ksk) {
        set(key.active, now);
      }
    });
  } else if (step == Step::publish) {
    for_each(zone, [&](KeyState& key, bool fresh) {
      if (fresh) {
        set(key.publish, now);
        if (key.role == Role::ksk) {
          set(key.active, now);
        }
      }
    });
  } else if (step == Step::swap || (step == Step::parent && rollover.kind == RolloverKind::ksk)) {
    retire_old_signers(zone, now);
  } else if (step == Step::withdraw) {
    for_each(zone, [&](KeyState& key, bool fresh) {
      if (!fresh) {
        set(key.remove, now);
      }
    });
  }
}

void finish(ZoneKeys& zone, int64_t now) {
  for_each(zone, [&](KeyState& key, bool fresh) {
    if (!fresh) {
      set(key.retire, now);
      set(key.remove, now);
    }
  });
  zone.rollover = {};
}

Step step_after(const Rollover& rollover) {
  switch (rollover.step) {
    case Step::presign:
      return Step::publish;
    case Step::publish:
      return rollover.kind == RolloverKind::zsk ? Step::swap : Step::parent;
    case Step::parent:
      return rollover.kind == RolloverKind::algorithm ? Step::withdraw : Step::none;
    default:
      return Step::none;
  }
}

// When all trust the new key. RFC 5011: a resolver that missed the first look takes one refresh
// more at each end, and until the old signatures expire it may be shown the old RRset.
int64_t trusted_at(const ZoneKeys& zone, const RolloverPolicy& policy) {
  const Rollover& rollover = zone.rollover;
  if (policy.trust == Trust::confirmed) {
    return rollover.ds_seen == 0 ? kNever
                                 : rollover.ds_seen + policy.parent_ds_ttl_s + policy.propagation_s;
  }
  constexpr int64_t kRefreshMin = 3600;
  constexpr int64_t kRefreshMax = 15 * 86400;
  const int64_t refresh = std::clamp(
      std::min(zone.dnskey_ttl_max_s, policy.signature_validity_s) / 2, kRefreshMin, kRefreshMax);
  return rollover.since + std::max(policy.hold_down_s, zone.dnskey_ttl_max_s) +
         policy.signature_validity_s + 2 * refresh + policy.propagation_s;
}

const KeyState* zone_signer_of(const ZoneKeys& zone) {
  const auto at = std::ranges::find_if(zone.keys, &KeyState::signs_zone);
  return at == zone.keys.end() ? nullptr : &*at;
}

const KeyState* sep_of(const ZoneKeys& zone) {
  const auto at = std::ranges::find_if(zone.keys, &KeyState::signs_keys);
  return at == zone.keys.end() ? nullptr : &*at;
}

// When a lifetime asks for a rollover, and of what.
std::pair<int64_t, RolloverKind> next_by_lifetime(const ZoneKeys& zone,
                                                  const RolloverPolicy& policy) {
  const KeyState* zsk = zone_signer_of(zone);
  const KeyState* sep = sep_of(zone);
  int64_t at = kNever;
  RolloverKind kind = RolloverKind::none;
  if (policy.zsk_lifetime_s > 0 && zsk != nullptr && zsk->role == Role::zsk) {
    at = zsk->active + policy.zsk_lifetime_s;
    kind = RolloverKind::zsk;
  }
  if (policy.ksk_lifetime_s > 0 && sep != nullptr && sep->publish + policy.ksk_lifetime_s < at) {
    at = sep->publish + policy.ksk_lifetime_s;
    kind = RolloverKind::ksk;
  }
  return {at, kind};
}

}  // namespace

std::string_view to_string(RolloverKind kind) {
  return kKinds[static_cast<size_t>(kind)];
}

std::string_view to_string(Step step) {
  return kSteps[static_cast<size_t>(step)];
}

Result<RolloverKind> parse_rollover_kind(std::string_view text) {
  const auto at = std::ranges::find(kKinds, text);
  if (at == kKinds.end()) {
    return fail(ErrorCode::invalid_argument,
                "\"{}\" is no kind of rollover; there are zsk, ksk and algorithm", text);
  }
  return static_cast<RolloverKind>(at - kKinds.begin());
}

Result<Step> parse_step(std::string_view text) {
  const auto at = std::ranges::find(kSteps, text);
  if (at == kSteps.end()) {
    return fail(ErrorCode::invalid_argument, "\"{}\" is no step of a rollover", text);
  }
  return static_cast<Step>(at - kSteps.begin());
}

ZoneKeys initial_keys(const RolloverPolicy& policy, int64_t now) {
  ZoneKeys zone;
  if (policy.layout == Layout::csk) {
    add_key(zone, Role::csk, policy.algorithm, now);
  } else {
    add_key(zone, Role::ksk, policy.algorithm, now);
    add_key(zone, Role::zsk, policy.algorithm, now);
  }
  for (KeyState& key : zone.keys) {
    key.publish = now;
    key.active = now;
  }
  return zone;
}

Status start_rollover(ZoneKeys& zone, RolloverKind kind, const RolloverPolicy& policy,
                      int64_t now) {
  if (zone.rollover.kind != RolloverKind::none) {
    return fail(ErrorCode::conflict, "a rollover of kind {} is under way (step {}); let it finish",
                to_string(zone.rollover.kind), to_string(zone.rollover.step));
  }
  if (auto usable = check_usable(zone); !usable) {
    return usable;
  }
  const KeyState sep = *sep_of(zone);
  const KeyState signer = *zone_signer_of(zone);
  if (kind == RolloverKind::zsk && signer.role != Role::zsk) {
    return fail(ErrorCode::conflict,
                "the zone has one key for everything and no ZSK; roll it as a KSK");
  }
  if (kind == RolloverKind::algorithm && policy.algorithm == signer.algorithm) {
    return fail(ErrorCode::conflict,
                "the zone is signed with {} already; set another algorithm in [dnssec] first",
                to_string(signer.algorithm));
  }
  const size_t count = zone.keys.size();
  if (kind == RolloverKind::algorithm) {
    if (policy.layout == Layout::csk) {
      add_key(zone, Role::csk, policy.algorithm, now);
    } else {
      add_key(zone, Role::ksk, policy.algorithm, now);
      add_key(zone, Role::zsk, policy.algorithm, now);
    }
  } else {
    add_key(zone, kind == RolloverKind::zsk ? Role::zsk : sep.role, signer.algorithm, now);
  }
  zone.rollover = {.kind = kind, .first_new_id = zone.keys[count].id};
  enter(zone, kind == RolloverKind::algorithm ? Step::presign : Step::publish, now);
  return {};
}

int64_t next_step_at(const ZoneKeys& zone, const RolloverPolicy& policy) {
  const Rollover& rollover = zone.rollover;
  if (rollover.kind == RolloverKind::none) {
    return next_by_lifetime(zone, policy).first;
  }
  if (rollover.since == 0) {
    return kNever;
  }
  const int64_t zone_forgotten = rollover.since + zone.zone_ttl_max_s + policy.propagation_s;
  switch (rollover.step) {
    case Step::presign:
    case Step::swap:
      return zone_forgotten;
    case Step::parent:
      return std::max(trusted_at(zone, policy), zone_forgotten);
    default:
      return rollover.since + zone.dnskey_ttl_max_s + policy.propagation_s;
  }
}

bool advance(ZoneKeys& zone, const RolloverPolicy& policy, int64_t now) {
  if (now < next_step_at(zone, policy)) {
    return false;
  }
  if (zone.rollover.kind == RolloverKind::none) {
    return start_rollover(zone, next_by_lifetime(zone, policy).second, policy, now).has_value();
  }
  const Step next = step_after(zone.rollover);
  if (next == Step::none) {
    finish(zone, now);
  } else {
    enter(zone, next, now);
  }
  return true;
}

bool published(ZoneKeys& zone, int64_t now) {
  if (zone.rollover.kind == RolloverKind::none || zone.rollover.since != 0) {
    return false;
  }
  zone.rollover.since = now;
  return true;
}

Status ds_seen(ZoneKeys& zone, int64_t now) {
  Rollover& rollover = zone.rollover;
  if (rollover.step != Step::parent || rollover.since == 0) {
    return fail(ErrorCode::conflict, "no new key waits for its DS{}",
                rollover.kind == RolloverKind::none
                    ? std::string()
                    : fmt::format(" yet: the rollover is at step {}", to_string(rollover.step)));
  }
  set(rollover.ds_seen, now);
  return {};
}

bool drop_unused(ZoneKeys& zone, int64_t now) {
  constexpr int64_t kKeep_s = 90 * 86400;
  return std::erase_if(zone.keys, [now](const KeyState& key) {
           return !key.is_in_use() && std::max(key.remove, key.retire) + kKeep_s < now;
         }) > 0;
}

bool is_trust_anchor(const ZoneKeys& zone, const KeyState& key) {
  if (!key.signs_keys()) {
    return false;
  }
  const Rollover& rollover = zone.rollover;
  if (rollover.kind == RolloverKind::none || rollover.kind == RolloverKind::zsk) {
    return true;
  }
  const bool changed = rollover.step == Step::parent || rollover.step == Step::withdraw;
  return is_new(zone, key) == changed;
}

Status check_usable(const ZoneKeys& zone) {
  if (sep_of(zone) == nullptr || zone_signer_of(zone) == nullptr) {
    return fail(ErrorCode::conflict,
                "no key may sign {}: all are retired or removed; restore the key directory from a "
                "backup, or remove it to begin with new keys and a new trust anchor",
                sep_of(zone) == nullptr ? "the DNSKEY records" : "the zone");
  }
  return {};
}

}  // namespace merlon::dnssec
