// SPDX-License-Identifier: Apache-2.0
#include "bench/state.h"

#include <fmt/format.h>

#include "controlplane/publish/publisher.h"
#include "zones/base/file.h"
#include "zones/snapshot/access.h"
#include "zones/wire/wire.h"

namespace merlon::bench {
namespace {

using snapshot::BodiesBuilder;
using snapshot::SegmentKind;

constexpr uint32_t kTtl = 900;
constexpr uint32_t kSerial = 1;
constexpr uint32_t kAllTiers = 0xF;

// REQUIRES: `bytes` outlives what is returned.
publish::SegmentFile segment(SegmentKind kind, Bytes bytes, const name::Name& apex) {
  return {.listed = {.kind = kind,
                     .hash = snapshot::ContentHash::of(bytes),
                     .size_bytes = bytes.size(),
                     .apex = apex},
          .bytes = bytes};
}

}  // namespace

Zone::Zone(const name::Name& apex, Text text)
    : apex_(apex),
      builder_({.apex = apex, .serial = kSerial, .account = 0, .tier_mask = kAllTiers}),
      kind_(text) {}

Status Zone::add_apex() {
  std::vector<uint8_t> soa(2 * name::kWireSizeMax + 20);
  wire::Writer writer(soa);
  writer.name(apex_);
  writer.name(apex_);
  for (const uint32_t value : {kSerial, 3600u, 600u, 604800u, 60u}) {
    writer.u32(value);
  }
  soa.resize(writer.size());
  text_ += fmt::format("$ORIGIN {}\n@ {} SOA @ @ {} 3600 600 604800 60\n@ {} NS ns1\n",
                       apex_.to_text(), kTtl, kSerial, kTtl);
  const auto server = apex_.child("ns1");
  if (!server) {
    return std::unexpected(server.error());
  }
  std::vector<uint8_t> ns(server->wire().begin(), server->wire().end());
  for (const auto& [type, data] :
       {std::pair(wire::type::soa, &soa), std::pair(wire::type::ns, &ns)}) {
    builder_.own().begin();
    builder_.own().add({.type = type, .ttl = kTtl, .data = *data});
    if (auto done = finish_rrset(apex_, type); !done) {
      return done;
    }
  }
  builder_.own().begin();
  builder_.own().add({.section = BodiesBuilder::Section::authority,
                      .owner = BodiesBuilder::Owner::apex,
                      .type = wire::type::soa,
                      .ttl = 60,
                      .data = soa});
  const auto negative = builder_.own().end();
  if (!negative) {
    return std::unexpected(negative.error());
  }
  builder_.set_negative_body(*negative);
  return {};
}

Status Zone::add_names(unsigned count) {
  for (unsigned i = 0; i < count; ++i) {
    if (auto done = add_addresses(fmt::format("n{}", i), kFirstAddress + 16 * i, kAddressesPerName);
        !done) {
      return done;
    }
  }
  return {};
}

Status Zone::add_addresses(const std::string& label, uint32_t first, unsigned count) {
  const auto name = apex_.child(label);
  if (!name) {
    return std::unexpected(name.error());
  }
  builder_.own().begin();
  for (unsigned i = 0; i < count; ++i) {
    std::array<uint8_t, 4> data;
    address::store_network(address::Bits4{first + 3 * i}, data.data());
    builder_.own().add({.type = wire::type::a, .ttl = kTtl, .data = data});
    if (kind_ == Text::master_file) {
      text_ +=
          fmt::format("{} {} A {}.{}.{}.{}\n", label, kTtl, data[0], data[1], data[2], data[3]);
    }
  }
  return finish_rrset(*name, wire::type::a);
}

Status Zone::finish_rrset(const name::Name& name, uint16_t type) {
  const auto body = builder_.own().end();
  return body ? builder_.add_rrset(name, type, 0, *body) : Status(std::unexpected(body.error()));
}

Result<std::vector<uint8_t>> sources_may_ask(std::span<const address::AnyPrefix> sources) {
  snapshot::AccessBuilder access;
  for (uint32_t i = 0; i < sources.size(); ++i) {
    access.add_source(sources[i], access.add_subject({.account = 1,
                                                      .device = i + 1,
                                                      .tier_mask = kAllTiers,
                                                      .verb = snapshot::Verb::pass,
                                                      .flags = 0,
                                                      .reserved = {}}));
  }
  return access.finish();
}

Status write_state(const std::string& directory, const name::Name& apex, Bytes zone, Bytes access) {
  const std::string catalogue = directory + "/catalogue";
  if (auto made = make_directories(catalogue); !made) {
    return made;
  }
  const auto key = snapshot::SigningKey::load_or_create(directory + "/manifest.key");
  if (!key) {
    return std::unexpected(key.error());
  }
  const std::string public_key = to_hex(key->public_key) + "\n";
  if (auto done = write_file_durably(directory + "/manifest.pub", as_bytes(public_key)); !done) {
    return done;
  }
  auto publisher = publish::Publisher::open(directory + "/snapshots", *key, {});
  if (!publisher) {
    return std::unexpected(publisher.error());
  }
  const std::vector<publish::SegmentFile> files = {
      segment(SegmentKind::zone, zone, apex), segment(SegmentKind::access, access, name::Name())};
  const auto written = publisher->write(files, kSerial);
  if (!written) {
    return std::unexpected(written.error());
  }
  // Built from the store as it is when new (revision 0): the control plane does not build over it.
  const std::string_view built_from = R"({"schema_version":1,"revision":0,"lists":[]})";
  if (auto done = write_file_durably(fmt::format("{}/{}.json", catalogue, written->generation),
                                     as_bytes(built_from));
      !done) {
    return done;
  }
  return publisher->set_current(written->generation);
}

}  // namespace merlon::bench
