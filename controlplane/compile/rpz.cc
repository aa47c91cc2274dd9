// SPDX-License-Identifier: Apache-2.0
#include "controlplane/compile/rpz.h"

#include <xxhash.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "controlplane/compile/rpz_names.h"
#include "controlplane/domains/overlay.h"
#include "zones/base/assert.h"
#include "zones/snapshot/zone_builder.h"
#include "zones/wire/wire.h"

namespace merlon::compile {
namespace {

using domains::Decision;
using domains::DomainSet;
using domains::kNoRank;
using domains::Scope;
using snapshot::BodiesBuilder;

constexpr std::string_view kMemoryVersion = "rpz1";
constexpr uint32_t kAllTiers = 0xF;

name::Name literal(std::string_view text) {
  const auto name = name::Name::from_text(text);
  MERLON_ASSERT(name.has_value());
  return *name;
}

bool starts_with_wildcard(const name::Name& name) {
  return name.size() > 2 && name.wire()[0] == 1 && name.wire()[1] == '*';
}

// What the CNAME of a rule points at. Errors: invalid_argument.
Result<name::Name> target_of(const RpzRule& rule) {
  switch (rule.action) {
    case RpzAction::passthru:
      return literal("rpz-passthru");
    case RpzAction::drop:
      return literal("rpz-drop");
    case RpzAction::nxdomain:
      return name::Name();
    case RpzAction::nodata:
      return literal("*");
    case RpzAction::tcp_only:
      return literal("rpz-tcp-only");
    case RpzAction::garden:
      break;
  }
  const name::Name garden = rule.garden.folded();
  const name::Name host = starts_with_wildcard(garden) ? garden.parent() : garden;
  if (host.label_count() < 2) {
    return fail(ErrorCode::invalid_argument, "garden {} is no host name: give one like {}",
                rule.garden.to_text(), "garden.example.com");
  }
  return garden;
}

// The rules as layers of domains and address triggers, and what each rank's record is.
struct Plan {
  std::vector<name::Name> targets;  // by rank
  std::vector<DomainSet> own;       // made here; not moved once there are layers
  std::vector<domains::Layer> layers;
  RpzCounts counts;
};

Result<Plan> make_plan(const RpzInput& input) {
  if (input.test_name.is_root()) {
    return fail(ErrorCode::invalid_argument, "a policy zone needs a test name");
  }
  std::vector<const RpzRule*> rules;
  for (const RpzRule& rule : input.rules) {
    rules.push_back(&rule);
  }
  std::ranges::stable_sort(rules, {}, [](const RpzRule* rule) { return rule->action; });
  MERLON_ASSERT(rules.size() < kNoRank - 1u);
  Plan plan;
  plan.own.reserve(rules.size() + 1);
  domains::DomainSetBuilder test;
  test.add(domains::key_of(input.test_name), Scope::exact);
  plan.own.push_back(test.finish());
  plan.targets.push_back(name::Name());
  plan.layers.push_back({&plan.own.back(), 0});
  address::IpSet taken;
  for (const RpzRule* rule : rules) {
    auto target = target_of(*rule);
    if (!target) {
      return std::unexpected(target.error());
    }
    const auto rank = static_cast<uint16_t>(plan.targets.size());
    plan.targets.push_back(*target);
    if (rule->domains != nullptr) {
      plan.layers.push_back({rule->domains.get(), rank});
    }
    RpzPrefixes prefixes = rpz_ip_keys(rule->addresses.minus(taken));
    taken = taken.united(rule->addresses);
    plan.counts.prefixes4 += prefixes.v4_count;
    plan.counts.prefixes6 += prefixes.v6_count;
    plan.own.push_back(std::move(prefixes.keys));
    plan.layers.push_back({&plan.own.back(), rank});
  }
  return plan;
}

std::vector<uint8_t> soa_data(const RpzSettings& settings, uint32_t serial) {
  std::vector<uint8_t> data(2 * name::kWireSizeMax + 20);
  wire::Writer writer(data);
  writer.name(settings.primary.is_root() ? literal("localhost") : settings.primary);
  writer.name(settings.mailbox.is_root() ? literal("nobody.invalid") : settings.mailbox);
  for (const uint32_t field :
       {serial, settings.refresh_s, settings.retry_s, settings.expire_s, settings.negative_ttl_s}) {
    writer.u32(field);
  }
  data.resize(writer.size());
  return data;
}

// A digest of all that goes into the zone but its serial.
class Digest {
 public:
  Digest() : state_(XXH3_createState()) { XXH3_128bits_reset(state_); }
  Digest(const Digest&) = delete;
  Digest& operator=(const Digest&) = delete;
  ~Digest() { XXH3_freeState(state_); }

