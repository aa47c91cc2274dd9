// SPDX-License-Identifier: Apache-2.0
// merlon-dnssec-lab: signs two small zones (acme.merlon.internal. with NSEC, merlon.internal. with
// NSEC3) into a state directory that both processes serve as it is. Called again, it publishes the
// next generation with the same keys, so that a test can run a rollover in seconds.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <ctime>

#include "controlplane/dnssec/zone_signer.h"
#include "controlplane/publish/publisher.h"
#include "tests/controlplane/dnssec/signer_fixture.h"
#include "zones/address/address.h"
#include "zones/base/file.h"
#include "zones/snapshot/access.h"

namespace merlon::dnssec {
namespace {

using snapshot::SegmentKind;

constexpr uint32_t kAccount = 7;
constexpr uint32_t kAllTiers = 15;

struct Arguments {
  std::string state;
  std::string algorithm = "ecdsa-p256";
  std::string layout = "csk";
  std::string rollover;
  bool seen = false;
  uint32_t ttl_s = 0;
  int64_t propagation_s = 3600;
};

struct Part {
  SegmentKind kind;
  name::Name apex;
  std::vector<uint8_t> bytes;
};

Result<std::vector<uint8_t>> access_segment() {
  snapshot::AccessBuilder access;
  const uint32_t subject = access.add_subject({.account = kAccount,
                                               .device = 1,
                                               .tier_mask = kAllTiers,
                                               .verb = snapshot::Verb::pass,
                                               .flags = 0,
                                               .reserved = {}});
  for (const char* text : {"127.0.0.0/8", "::1/128"}) {
    const auto prefix = address::parse_prefix(text);
    if (!prefix) {
      return fail(ErrorCode::internal, "{} is no prefix", text);
    }
    access.add_source(*prefix, subject);
  }
  return access.finish();
}

Status sign_zone_into(Signer& signer, const ListZoneOptions& options, std::vector<Part>& parts) {
  ListZone zone = make_list_zone(options);
  if (auto done = signer.sign(*zone.builder); !done) {
    return done;
  }
  auto bytes = zone.builder->finish();
  if (!bytes) {
    return std::unexpected(bytes.error());
  }
  parts.push_back({SegmentKind::bodies, name::Name(), std::move(zone.bodies_bytes)});
  parts.push_back({SegmentKind::zone, zone.builder->settings().apex, std::move(*bytes)});
  return {};
}

Status publish(const std::string& state, const std::vector<Part>& parts) {
  if (auto made = make_directories(state + "/catalogue"); !made) {
    return made;
  }
  const auto key = snapshot::SigningKey::load_or_create(state + "/manifest.key");
  if (!key) {
    return std::unexpected(key.error());
  }
  if (auto done =
          write_file_durably(state + "/manifest.pub", as_bytes(to_hex(key->public_key) + "\n"));
      !done) {
    return done;
  }
  auto publisher = publish::Publisher::open(state + "/snapshots", *key, {});
  if (!publisher) {
    return std::unexpected(publisher.error());
  }
  std::vector<publish::SegmentFile> files;
  for (const Part& part : parts) {
    files.push_back({.listed = {.kind = part.kind,
                                .hash = snapshot::ContentHash::of(part.bytes),
                                .size_bytes = part.bytes.size(),
                                .apex = part.apex},
                     .bytes = part.bytes});
  }
  const auto written = publisher->write(files, ::time(nullptr));
  if (!written) {
    return std::unexpected(written.error());
  }
  // Built from the store as it is when new: the control plane does not build over it.
  const std::string_view built_from = R"({"schema_version":1,"revision":0,"lists":[]})";
  if (auto done = write_file_durably(
          fmt::format("{}/catalogue/{}.json", state, written->generation), as_bytes(built_from));
      !done) {
    return done;
  }
  return publisher->set_current(written->generation);
}

void print_anchors(const Signer& signer) {
  for (const ZoneReport& zone : signer.zones()) {
    for (const std::string& line : zone.dnskeys) {
      fmt::print("{}\n", line);
    }
    fmt::print("; {} rollover {} step {}\n", zone.apex.to_text(),
               to_string(zone.keys.rollover.kind), to_string(zone.keys.rollover.step));
  }
}

Status run(const Arguments& arguments) {
  const auto algorithm = parse_algorithm(arguments.algorithm);
  if (!algorithm) {
    return std::unexpected(algorithm.error());
  }
  SignerOptions options{.keys_path = arguments.state + "/keys",
                        .suffix = name_of("merlon.internal."),
                        .scope = Scope::all};
  options.policy.algorithm = *algorithm;
  options.policy.layout = arguments.layout == "csk" ? Layout::csk : Layout::split;
  options.policy.propagation_s = arguments.propagation_s;
  if (arguments.ttl_s != 0) {
    options.dnskey_ttl_s = arguments.ttl_s;
    options.policy.parent_ds_ttl_s = arguments.ttl_s;
  }
  auto signer = Signer::open(options, open_cache(arguments.state + "/signatures"));
  if (!signer) {
    return std::unexpected(signer.error());
  }
  const name::Name acme = name_of("acme.merlon.internal.");
  if (!arguments.rollover.empty()) {
    const auto kind = parse_rollover_kind(arguments.rollover);
    if (auto done =
            kind ? (*signer)->start_rollover(acme, *kind) : Status(std::unexpected(kind.error()));
        !done) {
      return done;
    }
  }
  if (arguments.seen) {
    if (auto done = (*signer)->ds_seen(acme); !done) {
      return done;
    }
  }
  std::vector<Part> parts;
  // 4000 addresses over as many names as a signed zone needs.
  const size_t most =
      signed_records_max(name_of("list2.acme.merlon.internal.").size(), acme.size(), 4);
  ListZoneOptions list{.serial = static_cast<uint32_t>(::time(nullptr)),
                       .address_count = most,
                       .more_lists = {most, 4000 - 2 * most},
                       .ttl_s = arguments.ttl_s};
  if (auto done = sign_zone_into(**signer, list, parts); !done) {
    return done;
  }
  list.apex = "merlon.internal.";
  list.account = 0;
  list.address_count = 10;
  list.more_lists.clear();
  if (auto done = sign_zone_into(**signer, list, parts); !done) {
    return done;
  }
  auto access = access_segment();
  if (!access) {
    return std::unexpected(access.error());
  }
  parts.push_back({SegmentKind::access, name::Name(), std::move(*access)});
  if (auto done = publish(arguments.state, parts); !done) {
    return done;
  }
  if (auto done = (*signer)->published(); !done) {
    return done;
  }
  print_anchors(**signer);
  return {};
}

}  // namespace
}  // namespace merlon::dnssec

int main(int argc, char** argv) {
  merlon::dnssec::Arguments arguments;
  CLI::App app("Signs small zones for tests");
  app.add_option("state", arguments.state, "State directory")->required();
  app.add_option("--algorithm", arguments.algorithm, "ecdsa-p256 or ed25519");
  app.add_option("--layout", arguments.layout, "csk or split");
  app.add_option("--ttl", arguments.ttl_s, "TTL of everything, seconds");
  app.add_option("--propagation", arguments.propagation_s, "Seconds until a generation is served");
  app.add_option("--rollover", arguments.rollover, "Begin one of acme: zsk, ksk, algorithm");
  app.add_flag("--ds-seen", arguments.seen, "The new trust anchor is in use");
  CLI11_PARSE(app, argc, argv);
  if (const auto done = merlon::dnssec::run(arguments); !done) {
    fmt::print(stderr, "merlon-dnssec-lab: {}\n", done.error().message);
    return 1;
  }
  return 0;
}
