// SPDX-License-Identifier: Apache-2.0
#include "controlplane/dnssec/zone_signer.h"

#include <algorithm>

namespace merlon::dnssec {
namespace {

constexpr int64_t kForgetEvery_s = 86400;

bool came_signed(const snapshot::ZoneBuilder& zone) {
  for (size_t i = 0; i < zone.node_count(); ++i) {
    if (std::ranges::any_of(zone.rrsets_of(i), [](const snapshot::ZoneBuilder::Rrset& rrset) {
          return rrset.signature != snapshot::kNoBody;
        })) {
      return true;
    }
  }
  return false;
}

bool is_one_of(const std::vector<name::Name>& names, const name::Name& name) {
  return std::ranges::find(names, name) != names.end();
}

}  // namespace

Result<Scope> parse_scope(std::string_view text) {
  if (text == "none" || text == "accounts" || text == "all") {
    return text == "none" ? Scope::none : text == "all" ? Scope::all : Scope::accounts;
  }
  return fail(ErrorCode::invalid_argument,
              "\"{}\" says not which zones to sign; there are none, accounts and all", text);
}

Signer::Signer(SignerOptions options, KeyStore store, std::unique_ptr<SignatureCache> cache)
    : options_(std::move(options)),
      store_(std::move(store)),
      cache_(std::move(cache)),
      clock_(store_.directory() + "/last-signed", options_.clock, options_.clock_jump_max_s) {}

Result<std::unique_ptr<Signer>> Signer::open(SignerOptions options,
                                             std::unique_ptr<SignatureCache> cache) {
  auto store = KeyStore::open(options.keys_path);
  if (!store) {
    return in("DNSSEC keys", store.error());
  }
  return std::unique_ptr<Signer>(
      new Signer(std::move(options), std::move(*store), std::move(cache)));
}

bool Signer::signs(const name::Name& apex) const {
  if (is_one_of(options_.never, apex)) {
    return false;
  }
  if (is_one_of(options_.also, apex)) {
    return true;
  }
  switch (options_.scope) {
    case Scope::none:
      return false;
    case Scope::accounts:
      return apex.is_at_or_below(options_.suffix) && !(apex == options_.suffix);
    case Scope::all:
      return true;
  }
  return false;
}

Result<ZoneKeys> Signer::current_keys(const name::Name& apex, int64_t now) {
  const std::scoped_lock lock(mutex_);
  auto keys = store_.load(apex);
  bool changed = false;
  if (!keys && keys.error().code == ErrorCode::not_found) {
    keys = initial_keys(options_.policy, now);
    keys->dnskey_ttl_max_s = options_.dnskey_ttl_s;
    changed = true;
  }
  if (!keys) {
    return keys;
  }
  if (keys->dnskey_ttl_max_s < options_.dnskey_ttl_s) {
    keys->dnskey_ttl_max_s = options_.dnskey_ttl_s;
    changed = true;
  }
  changed = advance(*keys, options_.policy, now) || changed;
  changed = drop_unused(*keys, now) || changed;
  if (auto usable = check_usable(*keys); !usable) {
    return in(fmt::format("zone {}", apex.to_text()), usable.error());
  }
  if (changed) {
    if (auto saved = store_.save(apex, *keys); !saved) {
      return std::unexpected(saved.error());
    }
  }
  return keys;
}

Status Signer::sign(snapshot::ZoneBuilder& zone) {
  if (came_signed(zone)) {
    return {};
  }
  const name::Name& apex = zone.settings().apex;
  const auto now = clock_.now();
  if (!now) {
    return in(fmt::format("zone {}", apex.to_text()), now.error());
  }
  auto keys = current_keys(apex, *now);
  if (!keys) {
    return std::unexpected(keys.error());
  }
  std::vector<PrivateKey> private_keys;
  private_keys.reserve(keys->keys.size());
  const bool shared = zone.settings().account == 0 && apex == options_.suffix;
  ZoneSigning signing{.denial = shared ? snapshot::Denial::nsec3 : snapshot::Denial::nsec,
                      .dnskey_ttl_s = options_.dnskey_ttl_s,
                      .times = options_.times,
                      .thread_count = options_.thread_count,
                      .now = *now};
  for (const KeyState& state : keys->keys) {
    const std::vector<uint8_t> dnskey = state.dnskey();
    if (state.is_shown()) {
      signing.dnskeys.push_back(dnskey);
    }
    if (is_trust_anchor(*keys, state)) {
      signing.cds.push_back(ds_rdata(apex, dnskey, DigestType::sha256));
      signing.cdnskeys.push_back(dnskey);
    }
    if (!state.signs_keys() && !state.signs_zone()) {
      continue;
    }
    auto key = store_.read_key(apex, state);
    if (!key) {
      return std::unexpected(key.error());
    }
    private_keys.push_back(std::move(*key));
    const SigningKey used{&private_keys.back(), dnskey, key_tag(dnskey)};
    if (state.signs_zone()) {
      signing.zone_keys.push_back(used);
    }
    if (state.signs_keys()) {
      signing.key_keys.push_back(used);
    }
  }
  const auto done = sign_zone(zone, signing, *cache_);
  if (!done) {
    return in(fmt::format("sign zone {}", apex.to_text()), done.error());
  }
  return note_signed(apex, *done, *keys);
}

Status Signer::note_signed(const name::Name& apex, const ZoneSigned& done, ZoneKeys& keys) {
  const std::scoped_lock lock(mutex_);
  counters_.made += done.made;
  counters_.reused += done.reused;
  ++counters_.zones;
  if (done.ttl_max_s > keys.zone_ttl_max_s) {
    // A command may have changed the state meanwhile: only this is added to it.
    auto present = store_.load(apex);
    if (!present) {
      return std::unexpected(present.error());
    }
    present->zone_ttl_max_s = done.ttl_max_s;
    if (auto saved = store_.save(apex, *present); !saved) {
      return saved;
    }
    keys.zone_ttl_max_s = done.ttl_max_s;
  }
  Signed& noted = signed_[apex];
  noted.due_at = std::min(done.renew_at, next_step_at(keys, options_.policy));
  noted.awaits_publication = keys.rollover.kind != RolloverKind::none && keys.rollover.since == 0;
  noted.step = keys.rollover.step;
  return {};
}

Status Signer::published() {
  const auto now = clock_.now();
  if (!now) {
    return std::unexpected(now.error());
  }
  const std::scoped_lock lock(mutex_);
  for (auto& [apex, noted] : signed_) {
    if (!noted.awaits_publication) {
      continue;
    }
    auto keys = store_.load(apex);
    if (!keys) {
      return std::unexpected(keys.error());
    }
    if (keys->rollover.step == noted.step && dnssec::published(*keys, *now)) {
      if (auto saved = store_.save(apex, *keys); !saved) {
        return saved;
      }
      noted.due_at = std::min(noted.due_at, next_step_at(*keys, options_.policy));
    }
    noted.awaits_publication = false;
  }
  if (*now - forgot_at_ >= kForgetEvery_s) {
    cache_->forget_expired(*now);
    forgot_at_ = *now;
  }
  return {};
}

int64_t Signer::due_at(const name::Name& apex) const {
  const std::scoped_lock lock(mutex_);
  const auto at = signed_.find(apex);
  return at == signed_.end() ? 0 : at->second.due_at;
}

int64_t Signer::next_due() const {
  const std::scoped_lock lock(mutex_);
  int64_t due = kNever;
  for (const auto& [apex, noted] : signed_) {
    due = std::min(due, noted.due_at);
  }
  return due;
}

Result<ZoneReport> Signer::report(const name::Name& apex) const {
  auto keys = store_.load(apex);
  if (!keys) {
    return std::unexpected(keys.error());
  }
  ZoneReport report{.apex = apex, .keys = std::move(*keys)};
  report.next_step_at = dnssec::next_step_at(report.keys, options_.policy);
  for (const KeyState& key : report.keys.keys) {
    if (is_trust_anchor(report.keys, key)) {
      const std::vector<uint8_t> dnskey = key.dnskey();
      report.dnskeys.push_back(dnskey_text(apex, dnskey));
      report.ds.push_back(ds_text(apex, ds_rdata(apex, dnskey, DigestType::sha256)));
      report.ds.push_back(ds_text(apex, ds_rdata(apex, dnskey, DigestType::sha384)));
    }
  }
  return report;
}

std::vector<ZoneReport> Signer::zones() const {
  const std::scoped_lock lock(mutex_);
  std::vector<ZoneReport> reports;
  for (const name::Name& apex : store_.zones()) {
    if (auto one = report(apex)) {
      reports.push_back(std::move(*one));
    }
  }
  std::ranges::sort(reports, {}, &ZoneReport::apex);
  return reports;
}

Result<ZoneReport> Signer::zone(const name::Name& apex) const {
  const std::scoped_lock lock(mutex_);
  return report(apex);
}

Status Signer::start_rollover(const name::Name& apex, RolloverKind kind) {
  const auto now = clock_.now();
  if (!now) {
    return std::unexpected(now.error());
  }
  const std::scoped_lock lock(mutex_);
  auto keys = store_.load(apex);
  if (!keys) {
    return std::unexpected(keys.error());
  }
  if (auto done = dnssec::start_rollover(*keys, kind, options_.policy, *now); !done) {
    return in(fmt::format("zone {}", apex.to_text()), done.error());
  }
  if (const auto at = signed_.find(apex); at != signed_.end()) {
    at->second.due_at = *now;
    at->second.awaits_publication = false;
  }
  return store_.save(apex, *keys);
}

Status Signer::ds_seen(const name::Name& apex) {
  const auto now = clock_.now();
  if (!now) {
    return std::unexpected(now.error());
  }
  const std::scoped_lock lock(mutex_);
  auto keys = store_.load(apex);
  if (!keys) {
    return std::unexpected(keys.error());
  }
  if (auto done = dnssec::ds_seen(*keys, *now); !done) {
    return in(fmt::format("zone {}", apex.to_text()), done.error());
  }
  if (const auto at = signed_.find(apex); at != signed_.end()) {
    at->second.due_at = std::min(at->second.due_at, next_step_at(*keys, options_.policy));
  }
  return store_.save(apex, *keys);
}

SignerCounters Signer::counters() const {
  const std::scoped_lock lock(mutex_);
  return counters_;
}

}  // namespace merlon::dnssec
