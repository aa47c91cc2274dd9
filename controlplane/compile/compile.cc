// SPDX-License-Identifier: Apache-2.0
#include "controlplane/compile/compile.h"

#include <algorithm>
#include <ctime>
#include <map>

#include "controlplane/compile/list_bodies.h"
#include "zones/snapshot/access.h"
#include "zones/snapshot/zone_builder.h"
#include "zones/wire/wire.h"

namespace merlon::compile {
namespace {

using snapshot::BodiesBuilder;
using snapshot::ContentHash;
using snapshot::SegmentKind;

constexpr uint32_t kAllTiers = 0xF;
constexpr uint32_t kRefreshS = 3600;
constexpr uint32_t kRetryS = 600;
constexpr uint32_t kExpireS = 604800;
constexpr size_t kTxtStringMax = 255;

uint32_t tier_bit(store::Tier tier) {
  return 1u << static_cast<unsigned>(tier);
}

CompiledSegment make_segment(SegmentKind kind, std::vector<uint8_t> bytes,
                             const name::Name& apex = {}) {
  CompiledSegment segment;
  segment.listed = {.kind = kind,
                    .hash = ContentHash::of(bytes),
                    .size_bytes = bytes.size(),
                    .apex = kind == SegmentKind::zone ? apex : name::Name()};
  segment.bytes = std::move(bytes);
  return segment;
}

// A name's wire form as record data.
std::vector<uint8_t> wire_of(const name::Name& name) {
  return {name.wire().begin(), name.wire().end()};
}

std::vector<uint8_t> soa_data(const Settings& settings, uint32_t serial) {
  std::vector<uint8_t> data(2 * name::kWireSizeMax + 20);
  wire::Writer writer(data);
  const auto primary = settings.suffix.child(policy::kNameServerLabel);
  const auto mailbox = settings.suffix.child(policy::kMailboxLabel);
  writer.name(primary ? *primary : settings.suffix);
  writer.name(mailbox ? *mailbox : settings.suffix);
  for (const uint32_t field : {serial, kRefreshS, kRetryS, kExpireS, settings.negative_ttl_s}) {
    writer.u32(field);
  }
  data.resize(writer.size());
  return data;
}

std::vector<uint8_t> txt_data(const std::vector<std::string>& strings) {
  std::vector<uint8_t> data;
  for (const std::string& text : strings) {
    const size_t size = std::min(text.size(), kTxtStringMax);
    data.push_back(static_cast<uint8_t>(size));
    data.insert(data.end(), text.begin(), text.begin() + static_cast<std::ptrdiff_t>(size));
  }
  return data;
}

std::string time_text(int64_t unix_s) {
  const std::time_t when = unix_s;
  std::tm utc{};
  gmtime_r(&when, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

// The list's bodies with the names that carry them.
struct PreparedList {
  const ListInput* input = nullptr;
  ListBodies bodies;
  ContentHash hash;
  std::vector<name::Name> names;
};

Result<PreparedList> prepare_list(const ListInput& input, const Settings& settings,
                                  std::vector<CompiledSegment>& segments) {
  PreparedList list;
  list.input = &input;
  // The test addresses are address records whatever the list holds around them.
  address::IpSet test;
  test.v4 = address::RangeSet4::from_normal({{settings.test_address4, settings.test_address4}});
  if (!input.content.addresses.v6.empty()) {
    test.v6 = address::RangeSet6::from_normal({{settings.test_address6, settings.test_address6}});
  }
  auto bodies = compile_list(input.content.addresses.united(test),
                             input.content.narrow.united(test), settings);
  if (!bodies) {
    return std::unexpected(bodies.error());
  }
  list.bodies = std::move(*bodies);
  for (size_t i = 0; i < list.bodies.chunk_count(); ++i) {
    const std::string label =
        i == 0 ? input.definition.name : fmt::format("{}{}", input.definition.name, i);
    auto name = settings.suffix.child(label);
    if (!name) {
      return std::unexpected(name.error());
    }
    list.names.push_back(*name);
  }
  CompiledSegment segment = make_segment(SegmentKind::bodies, std::move(list.bodies.segment));
  list.hash = segment.listed.hash;
  // Two lists with one content share one segment.
  const bool known =
      std::any_of(segments.begin(), segments.end(),
                  [&](const CompiledSegment& other) { return other.listed.hash == list.hash; });
  if (!known) {
    segments.push_back(std::move(segment));
  }
  return list;
}

class ZoneWriter {
 public:
  ZoneWriter(const Settings& settings, uint32_t serial)
      : settings_(settings),
        serial_(serial),
        builder_(
            {.apex = settings.suffix, .serial = serial, .account = 0, .tier_mask = kAllTiers}) {}

  Status add_apex() {
    const std::vector<uint8_t> soa = soa_data(settings_, serial_);
    if (auto done = add_own(settings_.suffix, wire::type::soa, settings_.ttl_s, {soa}); !done) {
      return done;
    }
    const auto server = settings_.suffix.child("ns1");
    if (!server) {
      return std::unexpected(server.error());
    }
    if (auto done = add_own(settings_.suffix, wire::type::ns, settings_.ttl_s, {wire_of(*server)});
        !done) {
      return done;
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
    return {};
  }

  Status add_list(const PreparedList& list) {
    const uint16_t dependency = builder_.depend_on(list.hash);
    for (size_t i = 0; i < list.names.size(); ++i) {
      const name::Name& name = list.names[i];
      if (auto done = builder_.add_node(name, tier_bit(list.input->definition.tier)); !done) {
        return done;
      }
      for (const auto& [type, bodies] : {std::pair(wire::type::a, &list.bodies.a),
                                         std::pair(wire::type::aaaa, &list.bodies.aaaa),
                                         std::pair(wire::type::apl, &list.bodies.apl)}) {
        if (i >= bodies->size()) {
          continue;
        }
        if (auto done = builder_.add_rrset(name, type, dependency, (*bodies)[i]); !done) {
          return done;
        }
      }
    }
    if (auto done = add_index(list); !done) {
      return done;
    }
    return add_own(list.names.front(), wire::type::txt, settings_.ttl_s, {summary(list)});
  }

  Result<std::vector<uint8_t>> finish() { return builder_.finish(); }

 private:
  Status add_own(const name::Name& name, uint16_t type, uint32_t ttl,
                 const std::vector<std::vector<uint8_t>>& records) {
    builder_.own().begin();
    for (const std::vector<uint8_t>& data : records) {
      builder_.own().add({.type = type, .ttl = ttl, .data = data});
    }
    const auto body = builder_.own().end();
    if (!body) {
      return in(name.to_text(), body.error());
    }
    return builder_.add_rrset(name, type, 0, *body);
  }

  // PTR records that name every chunk. What does not fit one message is left to TXT names=.
  Status add_index(const PreparedList& list) {
    std::vector<std::vector<uint8_t>> records;
    size_t size = 0;
    for (const name::Name& name : list.names) {
      size += 12 + name.size();
      if (size > snapshot::kBodySizeMax) {
        break;
      }
      records.push_back(wire_of(name));
    }
    return add_own(list.names.front(), wire::type::ptr, settings_.ttl_s, records);
  }

  std::vector<uint8_t> summary(const PreparedList& list) const {
    return txt_data({"merlon=1", fmt::format("serial={}", serial_),
                     fmt::format("names={}", list.names.size()),
                     fmt::format("ipv4={}", list.bodies.address4_count),
                     fmt::format("ipv6={}", list.bodies.address6_count),
                     fmt::format("prefixes-only-in-apl={}", list.bodies.prefix_only_count),
                     fmt::format("changed={}", time_text(list.input->changed)),
                     fmt::format("digest={}", list.hash.to_text().substr(0, 32))});
  }

  const Settings& settings_;
  uint32_t serial_;
  snapshot::ZoneBuilder builder_;
};

Result<std::vector<uint8_t>> compile_zone(const std::vector<PreparedList>& lists,
                                          const Settings& settings, uint32_t serial) {
  ZoneWriter writer(settings, serial);
  if (auto done = writer.add_apex(); !done) {
    return std::unexpected(done.error());
  }
  for (const PreparedList& list : lists) {
    if (auto done = writer.add_list(list); !done) {
      return in(fmt::format("list {}", list.input->definition.name), done.error());
    }
  }
  return writer.finish();
}

Result<std::vector<uint8_t>> compile_access(const std::vector<store::Device>& devices) {
  snapshot::AccessBuilder builder;
  for (const store::Device& device : devices) {
    const uint32_t subject = builder.add_subject({.account = device.account_number,
                                                  .device = device.number,
                                                  .tier_mask = 2 * tier_bit(device.tier) - 1,
                                                  .verb = snapshot::Verb::pass,
                                                  .reserved = {}});
    for (const address::AnyPrefix& source : device.sources) {
      builder.add_source(source, subject);
    }
  }
  return builder.finish();
}

}  // namespace

Result<Compiled> compile(const Input& input, const Settings& settings, const Serials& serials) {
  Compiled compiled;
  std::vector<PreparedList> lists;
  for (const ListInput& list : input.lists) {
    auto prepared = prepare_list(list, settings, compiled.segments);
    if (!prepared) {
      return in(fmt::format("list {}", list.definition.name), prepared.error());
    }
    compiled.lists.push_back({.name = list.definition.name,
                              .names = {},
                              .address4_count = prepared->bodies.address4_count,
                              .address6_count = prepared->bodies.address6_count,
                              .prefix_only_count = prepared->bodies.prefix_only_count});
    for (const name::Name& name : prepared->names) {
      compiled.lists.back().names.push_back(name.to_text());
    }
    compiled.name_count += prepared->names.size();
    lists.push_back(std::move(*prepared));
  }
  // First with the serial in force: when that gives the zone in force, nothing has changed.
  compiled.serial = serials.in_force;
  auto zone = compile_zone(lists, settings, serials.in_force);
  if (zone && ContentHash::of(*zone).to_text() != serials.in_force_hash) {
    compiled.serial = serials.next;
    zone = compile_zone(lists, settings, serials.next);
  }
  if (!zone) {
    return in(fmt::format("zone {}", settings.suffix.to_text()), zone.error());
  }
  compiled.segments.push_back(
      make_segment(SegmentKind::zone, std::move(*zone), settings.suffix.folded()));
  auto access = compile_access(input.devices);
  if (!access) {
    return in("devices", access.error());
  }
  compiled.segments.push_back(make_segment(SegmentKind::access, std::move(*access)));
  return compiled;
}

}  // namespace merlon::compile
