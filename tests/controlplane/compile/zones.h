// SPDX-License-Identifier: Apache-2.0
// Zones made of records, as segments that can be read.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "controlplane/compile/records.h"
#include "zones/snapshot/zone_builder.h"
#include "zones/wire/wire.h"

namespace merlon::compile {

inline name::Name name_of(std::string_view text) {
  return name::Name::from_text(text).value();
}

inline std::vector<uint8_t> soa_of_serial(uint32_t serial) {
  std::vector<uint8_t> data(512);
  wire::Writer writer(data);
  writer.name(name_of("localhost."));
  writer.name(name_of("nobody.invalid."));
  for (const uint32_t field : {serial, 900u, 300u, 604800u, 60u}) {
    writer.u32(field);
  }
  data.resize(writer.size());
  return data;
}

// Owner, type, TTL, data: what a zone of the tests is made of.
using PlainRecord = std::tuple<std::string, uint16_t, uint32_t, std::vector<uint8_t>>;

// A zone in memory with what it depends on.
struct LoadedTestZone {
  snapshot::Segment segment;
  snapshot::ZoneView view;
  std::vector<snapshot::Segment> bodies_segments;
  std::vector<std::unique_ptr<snapshot::BodiesView>> bodies_views;
  std::vector<const snapshot::BodiesView*> bodies;

  ZoneContent content() const { return {&view, bodies}; }
};

inline std::unique_ptr<LoadedTestZone> load_zone(Bytes bytes) {
  auto zone = std::make_unique<LoadedTestZone>();
  zone->segment = snapshot::Segment::from_bytes(bytes).value();
  zone->view = snapshot::ZoneView::open(zone->segment).value();
  return zone;
}

}  // namespace merlon::compile
