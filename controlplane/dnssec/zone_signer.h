// SPDX-License-Identifier: Apache-2.0
// Signs zones ahead of time for the compiler: finds or makes a zone's keys, takes the next step of
// a rollover when it is time, and signs what is not in the cache.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "controlplane/compile/zone_signer.h"
#include "controlplane/dnssec/cache.h"
#include "controlplane/dnssec/clock.h"
#include "controlplane/dnssec/key_store.h"
#include "controlplane/dnssec/rollover.h"
#include "controlplane/dnssec/zone_signing.h"
#include "zones/base/error.h"
#include "zones/name/name.h"

namespace merlon::dnssec {

// Which zones are signed, unless they are named one by one.
enum class Scope : uint8_t {
  none,
  accounts,  // the zones below the suffix
  all,       // those, the shared zone and everything else
};
Result<Scope> parse_scope(std::string_view text);

struct SignerOptions {
  std::string keys_path{};
  name::Name suffix{};  // the shared zone, which is signed with NSEC3 so that it cannot be walked
  Scope scope = Scope::none;
  std::vector<name::Name> also{};   // signed whatever the scope says
  std::vector<name::Name> never{};  // not signed whatever the scope says
  RolloverPolicy policy{};
  SignatureTimes times{};
  uint32_t dnskey_ttl_s = 3600;
  unsigned thread_count = 1;
  Clock clock = Clock::system();
  int64_t clock_jump_max_s = 86400;
};

struct ZoneReport {
  name::Name apex;
  ZoneKeys keys;
  std::vector<std::string> dnskeys{};  // lines for a trust anchor file
  std::vector<std::string> ds{};       // lines for the parent, SHA-256 and SHA-384
  int64_t next_step_at = kNever;
};

struct SignerCounters {
  uint64_t made = 0;
  uint64_t reused = 0;
  uint64_t zones = 0;
};

// Thread-safe for different zones; commands may come at any time.
class Signer : public compile::ZoneSigner {
 public:
  // Errors: those of KeyStore::open().
  static Result<std::unique_ptr<Signer>> open(SignerOptions options,
                                              std::unique_ptr<SignatureCache> cache);

  bool signs(const name::Name& apex) const override;
  // Whether the settings name any zone that is to be signed.
  bool signs_anything() const { return options_.scope != Scope::none || !options_.also.empty(); }
  const RolloverPolicy& policy() const { return options_.policy; }
  Status sign(snapshot::ZoneBuilder& zone) override;

  // What sign() made since the last call is in service everywhere the publisher reaches: rollovers
  // count their waits from here.
  Status published() override;
  // When some zone is to be signed again, be it unchanged: renewal of a signature or a step of a
  // rollover. Zones that this process did not sign count as due now when `apex` is asked for.
  int64_t due_at(const name::Name& apex) const override;
  int64_t next_due() const;  // of all that this process has signed

  std::vector<ZoneReport> zones() const;
  Result<ZoneReport> zone(const name::Name& apex) const;
  Status start_rollover(const name::Name& apex, RolloverKind kind);
  Status ds_seen(const name::Name& apex);
  Status confirm_clock() { return clock_.confirm(); }
  SignerCounters counters() const;
  std::string cache_trouble() const { return cache_->trouble(); }

 private:
  Signer(SignerOptions options, KeyStore store, std::unique_ptr<SignatureCache> cache);
  // The keys as they are to be shown now; steps that are due are taken and kept.
  Result<ZoneKeys> current_keys(const name::Name& apex, int64_t now);
  Status note_signed(const name::Name& apex, const ZoneSigned& done, ZoneKeys& keys);
  Result<ZoneReport> report(const name::Name& apex) const;

  struct Signed {
    int64_t due_at = 0;
    bool awaits_publication = false;
    Step step = Step::none;
  };

  const SignerOptions options_;
  const KeyStore store_;
  const std::unique_ptr<SignatureCache> cache_;
  ClockGuard clock_;
  mutable std::mutex mutex_;  // key files and what follows
  std::map<name::Name, Signed> signed_;
  SignerCounters counters_;
  int64_t forgot_at_ = 0;
};

}  // namespace merlon::dnssec
