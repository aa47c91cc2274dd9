// SPDX-License-Identifier: Apache-2.0
#include "tests/support/snapshot_fixture.h"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "zones/address/address.h"
#include "zones/base/assert.h"
#include "zones/base/file.h"
#include "zones/snapshot/zone_builder.h"
#include "zones/wire/wire.h"

namespace merlon::tests {
namespace {

using name::Name;
using snapshot::BodiesBuilder;
using snapshot::SegmentKind;
using snapshot::Subject;
using snapshot::Verb;
using snapshot::ZoneBuilder;

constexpr uint32_t kTtl = 300;
constexpr uint32_t kTierPaying = kTierBasic | kTierAdvanced | kTierOperator;

struct Source {
  std::string_view prefix;
  uint32_t account;
  uint32_t device;
  uint32_t tier_mask;
  Verb verb = Verb::pass;
  uint8_t flags = 0;
};

constexpr Source kFixtureSources[] = {
    {"192.0.2.0/24", 7, 1, kTierBasic},
    {"192.0.2.10", 7, 2, kTierBasic | kTierAdvanced},
    {"198.51.100.0/24", 9, 3, kTierBasic},
    {"203.0.113.1", 11, 4, kTierCommunity},
    {"203.0.113.2", 12, 5, kTierBasic, Verb::refuse},
    {"203.0.113.3", 13, 6, kTierBasic, Verb::empty},
    {"203.0.113.4", 14, 7, kTierBasic, Verb::ignore},
    {"10.0.0.0/8", 1, 8, kTierAll},
    {"127.0.0.0/8", 7, 9, kTierBasic | kTierAdvanced},
    {"2001:db8:7::/48", 7, 10, kTierBasic},
    {"2001:db8:7::10", 7, 11, kTierBasic | kTierAdvanced},
    {"2001:db8:9::/48", 9, 12, kTierBasic},
    {"2001:db8:bad::/48", 12, 13, kTierBasic, Verb::refuse},
    {"2001:db8::/32", 11, 14, kTierCommunity},
    {"::1", 7, 15, kTierBasic | kTierAdvanced},
    {"192.0.2.53", 7, 16, kTierBasic, Verb::pass, snapshot::subject_flag::recursion},
    {"203.0.113.6", 13, 17, kTierBasic, Verb::empty, snapshot::subject_flag::recursion},
    {"203.0.113.7", 13, 18, kTierBasic, Verb::refuse, snapshot::subject_flag::recursion},
    {"2001:db8:9::53", 9, 19, kTierBasic, Verb::pass, snapshot::subject_flag::recursion},
};

// Label and A records: answers that reach a limit exactly, and one byte more.
constexpr std::pair<std::string_view, size_t> kExactSizes[] = {
    {"reaches-512-ok", 29},   // 512 bytes without EDNS
    {"reaches-513-bad", 29},  // 513
    {"fit", 74},              // 1232 bytes with OPT
    {"over", 74},             // 1233
};

Name make_name(std::string_view text) {
  const auto name = Name::from_text(text);
  MERLON_ASSERT(name.has_value());
  return *name;
}

std::vector<uint8_t> soa_data(const Name& apex, uint32_t serial) {
  std::vector<uint8_t> data(2 * name::kWireSizeMax + 20);
  wire::Writer writer(data);
  writer.name(*apex.child("ns"));
  writer.name(*apex.child("hostmaster"));
  for (const uint32_t value : {serial, 3600u, 600u, 86400u, 60u}) {
    writer.u32(value);
  }
  MERLON_ASSERT(writer.ok());
  data.resize(writer.size());
  return data;
}

std::vector<uint8_t> txt_data(std::string_view text) {
  MERLON_ASSERT(text.size() <= 255);
  std::vector<uint8_t> data{static_cast<uint8_t>(text.size())};
  data.insert(data.end(), text.begin(), text.end());
  return data;
}

// One body of `count` records, data by index.
template <class MakeData>
uint32_t add_body(BodiesBuilder& bodies, uint16_t type, size_t count, MakeData&& make_data) {
  bodies.begin();
  for (size_t i = 0; i < count; ++i) {
    const std::vector<uint8_t> data = make_data(i);
    bodies.add({.type = type, .ttl = kTtl, .data = data});
  }
  const auto index = bodies.end();
  MERLON_ASSERT(index.has_value());
  return *index;
}

std::vector<uint8_t> a_data(uint32_t address) {
  std::vector<uint8_t> data(4);
  address::store_network(address, data.data());
  return data;
}

uint32_t add_a_body(BodiesBuilder& bodies, uint32_t first, size_t count) {
  return add_body(bodies, wire::type::a, count,
                  [&](size_t i) { return a_data(first + static_cast<uint32_t>(i)); });
}

uint32_t add_aaaa_body(BodiesBuilder& bodies, size_t count) {
  return add_body(bodies, wire::type::aaaa, count, [](size_t i) {
    std::vector<uint8_t> data(16);
    address::store_network((address::Bits6{0x20010db8000000ff} << 64) | i, data.data());
    return data;
  });
}

uint32_t add_one(BodiesBuilder& bodies, uint16_t type, std::vector<uint8_t> data) {
  return add_body(bodies, type, 1, [&](size_t) { return data; });
}

// The SOA as answer and as negative body.
void add_soa(ZoneBuilder& zone, const Name& apex, uint32_t serial) {
  const std::vector<uint8_t> data = soa_data(apex, serial);
  MERLON_ASSERT(zone.add_rrset(apex, wire::type::soa, 0, add_one(zone.own(), wire::type::soa, data))
                    .has_value());
  zone.own().begin();
  zone.own().add({.section = BodiesBuilder::Section::authority,
                  .owner = BodiesBuilder::Owner::apex,
                  .type = wire::type::soa,
                  .ttl = 60,
                  .data = data});
  zone.set_negative_body(*zone.own().end());
}

struct SharedBodies {
  FixtureSegment segment;
  uint32_t basic = 0;
  uint32_t basic1 = 0;
  uint32_t v6 = 0;
};

SharedBodies make_bodies(const FixtureOptions& options) {
  BodiesBuilder builder;
  SharedBodies bodies;
  bodies.basic = add_body(builder, wire::type::a, options.basic_count,
                          [](size_t i) { return a_data(basic_address(i)); });
  bodies.basic1 = add_body(builder, wire::type::a, options.basic1_count, [&](size_t i) {
    return a_data(basic_address(i + options.basic_count));
  });
  bodies.v6 = add_aaaa_body(builder, 50);
  bodies.segment = {SegmentKind::bodies, {}, builder.finish()};
  return bodies;
}

// Adds nodes and RRsets below one apex with few words.
class ZoneWriter {
 public:
  ZoneWriter(std::string_view apex, uint32_t serial, uint32_t account, uint32_t tier_mask)
      : apex_(make_name(apex)),
        zone_({.apex = apex_, .serial = serial, .account = account, .tier_mask = tier_mask}) {
    add_soa(zone_, apex_, serial);
  }

