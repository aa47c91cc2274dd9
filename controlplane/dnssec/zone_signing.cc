// SPDX-License-Identifier: Apache-2.0
// RRsets are taken in windows: each window's are put into canonical form, looked up in the cache
// and signed by several threads, then added to the zone in order by one. So the memory beside the
// zone's own does not grow with the zone, and the bytes do not depend on the number of threads.
#include "controlplane/dnssec/zone_signing.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>

#include "controlplane/compile/zonemd.h"
#include "controlplane/dnssec/canonical.h"
#include "controlplane/dnssec/denial.h"
#include "zones/wire/wire.h"

namespace merlon::dnssec {
namespace {

namespace type = wire::type;
using snapshot::BodiesBuilder;
using snapshot::ZoneBuilder;

constexpr size_t kApex = 0;
constexpr size_t kChunk = 64;            // RRsets that a thread takes at once
constexpr size_t kWindow = 64 * kChunk;  // RRsets whose signatures are held at once

struct Target {
  uint32_t index = 0;  // node, or entry of NSEC3
  uint16_t type = 0;
};

struct Nsec3 {
  Sha1 hash{};
  uint32_t node = 0;
  uint32_t body = 0;
};

// The signatures of one RRset.
struct Signatures {
  uint32_t ttl = 0;
  std::vector<std::vector<uint8_t>> rrsigs;
};

struct WorkerResult {
  std::optional<Error> error;
  uint64_t made = 0;
  uint64_t reused = 0;
  uint32_t ttl_max = 0;
  int64_t renew_at = INT64_MAX;
};

class Work {
 public:
  Work(ZoneBuilder& zone, const ZoneSigning& signing, SignatureCache& cache)
      : zone_(zone), signing_(signing), cache_(cache), apex_(zone.settings().apex) {}

  Status check() const;
  Status add_apex_records();
  Status add_denial();
  Status sign_all();
  Status settle_digest();
  const ZoneSigned& result() const { return result_; }

 private:
  Result<uint32_t> add_body(uint16_t rrtype, uint32_t ttl,
                            std::span<const std::vector<uint8_t>> data);
  Status add_at_apex(uint16_t rrtype, uint32_t ttl, std::vector<std::vector<uint8_t>> data);
  uint32_t denial_ttl() const;
  std::vector<uint16_t> types_at(size_t node) const;
  bool is_signed(size_t node, uint16_t rrtype) const;
  Status add_nsec();
  Status add_nsec3();
  Status sign_window(std::span<const Target> targets);
  void work_through(std::span<const Target> targets, std::atomic<size_t>& next,
                    std::span<Signatures> out, WorkerResult& result);
  Status sign_chunk(std::span<const Target> targets, std::span<KeySigner> signers,
                    std::span<Signatures> out, WorkerResult& result);
  Result<CanonicalRrset> canonical_of(const Target& target) const;
  // The places in all_keys_ of those that sign a type.
  std::span<const size_t> keys_for(uint16_t rrtype) const;
  Status add_signatures(std::span<const Target> targets, std::span<const Signatures> signatures);