  void add(Bytes bytes) { XXH3_128bits_update(state_, bytes.data(), bytes.size()); }
  void add(uint32_t number) {
    uint8_t bytes[4];
    store_be32(bytes, number);
    add(Bytes(bytes));
  }
  std::string text() const {
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_));
    return to_hex(canonical.digest);
  }

 private:
  XXH3_state_t* state_;
};

std::string digest_of(const RpzInput& input, const RpzSettings& settings, Plan& plan) {
  Digest digest;
  digest.add(input.apex.folded().wire());
  digest.add(input.account);
  digest.add(input.tier_mask);
  digest.add(settings.ttl_s);
  digest.add(Bytes(soa_data(settings, 0)));
  for (const name::Name& target : plan.targets) {
    digest.add(target.wire());
  }
  const auto counts = domains::overlay(plan.layers, [&](const Decision& decision) {
    digest.add(as_bytes(decision.key));
    digest.add((uint32_t{decision.exact} << 16) | decision.below);
  });
  plan.counts.filled = counts.filled;
  plan.counts.duplicates = counts.duplicates;
  plan.counts.covered = counts.covered;
  plan.counts.outranked = counts.outranked;
  return digest.text();
}

class RpzWriter {
 public:
  RpzWriter(const RpzInput& input, const RpzSettings& settings, uint32_t serial)
      : input_(input),
        settings_(settings),
        builder_({.apex = input.apex,
                  .serial = serial,
                  .account = input.account,
                  .tier_mask = input.account == 0 ? input.tier_mask : kAllTiers}) {}

  Status add_apex() {
    const std::vector<uint8_t> soa = soa_data(settings_, builder_.settings().serial);
    const name::Name server =
        settings_.primary.is_root() ? literal("localhost") : settings_.primary;
    const auto soa_body = body(wire::type::soa, soa);
    const auto ns_body = body(wire::type::ns, server.wire());
    if (!soa_body || !ns_body) {
      return std::unexpected(!soa_body ? soa_body.error() : ns_body.error());
    }
    // RFC 2308 section 3: the SOA of a negative answer has the smaller of its TTL and minimum.
    builder_.own().begin();
    builder_.own().add({.section = BodiesBuilder::Section::authority,
                        .owner = BodiesBuilder::Owner::apex,
                        .type = wire::type::soa,
                        .ttl = std::min(settings_.ttl_s, settings_.negative_ttl_s),
                        .data = soa});
    const auto negative = builder_.own().end();
    if (!negative) {
      return std::unexpected(negative.error());
    }
    builder_.set_negative_body(*negative);
    if (auto done = builder_.add_rrset(input_.apex, wire::type::soa, 0, *soa_body); !done) {
      return done;
    }
    return builder_.add_rrset(input_.apex, wire::type::ns, 0, *ns_body);
  }

  Status add_targets(const std::vector<name::Name>& targets) {
    for (const name::Name& target : targets) {
      const auto made = body(wire::type::cname, target.wire());
      if (!made) {
        return std::unexpected(made.error());
      }
      bodies_.push_back(*made);
    }
    return {};
  }

  // REQUIRES: in the order of keys, which is canonical.
  Status add(const Decision& decision) {
    add_names_between(decision.key);
    before_ = decision.key;
    const auto name = domains::name_below(input_.apex, decision.key, Scope::exact);
    if (!name) {
      ++counts_.too_long;
      return {};
    }
    if (decision.exact == kNoRank) {
      if (auto done = builder_.add_node(*name, 0); !done) {
        return done;
      }
    } else if (auto done = add_record(*name, decision.exact); !done) {
      return done;
    }
    if (decision.below == kNoRank) {
      return {};
    }
    const auto wildcard = domains::name_below(input_.apex, decision.key, Scope::below);
    if (!wildcard) {
      ++counts_.too_long;
      return {};
    }
    ++counts_.wildcards;
    return add_record(*wildcard, decision.below);
  }

  snapshot::ZoneBuilder& builder() { return builder_; }
  const RpzCounts& counts() const { return counts_; }

 private:
  Result<uint32_t> body(uint16_t type, Bytes data) {
    builder_.own().begin();
    builder_.own().add({.type = type, .ttl = settings_.ttl_s, .data = data});
    return builder_.own().end();
  }

  Status add_record(const name::Name& name, uint16_t rank) {
    ++counts_.names;
    return builder_.add_rrset(name, wire::type::cname, 0, bodies_[rank]);
  }