  BodiesBuilder& own() { return zone_.own(); }
  uint16_t depend_on(const FixtureSegment& bodies) { return zone_.depend_on(bodies.hash()); }
  void node(std::string_view label, uint32_t tier_mask) {
    MERLON_ASSERT(zone_.add_node(below(label), tier_mask).has_value());
  }
  void add(std::string_view label, uint16_t type, uint32_t body, uint16_t dependency = 0) {
    MERLON_ASSERT(zone_.add_rrset(below(label), type, dependency, body).has_value());
  }
  FixtureSegment finish() {
    auto bytes = zone_.finish();
    MERLON_ASSERT(bytes.has_value());
    return {SegmentKind::zone, apex_, std::move(*bytes)};
  }
  Name below(std::string_view label) const {
    return label.empty() ? apex_ : make_name(fmt::format("{}.{}", label, apex_.to_text()));
  }

 private:
  Name apex_;
  ZoneBuilder zone_;
};

FixtureSegment make_shared_zone(const FixtureOptions& options, const SharedBodies& bodies) {
  using namespace wire::type;  // NOLINT(google-build-using-namespace): record types, one function
  ZoneWriter zone("merlon.internal.", options.serial, 0, kTierAll);
  const uint16_t shared = zone.depend_on(bodies.segment);
  BodiesBuilder& own = zone.own();
  const Name server = zone.below("ns");
  zone.add("", ns, add_one(own, ns, {server.wire().begin(), server.wire().end()}));
  for (const std::string_view label : {"basic", "basic1", "v6"}) {
    zone.node(label, kTierPaying);
  }
  zone.add("basic", a, bodies.basic, shared);
  zone.add("basic", txt, add_one(own, txt, txt_data(fmt::format("serial={}", options.serial))));
  zone.add("basic1", a, bodies.basic1, shared);
  zone.add("v6", aaaa, bodies.v6, shared);
  zone.add("small", a, add_a_body(own, 0xC0000201, 4));
  zone.add("small", txt, add_one(own, txt, txt_data("count=4")));
  zone.add("tiny", a, add_a_body(own, 0xC0000235, 1));
  zone.node("premium", kTierAdvanced | kTierOperator);
  zone.add("premium", a, add_a_body(own, 0xCB00714D, 1));
  zone.add("both", a, add_a_body(own, 0xC0000264, 2));
  zone.add("both", aaaa, add_aaaa_body(own, 2));
  const uint32_t merlon_text = add_one(own, txt, txt_data("merlon"));
  zone.add("both", txt, merlon_text);
  zone.add("text", txt, merlon_text);
  zone.add("a.ent", txt, merlon_text);
  const Name target = zone.below("tiny");
  zone.add("alias", cname, add_one(own, cname, {target.wire().begin(), target.wire().end()}));
  for (const auto& [label, count] : kExactSizes) {
    zone.add(label, a, add_a_body(own, 0xC0000201, count));
  }
  for (size_t i = 0; i < options.extra_names; ++i) {
    zone.add(fmt::format("n{}", i), a,
             add_a_body(own, 0x0A000000 + static_cast<uint32_t>(i), 1 + i % 4));
  }
  return zone.finish();
}

FixtureSegment make_acme_zone(const FixtureOptions& options, const SharedBodies& bodies) {
  ZoneWriter zone("acme.merlon.internal.", 1 + options.salt, 7, 0);
  zone.add("block", wire::type::a,
           add_a_body(zone.own(), 0xC6336400 + uint32_t{options.salt}, 100));
  zone.add("basic", wire::type::a, bodies.basic, zone.depend_on(bodies.segment));
  return zone.finish();
}

FixtureSegment make_zeta_zone() {
  ZoneWriter zone("zeta.merlon.internal.", 1, 9, 0);
  zone.add("block", wire::type::a, add_a_body(zone.own(), 0xCB007164, 3));
  return zone.finish();
}

FixtureSegment make_operator_zone() {
  ZoneWriter zone("ops.internal.", 1, 0, kTierOperator);
  BodiesBuilder& own = zone.own();
  const auto add_name = [&](std::string_view label, uint16_t type, std::string_view target) {
    const Name name = zone.below(target);
    zone.add(label, type, add_one(own, type, {name.wire().begin(), name.wire().end()}));
  };
  zone.add("secret", wire::type::a, add_a_body(own, 0x0A000001, 1));
  zone.add("*.wild", wire::type::a, add_a_body(own, 0x0A000004, 1));
  add_name("sub", wire::type::ns, "ns.sub");
  zone.add("ns.sub", wire::type::a, add_a_body(own, 0x0A000003, 1));
  add_name("away", wire::type::dname, "");
  const std::string label(name::kLabelSizeMax, 'a');
  add_name("long", wire::type::dname, fmt::format("{0}.{0}.{0}", label));
  return zone.finish();
}

FixtureSegment make_access(const FixtureOptions& options) {
  snapshot::AccessBuilder builder;
  for (const Source& source : kFixtureSources) {
    const auto prefix = address::parse_prefix(source.prefix);
    MERLON_ASSERT(prefix.has_value());
    builder.add_source(
        *prefix,
        builder.add_subject(
            {source.account, source.device, source.tier_mask, source.verb, source.flags, {}}));
  }
  const uint32_t extra =
      builder.add_subject({20, 100u + options.access_salt, kTierBasic, Verb::pass, {}, {}});
  for (size_t i = 0; i < options.extra_sources; ++i) {
    builder.add_source({address::Family::v4, 32, address::Bits6{0x64400000} + i}, extra);
  }
  auto bytes = builder.finish();
  MERLON_ASSERT(bytes.has_value());
  return {SegmentKind::access, {}, std::move(*bytes)};
}

snapshot::Segment read_back(const FixtureSegment& segment) {
  auto read = snapshot::Segment::from_bytes(segment.bytes);
  MERLON_ASSERT(read.has_value());
  return std::move(*read);
}

std::shared_ptr<const snapshot::Snapshot> assemble(const Fixture& fixture) {
  auto bodies = std::make_shared<snapshot::LoadedBodies>();
  auto access = std::make_shared<snapshot::LoadedAccess>();
  std::vector<std::shared_ptr<const snapshot::LoadedZone>> zones;
  for (const FixtureSegment& segment : fixture.segments) {
    if (segment.kind == SegmentKind::bodies) {
      bodies->segment = read_back(segment);
      bodies->view = *snapshot::BodiesView::open(bodies->segment);
    } else if (segment.kind == SegmentKind::access) {
      access->segment = read_back(segment);
      access->view = *snapshot::AccessView::open(access->segment);
    } else {
      snapshot::Segment read = read_back(segment);
      const bool dependent = !read.section(snapshot::SectionKind::dependencies).empty();
      std::vector<std::shared_ptr<const snapshot::LoadedBodies>> needed;
      if (dependent) {
        needed.push_back(bodies);
      }
      auto zone = snapshot::LoadedZone::make(std::move(read), std::move(needed), fixture.key);
      MERLON_ASSERT(zone.has_value());
      zones.push_back(*zone);
    }
  }
  auto snapshot = snapshot::Snapshot::assemble(1, std::move(zones), access, fixture.key);
  MERLON_ASSERT(snapshot.has_value());
  return *snapshot;
}

}  // namespace

uint32_t basic_address(size_t i) {
  // Spread over 1.0.0.0 .. so that neighbours differ in more than the last byte.
  return 0x01000001 + static_cast<uint32_t>(i) * 4099;
}

snapshot::IndexKey fixed_index_key() {
  snapshot::IndexKey key;
  for (size_t i = 0; i < key.secret.size(); ++i) {
    key.secret[i] = static_cast<uint8_t>(i * 167 + 13);
  }
  return key;
}

snapshot::SigningKey fixed_signing_key() {
  MERLON_ASSERT(sodium_init() >= 0);
  std::array<uint8_t, crypto_sign_SEEDBYTES> seed;
  seed.fill(0x42);
  snapshot::SigningKey key;
  crypto_sign_seed_keypair(key.public_key.data(), key.secret_key.data(), seed.data());
  return key;
}

std::array<uint8_t, 64> sign(Bytes bytes, const snapshot::SigningKey& key) {
  static_assert(crypto_sign_BYTES == 64);
  std::array<uint8_t, 64> signature;
  crypto_sign_detached(signature.data(), nullptr, bytes.data(), bytes.size(),
                       key.secret_key.data());
  return signature;
}

Fixture make_fixture(const FixtureOptions& options) {
  Fixture fixture;
  fixture.key = fixed_index_key();
  const SharedBodies bodies = make_bodies(options);
  fixture.segments = {bodies.segment,
                      make_shared_zone(options, bodies),
                      make_acme_zone(options, bodies),
                      make_zeta_zone(),
                      make_operator_zone(),
                      make_access(options)};
  fixture.snapshot = assemble(fixture);
  return fixture;
}

const FixtureSegment& Fixture::segment(SegmentKind kind, std::string_view apex) const {
  for (const FixtureSegment& segment : segments) {
    if (segment.kind == kind && (apex.empty() || segment.apex == make_name(apex))) {
      return segment;
    }
  }
  assertion_failed("the fixture has such a segment", __FILE__, __LINE__);
}

const Subject* Fixture::subject(std::string_view source) const {
  const auto address = address::parse_address(source);
  MERLON_ASSERT(address.has_value());
  const uint32_t index = snapshot->access()->view.find(*address);
  return index == snapshot::kNoSubject ? nullptr : &snapshot->subject(index);
}

snapshot::Manifest Fixture::manifest(uint64_t generation) const {
  snapshot::Manifest manifest;
  manifest.generation = generation;
  manifest.created = 1790000000;
  for (const FixtureSegment& segment : segments) {
    manifest.segments.push_back({segment.kind, segment.hash(), segment.bytes.size(), segment.apex});
  }
  manifest.normalise();
  return manifest;
}

Status Fixture::write_directory(const std::string& path, uint64_t generation,
                                const snapshot::SigningKey& signing_key) const {
  const snapshot::Directory directory(path);
  for (const std::string& folder : {directory.segments_path(), directory.manifests_path()}) {
    if (auto made = make_directories(folder); !made) {
      return made;
    }
  }
  for (const FixtureSegment& segment : segments) {
    const std::string file = directory.segment_path(segment.hash());
    if (std::filesystem::exists(file)) {
      continue;
    }
    if (auto written = write_file_durably(file, segment.bytes); !written) {
      return written;
    }
  }
  const std::string text = manifest(generation).render(signing_key);
  if (auto written = write_file_durably(directory.manifest_path(generation), as_bytes(text));
      !written) {
    return written;
  }
  return write_file_durably(directory.current_path(), as_bytes(fmt::format("{}\n", generation)));
}

std::vector<uint8_t> make_query(const QuerySpec& spec) {
  std::vector<uint8_t> message(12 + 255 + 4 + 11 + spec.options.size());
  wire::Writer writer(message);
  writer.u16(spec.id);
  writer.u16(spec.flags);
  for (const unsigned count : {1u, 0u, 0u, spec.edns ? 1u : 0u}) {
    writer.u16(static_cast<uint16_t>(count));
  }
  writer.name(make_name(spec.name));
  writer.u16(spec.type);
  writer.u16(spec.qclass);
  if (spec.edns) {
    writer.u8(0);
    writer.u16(wire::type::opt);
    writer.u16(spec.payload);
    writer.u8(0);
    writer.u8(spec.version);
    writer.u16(spec.dnssec_ok ? 0x8000 : 0);
    writer.u16(static_cast<uint16_t>(spec.options.size()));
    writer.bytes(spec.options);
  }
  MERLON_ASSERT(writer.ok());
  message.resize(writer.size());
  return message;
}

TemporaryDirectory::TemporaryDirectory() {
  std::string pattern = (std::filesystem::temp_directory_path() / "merlon-test-XXXXXX").string();
  MERLON_ASSERT(::mkdtemp(pattern.data()) != nullptr);
  path_ = pattern;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace merlon::tests
