// SPDX-License-Identifier: Apache-2.0
#include "tests/controlplane/dnssec/signer_fixture.h"

#include "zones/base/assert.h"
#include "zones/wire/wire.h"

namespace merlon::dnssec {
namespace {

using snapshot::BodiesBuilder;
namespace type = wire::type;

using Data = std::vector<uint8_t>;

uint32_t add(BodiesBuilder& bodies, uint16_t rrtype, uint32_t ttl, const std::vector<Data>& data) {
  bodies.begin();
  for (const Data& one : data) {
    bodies.add({.type = rrtype, .ttl = ttl, .data = one});
  }
  const auto body = bodies.end();
  MERLON_ASSERT(body.has_value());
  return *body;
}

Data wire_of(const name::Name& name) {
  return {name.wire().begin(), name.wire().end()};
}

Data joined(std::initializer_list<Data> parts) {
  Data all;
  for (const Data& part : parts) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

std::vector<Data> addresses(size_t count, uint8_t first) {
  std::vector<Data> data;
  for (size_t i = 0; i < count; ++i) {
    data.push_back(
        {first, static_cast<uint8_t>(i >> 16), static_cast<uint8_t>(i >> 8), uint8_t(i)});
  }
  return data;
}

Data soa(const name::Name& apex, uint32_t serial) {
  Data numbers(20);
  store_be32(numbers.data(), serial);
  store_be32(numbers.data() + 4, 3600);
  store_be32(numbers.data() + 8, 600);
  store_be32(numbers.data() + 12, 86400);
  store_be32(numbers.data() + 16, 60);
  return joined({wire_of(apex), wire_of(apex), numbers});
}

}  // namespace

name::Name name_of(std::string_view text) {
  const auto name = name::Name::from_text(text);
  MERLON_ASSERT(name.has_value());
  return *name;
}

ListZone make_list_zone(const ListZoneOptions& options) {
  ListZone zone;
  BodiesBuilder lists;
  const uint32_t list_ttl = options.ttl_s != 0 ? options.ttl_s : 900;
  const uint32_t ttl = options.ttl_s != 0 ? options.ttl_s : 300;
  std::vector<size_t> sizes = {options.address_count, 3};
  sizes.insert(sizes.end(), options.more_lists.begin(), options.more_lists.end());
  std::vector<uint32_t> list_bodies;
  for (size_t i = 0; i < sizes.size(); ++i) {
    list_bodies.push_back(
        add(lists, type::a, list_ttl, addresses(sizes[i], static_cast<uint8_t>(10 + i))));
  }
  zone.bodies_bytes = lists.finish();
  auto segment = snapshot::Segment::from_bytes(zone.bodies_bytes);
  MERLON_ASSERT(segment.has_value());
  zone.bodies_segment = std::move(*segment);
  auto view = snapshot::BodiesView::open(zone.bodies_segment);
  MERLON_ASSERT(view.has_value());
  zone.bodies = std::make_unique<snapshot::BodiesView>(std::move(*view));

  const name::Name apex = name_of(options.apex);
  zone.builder = std::make_unique<snapshot::ZoneBuilder>(snapshot::ZoneSettings{
      .apex = apex, .serial = options.serial, .account = options.account, .tier_mask = 15});
  snapshot::ZoneBuilder& builder = *zone.builder;
  const uint16_t dependency =
      builder.depend_on(snapshot::ContentHash::of(zone.bodies_bytes), zone.bodies.get());
  const auto put = [&](std::string_view label, uint16_t rrtype, const std::vector<Data>& data) {
    const name::Name owner =
        label.empty() ? apex : name_of(std::string(label) + "." + std::string(options.apex));
    MERLON_ASSERT(
        builder.add_rrset(owner, rrtype, 0, add(builder.own(), rrtype, ttl, data)).has_value());
  };
  const Data text = {6, 'm', 'e', 'r', 'l', 'o', 'n'};
  put("", type::soa, {soa(apex, options.serial)});
  builder.own().begin();
  builder.own().add({.section = BodiesBuilder::Section::authority,
                     .owner = BodiesBuilder::Owner::apex,
                     .type = type::soa,
                     .ttl = std::min(ttl, 60u),
                     .data = soa(apex, options.serial)});
  builder.set_negative_body(builder.own().end().value_or(0));
  put("", type::ns, {wire_of(name_of("ns1.example."))});
  for (size_t i = 0; i < list_bodies.size(); ++i) {
    const std::string label = i == 0 ? "list." : fmt::format("list{}.", i);
    MERLON_ASSERT(builder
                      .add_rrset(name_of(label + std::string(options.apex)), type::a, dependency,
                                 list_bodies[i])
                      .has_value());
  }
  put("text", type::txt, {text, {5, 'w', 'h', 'i', 't', 'e'}});
  put("a.b.ent", type::txt, {text});
  put("*.wild", type::a, addresses(2, 12));
  put("sub", type::ns, {wire_of(name_of("ns.sub." + std::string(options.apex)))});
  put("sub", type::ds, {joined({{0x12, 0x34, 13, 2}, Data(32, 7)})});
  put("ns.sub", type::a, addresses(1, 13));
  put("plain", type::ns, {wire_of(name_of("ns.example."))});
  put("mixed", type::mx, {joined({{0, 10}, wire_of(name_of("MAIL.Example."))})});
  put("far", type::dname, {wire_of(name_of("elsewhere.example."))});
  put("v6", type::aaaa, {Data(16, 0x20)});
  for (size_t i = 0; i < options.extra_names; ++i) {
    put(fmt::format("n{}", i), type::a, addresses(1, static_cast<uint8_t>(14 + i % 100)));
  }
  MERLON_ASSERT(builder.arrange().has_value());
  return zone;
}

SignerOptions signer_options(const std::string& keys_path, TestClock& clock) {
  return {.keys_path = keys_path,
          .suffix = name_of("merlon.internal."),
          .scope = Scope::all,
          .clock = clock.clock()};
}

}  // namespace merlon::dnssec