  // Empty non-terminals, so that the builder has nothing to sort.
  void add_names_between(std::string_view key) {
    const auto parted = std::ranges::mismatch(before_, key);
    size_t at = static_cast<size_t>(parted.in2 - key.begin());
    while (at > 0 && key[at - 1] != 0) {
      --at;
    }
    for (size_t end = key.find('\0', at) + 1; end < key.size(); end = key.find('\0', end) + 1) {
      const auto name = domains::name_below(input_.apex, key.substr(0, end), Scope::exact);
      if (!name || !builder_.add_node(*name, 0)) {
        return;  // then the name itself is too long as well
      }
    }
  }

  const RpzInput& input_;
  const RpzSettings& settings_;
  snapshot::ZoneBuilder builder_;
  std::vector<uint32_t> bodies_;  // by rank
  std::string before_;
  RpzCounts counts_;
};

Result<CompiledRpz> build(const RpzInput& input, const RpzContext& context, const Plan& plan,
                          uint32_t serial) {
  RpzWriter writer(input, context.settings, serial);
  Status status = writer.add_apex();
  if (status) {
    status = writer.add_targets(plan.targets);
  }
  if (status) {
    domains::overlay(plan.layers, [&](const Decision& decision) {
      if (status) {
        status = writer.add(decision);
      }
    });
  }
  if (status && context.signer != nullptr && context.signer->signs(input.apex)) {
    status = writer.builder().arrange();
    if (status) {
      status = context.signer->sign(writer.builder());
      if (!status) {
        return in("sign", signing_failed(status.error()));
      }
    }
  }
  if (!status) {
    return std::unexpected(status.error());
  }
  auto bytes = writer.builder().finish();
  if (!bytes) {
    return std::unexpected(bytes.error());
  }
  CompiledRpz made;
  made.counts = plan.counts;
  made.counts.names = writer.counts().names;
  made.counts.wildcards = writer.counts().wildcards;
  made.counts.too_long = writer.counts().too_long;
  made.listed = {.kind = snapshot::SegmentKind::zone,
                 .hash = snapshot::ContentHash::of(*bytes),
                 .size_bytes = bytes->size(),
                 .apex = input.apex.folded()};
  made.bytes = std::move(*bytes);
  made.memory.serial = serial;
  made.memory.hash = made.listed.hash.to_text();
  return made;
}

}  // namespace

std::string_view to_string(RpzAction action) {
  switch (action) {
    case RpzAction::passthru:
      return "passthru";
    case RpzAction::drop:
      return "drop";
    case RpzAction::nxdomain:
      return "nxdomain";
    case RpzAction::nodata:
      return "nodata";
    case RpzAction::garden:
      return "garden";
    case RpzAction::tcp_only:
      return "tcp-only";
  }
  return "unknown";
}

std::string RpzMemory::encode() const {
  return fmt::format("{} {} {} {}", kMemoryVersion, serial, digest.empty() ? "-" : digest,
                     hash.empty() ? "-" : hash);
}

Result<RpzMemory> RpzMemory::decode(std::string_view text) {
  std::vector<std::string> fields(1);
  for (const char c : text) {
    if (c == ' ') {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  RpzMemory memory;
  if (fields.size() != 4 || fields[0] != kMemoryVersion) {
    return fail(ErrorCode::corruption, "not what is remembered of a policy zone");
  }
  const std::string& serial = fields[1];
  const auto parsed = std::from_chars(serial.data(), serial.data() + serial.size(), memory.serial);
  if (parsed.ec != std::errc() || parsed.ptr != serial.data() + serial.size()) {
    return fail(ErrorCode::corruption, "serial {} of a policy zone", serial);
  }
  memory.digest = fields[2] == "-" ? "" : fields[2];
  memory.hash = fields[3] == "-" ? "" : fields[3];
  return memory;
}

Result<CompiledRpz> compile_rpz(const RpzInput& input, const RpzContext& context,
                                const RpzMemory& before) {
  const std::string where = fmt::format("policy zone {}", input.apex.to_text());
  auto plan = make_plan(input);
  if (!plan) {
    return in(where, plan.error());
  }
  const std::string digest = digest_of(input, context.settings, *plan);
  const bool same = before.serial != 0 && digest == before.digest;
  auto made = build(input, context, *plan, same ? before.serial : context.next_serial);
  if (made && same && made->memory.hash != before.hash) {
    // The same content signed anew: secondaries must come for it.
    made = build(input, context, *plan, context.next_serial);
  }
  if (!made) {
    return in(where, made.error());
  }
  made->memory.digest = digest;
  return made;
}

}  // namespace merlon::compile