  ZoneBuilder& zone_;
  const ZoneSigning& signing_;
  SignatureCache& cache_;
  const name::Name apex_;
  std::vector<Standing> standings_;
  std::vector<Nsec3> nsec3_;
  std::vector<SigningKey> all_keys_;
  std::vector<size_t> for_zone_;
  std::vector<size_t> for_keys_;
  std::vector<size_t> for_cds_;
  bool is_digest_announced_ = false;
  ZoneSigned result_;
};

Status Work::check() const {
  if (zone_.find(kApex, type::soa) == nullptr) {
    return fail(ErrorCode::invalid_argument, "the apex has no SOA record");
  }
  for (size_t i = 0; i < zone_.node_count(); ++i) {
    for (const ZoneBuilder::Rrset& rrset : zone_.rrsets_of(i)) {
      if (rrset.type == type::nsec || rrset.type == type::nsec3 || rrset.type == type::nsec3param ||
          rrset.type == type::dnskey || rrset.type == type::cds || rrset.type == type::cdnskey) {
        return fail(ErrorCode::invalid_argument,
                    "{} record without signatures in a zone that is to be signed; take it out",
                    wire::type_to_text(rrset.type));
      }
    }
  }
  return {};
}

Result<uint32_t> Work::add_body(uint16_t rrtype, uint32_t ttl,
                                std::span<const std::vector<uint8_t>> data) {
  BodiesBuilder& own = zone_.own();
  own.begin();
  for (const std::vector<uint8_t>& record : data) {
    own.add({.type = rrtype, .ttl = ttl, .data = record});
  }
  return own.end();
}

Status Work::add_at_apex(uint16_t rrtype, uint32_t ttl, std::vector<std::vector<uint8_t>> data) {
  if (data.empty()) {
    return {};
  }
  std::ranges::sort(data);
  const auto body = add_body(rrtype, ttl, data);
  if (!body) {
    return std::unexpected(body.error());
  }
  zone_.add_rrset_at(kApex, rrtype, *body);
  return {};
}

Status Work::add_apex_records() {
  for (const auto& [rrtype, data] :
       {std::pair{type::dnskey, &signing_.dnskeys}, std::pair{type::cds, &signing_.cds},
        std::pair{type::cdnskey, &signing_.cdnskeys}}) {
    if (auto done = add_at_apex(rrtype, signing_.dnskey_ttl_s, *data); !done) {
      return done;
    }
  }
  const auto place = [this](const SigningKey& key) {
    const auto at = std::ranges::find(all_keys_, key.dnskey, &SigningKey::dnskey);
    const auto index = static_cast<size_t>(at - all_keys_.begin());
    if (at == all_keys_.end()) {
      all_keys_.push_back(key);
    }
    return index;
  };
  for (const SigningKey& key : signing_.zone_keys) {
    for_zone_.push_back(place(key));
  }
  for (const SigningKey& key : signing_.key_keys) {
    for_keys_.push_back(place(key));
  }
  // RFC 7344 section 4.1 wants a key that the parent knows; while an algorithm comes or goes, the
  // zone's keys are those that show it everywhere.
  for_cds_ = for_keys_;
  for (const size_t key : for_zone_) {
    if (std::ranges::find(for_cds_, key) == for_cds_.end()) {
      for_cds_.push_back(key);
    }
  }
  return {};
}

// RFC 9077: the smaller of the SOA's TTL and its MINIMUM.
uint32_t Work::denial_ttl() const {
  const Bytes soa = zone_.body_of(*zone_.find(kApex, type::soa));
  const uint32_t ttl = load_be32(soa.data() + 6);
  const uint32_t minimum = load_be32(soa.data() + soa.size() - 4);
  return std::min(ttl, minimum);
}

bool Work::is_signed(size_t node, uint16_t rrtype) const {
  switch (standings_[node]) {
    case Standing::authoritative:
      return true;
    case Standing::cut:
      return rrtype == type::ds || rrtype == type::nsec;
    default:
      return false;
  }
}

// For a bitmap, without NSEC itself.
std::vector<uint16_t> Work::types_at(size_t node) const {
  std::vector<uint16_t> types;
  bool any_signed = false;
  for (const ZoneBuilder::Rrset& rrset : zone_.rrsets_of(node)) {
    const bool here = is_signed(node, rrset.type);
    if (here || rrset.type == type::ns) {
      types.push_back(rrset.type);
    }
    any_signed = any_signed || here;
  }
  if (any_signed) {
    types.push_back(type::rrsig);
  }
  return types;
}

Status Work::add_denial() {
  if (signing_.denial == snapshot::Denial::nsec3) {
    // Nobody asks for it twice: TTL 0, as other signers have it.
    if (auto done = add_at_apex(type::nsec3param, 0, {nsec3param_rdata()}); !done) {
      return done;
    }
  }
  standings_ = standings_of(zone_);
  zone_.set_denial(signing_.denial);
  return signing_.denial == snapshot::Denial::nsec3 ? add_nsec3() : add_nsec();
}

Status Work::add_nsec() {
  const uint32_t ttl = denial_ttl();
  std::vector<uint32_t> owners;
  for (size_t i = 0; i < zone_.node_count(); ++i) {
    if (standings_[i] != Standing::occluded && !zone_.rrsets_of(i).empty()) {
      owners.push_back(static_cast<uint32_t>(i));
    }
  }
  for (size_t i = 0; i < owners.size(); ++i) {
    std::vector<uint16_t> types = types_at(owners[i]);
    if (std::ranges::find(types, type::rrsig) == types.end()) {
      types.push_back(type::rrsig);
    }
    types.push_back(type::nsec);
    const std::vector<uint8_t> data[] = {
        nsec_rdata(zone_.name_of(owners[(i + 1) % owners.size()]), types)};
    const auto body = add_body(type::nsec, ttl, data);
    if (!body) {
      return std::unexpected(body.error());
    }
    zone_.add_rrset_at(owners[i], type::nsec, *body);
  }
  return {};
}

Status Work::add_nsec3() {
  const uint32_t ttl = denial_ttl();
  for (size_t i = 0; i < zone_.node_count(); ++i) {
    if (standings_[i] != Standing::occluded) {
      nsec3_.push_back({.hash = nsec3_hash(zone_.name_of(i)), .node = static_cast<uint32_t>(i)});
    }
  }
  std::ranges::sort(nsec3_, {}, &Nsec3::hash);
  for (size_t i = 0; i < nsec3_.size(); ++i) {
    const Sha1& next = nsec3_[(i + 1) % nsec3_.size()].hash;
    if (i + 1 < nsec3_.size() && next == nsec3_[i].hash) {
      return fail(ErrorCode::unsupported, "two names with one NSEC3 hash; rename one of them");
    }
    const std::vector<uint8_t> data[] = {nsec3_rdata(next, types_at(nsec3_[i].node))};
    const auto body = add_body(type::nsec3, ttl, data);
    if (!body) {
      return std::unexpected(body.error());
    }
    nsec3_[i].body = *body;
  }
  return {};
}

std::span<const size_t> Work::keys_for(uint16_t rrtype) const {
  if (rrtype == type::dnskey) {
    return for_keys_;
  }
  return rrtype == type::cds || rrtype == type::cdnskey ? for_cds_ : for_zone_;
}

Status Work::sign_all() {
  is_digest_announced_ = compile::is_zonemd_announced(zone_);
  std::vector<Target> targets;
  const auto flush = [&](size_t limit) -> Status {
    if (targets.size() < limit || targets.empty()) {
      return {};
    }
    auto done = sign_window(targets);
    targets.clear();
    return done;
  };
  for (size_t i = 0; i < zone_.node_count(); ++i) {
    for (const ZoneBuilder::Rrset& rrset : zone_.rrsets_of(i)) {
      const bool waits = i == kApex && rrset.type == type::zonemd && is_digest_announced_;
      if (is_signed(i, rrset.type) && !waits) {
        targets.push_back({static_cast<uint32_t>(i), rrset.type});
      }
    }
    if (auto done = flush(kWindow); !done) {
      return done;
    }
  }
  for (size_t i = 0; i < nsec3_.size(); ++i) {
    targets.push_back({static_cast<uint32_t>(i), type::nsec3});
    if (auto done = flush(kWindow); !done) {
      return done;
    }
  }
  if (auto done = flush(0); !done) {
    return done;
  }
  return settle_digest();
}

// The digest covers all other signatures, so it comes last, and then its own.
Status Work::settle_digest() {
  if (!is_digest_announced_) {
    return {};
  }
  if (auto done = compile::settle_zonemd(zone_, fold_names_in_data); !done) {
    return done;
  }
  const Target targets[] = {{.index = kApex, .type = type::zonemd}};
  return sign_window(targets);
}

Status Work::sign_window(std::span<const Target> targets) {
  std::vector<Signatures> signatures(targets.size());
  const size_t useful = (targets.size() + kChunk - 1) / kChunk;
  std::vector<WorkerResult> results(std::clamp<size_t>(signing_.thread_count, 1, useful));
  std::atomic<size_t> next{0};
  {
    std::vector<std::jthread> threads;
    for (size_t i = 1; i < results.size(); ++i) {
      threads.emplace_back([&, i] { work_through(targets, next, signatures, results[i]); });
    }
    work_through(targets, next, signatures, results[0]);
  }
  for (const WorkerResult& result : results) {
    if (result.error) {
      return std::unexpected(*result.error);
    }
    result_.made += result.made;
    result_.reused += result.reused;
    result_.ttl_max_s = std::max(result_.ttl_max_s, result.ttl_max);
    result_.renew_at = std::min(result_.renew_at, result.renew_at);
  }
  return add_signatures(targets, signatures);
}

void Work::work_through(std::span<const Target> targets, std::atomic<size_t>& next,
                        std::span<Signatures> out, WorkerResult& result) {
  std::vector<KeySigner> signers;
  for (const SigningKey& key : all_keys_) {
    signers.emplace_back(*key.key);
  }
  for (;;) {
    const size_t first = next.fetch_add(kChunk);
    if (first >= targets.size()) {
      return;
    }
    const size_t count = std::min(kChunk, targets.size() - first);
    if (auto done =
            sign_chunk(targets.subspan(first, count), signers, out.subspan(first, count), result);
        !done) {
      result.error = done.error();
      next.store(targets.size());
      return;
    }
  }
}

Result<CanonicalRrset> Work::canonical_of(const Target& target) const {
  if (target.type != type::nsec3) {
    return canonical_rrset({.owner = zone_.name_of(target.index),
                            .apex = apex_.wire(),
                            .type = target.type,
                            .body = zone_.body_of(*zone_.find(target.index, target.type))});
  }
  const Nsec3& entry = nsec3_[target.index];
  const auto owner = apex_.child(to_base32hex(entry.hash));
  if (!owner) {
    return in("NSEC3 record", owner.error());
  }
  return canonical_rrset({.owner = owner->wire(),
                          .apex = apex_.wire(),
                          .type = target.type,
                          .body = std::as_const(zone_).own().bytes_of(entry.body)});
}

Status Work::sign_chunk(std::span<const Target> targets, std::span<KeySigner> signers,
                        std::span<Signatures> out, WorkerResult& result) {
  std::vector<CanonicalRrset> rrsets;
  std::vector<Sha256> keys;
  for (const Target& target : targets) {
    auto rrset = canonical_of(target);
    if (!rrset) {
      return std::unexpected(rrset.error());
    }
    for (const size_t key : keys_for(target.type)) {
      keys.push_back(cache_key(*rrset, apex_, all_keys_[key]));
    }
    rrsets.push_back(std::move(*rrset));
  }
  std::vector<std::vector<uint8_t>> cached = cache_.get(keys);
  std::vector<CachedSignature> made;
  size_t at = 0;
  for (size_t i = 0; i < targets.size(); ++i) {
    out[i].ttl = rrsets[i].ttl;
    if (targets[i].type != type::dnskey) {
      result.ttl_max = std::max(result.ttl_max, rrsets[i].ttl);
    }
    for (const size_t key : keys_for(targets[i].type)) {
      std::vector<uint8_t>& rrsig = cached[at];
      if (is_reusable(rrsig, rrsets[i], apex_, all_keys_[key], signing_.times, signing_.now)) {
        ++result.reused;
      } else {
        const Validity validity = validity_from(signing_.now, signing_.times, keys[at]);
        auto fresh = make_rrsig(rrsets[i], apex_, all_keys_[key], validity, signers[key]);
        if (!fresh) {
          return std::unexpected(fresh.error());
        }
        rrsig = std::move(*fresh);
        made.push_back({keys[at], rrsig});
        ++result.made;
      }
      const auto left =
          static_cast<int32_t>(validity_of(rrsig).expiration - static_cast<uint32_t>(signing_.now));
      result.renew_at =
          std::min(result.renew_at, signing_.now + left - signing_.times.renew_before_s() + 1);
      out[i].rrsigs.push_back(std::move(rrsig));
      ++at;
    }
  }
  if (!made.empty()) {
    cache_.put(made);
  }
  return {};
}

Status Work::add_signatures(std::span<const Target> targets,
                            std::span<const Signatures> signatures) {
  for (size_t i = 0; i < targets.size(); ++i) {
    const auto body = add_body(type::rrsig, signatures[i].ttl, signatures[i].rrsigs);
    if (!body) {
      return std::unexpected(body.error());
    }
    if (targets[i].type == type::nsec3) {
      const Nsec3& entry = nsec3_[targets[i].index];
      zone_.add_nsec3({.hash = entry.hash, .body = entry.body, .signature = *body, .reserved = 0});
    } else {
      zone_.set_signature(targets[i].index, targets[i].type, *body);
    }
  }
  return {};
}

}  // namespace

Result<ZoneSigned> sign_zone(ZoneBuilder& zone, const ZoneSigning& signing, SignatureCache& cache) {
  Work work(zone, signing, cache);
  if (auto done = work.check(); !done) {
    return std::unexpected(done.error());
  }
  if (auto done = work.add_apex_records(); !done) {
    return std::unexpected(done.error());
  }
  if (auto done = work.add_denial(); !done) {
    return std::unexpected(done.error());
  }
  if (auto done = work.sign_all(); !done) {
    return std::unexpected(done.error());
  }
  return work.result();
}

}  // namespace merlon::dnssec
