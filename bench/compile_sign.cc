// SPDX-License-Identifier: Apache-2.0
#include "bench/compile_sign.h"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <utility>
#include <vector>

#include "controlplane/dnssec/zone_signer.h"
#include "zones/snapshot/zone_builder.h"
#include "zones/wire/wire.h"

namespace merlon::bench {
namespace {

using snapshot::BodiesBuilder;

constexpr uint32_t kTtl_s = 300;

Result<uint32_t> add_body(snapshot::ZoneBuilder& zone, const BodiesBuilder::Record& record) {
  zone.own().begin();
  zone.own().add(record);
  return zone.own().end();
}

Status add_apex(snapshot::ZoneBuilder& zone) {
  const name::Name& apex = zone.settings().apex;
  std::vector<uint8_t> soa(2 * name::kWireSizeMax + 20);
  wire::Writer writer(soa);
  writer.name(apex);
  writer.name(apex);
  for (const uint32_t field : {1u, 3600u, 600u, 604800u, 60u}) {
    writer.u32(field);
  }
  soa.resize(writer.size());
  const auto answer = add_body(zone, {.type = wire::type::soa, .ttl = kTtl_s, .data = soa});
  const auto negative = add_body(zone, {.section = BodiesBuilder::Section::authority,
                                        .owner = BodiesBuilder::Owner::apex,
                                        .type = wire::type::soa,
                                        .ttl = 60,
                                        .data = soa});
  const auto server = add_body(zone, {.type = wire::type::ns, .ttl = kTtl_s, .data = apex.wire()});
  if (!answer || !negative || !server) {
    return fail(ErrorCode::internal, "the apex' records do not fit");
  }
  zone.set_negative_body(*negative);
  if (auto added = zone.add_rrset(apex, wire::type::soa, 0, *answer); !added) {
    return added;
  }
  return zone.add_rrset(apex, wire::type::ns, 0, *server);
}

Status add_names(snapshot::ZoneBuilder& zone, unsigned count) {
  for (unsigned i = 0; i < count; ++i) {
    const auto name = zone.settings().apex.child(fmt::format("name{}", i));
    const std::array<uint8_t, 4> address = {46, static_cast<uint8_t>(i >> 16),
                                            static_cast<uint8_t>(i >> 8), static_cast<uint8_t>(i)};
    const auto body = add_body(zone, {.type = wire::type::a, .ttl = kTtl_s, .data = address});
    if (!name || !body) {
      return std::unexpected(name ? body.error() : name.error());
    }
    if (auto added = zone.add_rrset(*name, wire::type::a, 0, *body); !added) {
      return added;
    }
  }
  return {};
}

}  // namespace

Result<SignMeasured> measure_signing(const std::string& folder, const SignSize& size) {
  const auto apex = name::Name::from_text("acme.merlon.internal.");
  auto signer = dnssec::Signer::open({.keys_path = folder + "/keys",
                                      .suffix = apex->parent(),
                                      .scope = dnssec::Scope::accounts,
                                      .thread_count = size.threads},
                                     dnssec::memory_cache());
  if (!signer) {
    return std::unexpected(signer.error());
  }
  snapshot::ZoneBuilder zone({.apex = *apex, .serial = 1, .account = 7});
  if (auto added = add_apex(zone); !added) {
    return std::unexpected(added.error());
  }
  if (auto added = add_names(zone, size.names); !added) {
    return std::unexpected(added.error());
  }
  if (auto arranged = zone.arrange(); !arranged) {
    return std::unexpected(arranged.error());
  }
  const auto start = std::chrono::steady_clock::now();
  if (auto done = (*signer)->sign(zone); !done) {
    return std::unexpected(done.error());
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  return SignMeasured{.signatures = (*signer)->counters().made, .seconds = took.count()};
}

}  // namespace merlon::bench
