// SPDX-License-Identifier: Apache-2.0
// Zones to sign, and signers whose clock the test turns.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/dnssec/zone_signer.h"
#include "tests/support/snapshot_fixture.h"
#include "zones/snapshot/bodies.h"
#include "zones/snapshot/zone_builder.h"

namespace merlon::dnssec {

// A list of addresses as the compiler has it: bodies in a segment of their own, everything else in
// the zone's. Names: the apex (SOA, NS), list and list1 (A), text (TXT), a.b.ent (TXT below two
// empty non-terminals), *.wild (A), sub (a cut with DS and glue), plain (a cut without DS), Mixed
// (MX with capitals in its data), far (DNAME).
struct ListZone {
  snapshot::Segment bodies_segment;
  std::vector<uint8_t> bodies_bytes;
  std::unique_ptr<snapshot::BodiesView> bodies;
  std::unique_ptr<snapshot::ZoneBuilder> builder;
};
struct ListZoneOptions {
  std::string_view apex = "acme.merlon.internal.";
  uint32_t account = 7;
  uint32_t serial = 1;
  size_t address_count = 300;  // of `list`
  size_t extra_names = 0;
  std::vector<size_t> more_lists{};  // numbers of addresses of list2, list3, ..
  uint32_t ttl_s = 0;                // of everything; 0: 900 for the lists, 300 for the rest
};
ListZone make_list_zone(const ListZoneOptions& options = {});

name::Name name_of(std::string_view text);

// Seconds that the test sets.
struct TestClock {
  int64_t wall = 1'800'000'000;
  int64_t steady = 1000;
  void pass(int64_t seconds) {
    wall += seconds;
    steady += seconds;
  }
  Clock clock() {
    return {.wall = [this] { return wall; }, .steady = [this] { return steady; }};
  }
};

// REQUIRES: `clock` outlives the signer.
SignerOptions signer_options(const std::string& keys_path, TestClock& clock);

}  // namespace merlon::dnssec
