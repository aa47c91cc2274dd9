// SPDX-License-Identifier: Apache-2.0
// merlon-bench-snapshot: writes a state directory that both processes serve as it is: a zone with
// many small names and one name with a full list, for measuring. Loopback may ask.
//
//   n0.<suffix> .. n<names-1>.<suffix>  A x 4      list.<suffix>  A x --list
//
// The same records go to --zone-file in master file format, for other servers.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <fstream>

#include "controlplane/publish/publisher.h"
#include "zones/address/address.h"
#include "zones/base/file.h"
#include "zones/name/name.h"
#include "zones/snapshot/access.h"
#include "zones/snapshot/zone.h"
#include "zones/wire/wire.h"

namespace merlon::bench {
namespace {

using snapshot::BodiesBuilder;
using snapshot::SegmentKind;

constexpr uint32_t kTtl = 900;
constexpr uint32_t kSerial = 1;
constexpr uint32_t kAllTiers = 0xF;
constexpr unsigned kAddressesPerName = 4;

struct Options {
  std::string state;
  std::string zone_file;
  std::string suffix = "merlon.internal";
  unsigned names = 2000;
  unsigned list = 4000;
};

// REQUIRES: `bytes` outlives what is returned.
publish::SegmentFile segment(SegmentKind kind, Bytes bytes, const name::Name& apex) {
  return {.listed = {.kind = kind,
                     .hash = snapshot::ContentHash::of(bytes),
                     .size_bytes = bytes.size(),
                     .apex = apex},
          .bytes = bytes};
}

// Builds the zone and writes the same as text.
class Zone {
 public:
  explicit Zone(const name::Name& apex)
      : apex_(apex),
        builder_({.apex = apex, .serial = kSerial, .account = 0, .tier_mask = kAllTiers}) {}

  Status add_apex() {
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

  // `count` addresses from `first` on, every third one, so that no two make a prefix.
  Status add_addresses(const std::string& label, uint32_t first, unsigned count) {
    const auto name = apex_.child(label);
    if (!name) {
      return std::unexpected(name.error());
    }
    builder_.own().begin();
    for (unsigned i = 0; i < count; ++i) {
      std::array<uint8_t, 4> data;
      address::store_network(address::Bits4{first + 3 * i}, data.data());
      builder_.own().add({.type = wire::type::a, .ttl = kTtl, .data = data});
      text_ +=
          fmt::format("{} {} A {}.{}.{}.{}\n", label, kTtl, data[0], data[1], data[2], data[3]);
    }
    return finish_rrset(*name, wire::type::a);
  }

  Result<std::vector<uint8_t>> finish() { return builder_.finish(); }
  const std::string& text() const { return text_; }

 private:
  Status finish_rrset(const name::Name& name, uint16_t type) {
    const auto body = builder_.own().end();
    return body ? builder_.add_rrset(name, type, 0, *body) : Status(std::unexpected(body.error()));
  }

  name::Name apex_;
  snapshot::ZoneBuilder builder_;
  std::string text_;
};

Result<std::vector<uint8_t>> loopback_may_ask() {
  snapshot::AccessBuilder access;
  const uint32_t subject = access.add_subject({.account = 1,
                                               .device = 1,
                                               .tier_mask = kAllTiers,
                                               .verb = snapshot::Verb::pass,
                                               .reserved = {}});
  for (const char* text : {"127.0.0.0/8", "::1/128"}) {
    access.add_source(*address::parse_prefix(text), subject);
  }
  return access.finish();
}

Status write_state(const Options& options, const std::vector<publish::SegmentFile>& files) {
  const std::string catalogue = options.state + "/catalogue";
  if (auto made = make_directories(catalogue); !made) {
    return made;
  }
  const auto key = snapshot::SigningKey::load_or_create(options.state + "/manifest.key");
  if (!key) {
    return std::unexpected(key.error());
  }
  const std::string public_key = to_hex(key->public_key) + "\n";
  if (auto done = write_file_durably(options.state + "/manifest.pub", as_bytes(public_key));
      !done) {
    return done;
  }
  auto publisher = publish::Publisher::open(options.state + "/snapshots", *key, {});
  if (!publisher) {
    return std::unexpected(publisher.error());
  }
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

Status run(const Options& options) {
  const auto apex = name::Name::from_text(options.suffix);
  if (!apex) {
    return std::unexpected(apex.error());
  }
  Zone zone(apex->folded());
  Status done = zone.add_apex();
  for (unsigned i = 0; done && i < options.names; ++i) {
    done = zone.add_addresses(fmt::format("n{}", i), 0x0B000000 + 16 * i, kAddressesPerName);
  }
  if (done) {
    done = zone.add_addresses("list", 0x2D000000, options.list);
  }
  if (!done) {
    return done;
  }
  const auto bytes = zone.finish();
  const auto access = loopback_may_ask();
  if (!bytes || !access) {
    return std::unexpected(bytes ? access.error() : bytes.error());
  }
  const std::vector<publish::SegmentFile> files = {
      segment(SegmentKind::zone, *bytes, apex->folded()),
      segment(SegmentKind::access, *access, name::Name())};
  if (auto written = write_state(options, files); !written) {
    return written;
  }
  return options.zone_file.empty() ? Status()
                                   : write_file_durably(options.zone_file, as_bytes(zone.text()));
}

}  // namespace
}  // namespace merlon::bench

int main(int argc, char** argv) {
  CLI::App app("Writes a state directory for measuring");
  merlon::bench::Options options;
  app.add_option("--state", options.state, "the directory to make")->required();
  app.add_option("--zone-file", options.zone_file, "the same as a master file");
  app.add_option("--suffix", options.suffix, "the zone")->capture_default_str();
  app.add_option("--names", options.names, "names with four addresses")->capture_default_str();
  app.add_option("--list", options.list, "addresses of list.<suffix>")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (const auto done = merlon::bench::run(options); !done) {
    fmt::print(stderr, "merlon-bench-snapshot: {}\n", done.error().message);
    return 1;
  }
  return 0;
}
