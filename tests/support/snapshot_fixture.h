// SPDX-License-Identifier: Apache-2.0
// A small but complete generation for tests, benchmarks and fuzz targets: a shared zone, zones of
// two accounts, an operator's zone, shared bodies and an access table with every verb, several
// tiers and both families. Everything is made from the options, so the same options give the same
// bytes.
//
// Zone merlon.internal. (every tier unless said otherwise):
//   (apex)     SOA, NS
//   basic      A x basic_count, TXT         tiers basic and above
//   basic1     A x basic1_count             tiers basic and above
//   small      A 192.0.2.1 .. .4 (+ salt), TXT
//   tiny       A 192.0.2.53
//   v6         AAAA x 50                    tiers basic and above
//   premium    A 203.0.113.77               tier advanced and operator only
//   both       A, AAAA, TXT
//   alias      CNAME tiny
//   text       TXT "merlon"
//   a.ent      TXT, so `ent` is an empty non-terminal
//   reaches-512-ok, reaches-513-bad, fit, over: A; see kExactSizes in the .cc
//   n<i>       A, for i below extra_names   (the first bytes of the address are 10.)
// Zone acme.merlon.internal. (account 7): SOA, block A x 100, basic (the shared bodies of basic).
// Zone zeta.merlon.internal. (account 9): SOA, block A x 3.
// Zone ops.internal. (tier operator): SOA, secret A, *.wild A, sub NS ns.sub with glue, away DNAME
//   to the apex, long DNAME to a name of 206 bytes.
//
// Sources: see kFixtureSources in the .cc; subject("192.0.2.10") gives one.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "zones/base/error.h"
#include "zones/name/name.h"
#include "zones/snapshot/manifest.h"
#include "zones/snapshot/snapshot.h"

namespace merlon::tests {

inline constexpr uint32_t kTierCommunity = 1;
inline constexpr uint32_t kTierBasic = 2;
inline constexpr uint32_t kTierAdvanced = 4;
inline constexpr uint32_t kTierOperator = 8;
inline constexpr uint32_t kTierAll = 15;

struct FixtureOptions {
  uint32_t serial = 1;
  size_t basic_count = 4000;
  size_t basic1_count = 1200;
  size_t extra_names = 0;
  size_t extra_sources = 0;  // IPv4 /32s in 100.64.0.0/10, subjects of account 20, tier basic
  uint8_t salt = 0;          // changes what acme's `block` holds, and nothing outside its zone
  uint8_t access_salt = 0;   // changes the access segment alone
};

struct FixtureSegment {
  snapshot::SegmentKind kind = snapshot::SegmentKind::bodies;
  name::Name apex;  // zones only
  std::vector<uint8_t> bytes;

  snapshot::ContentHash hash() const { return snapshot::ContentHash::of(bytes); }
};

struct Fixture {
  std::vector<FixtureSegment> segments;
  snapshot::IndexKey key;
  std::shared_ptr<const snapshot::Snapshot> snapshot;

  // The segment of this kind; zones by apex.
  const FixtureSegment& segment(snapshot::SegmentKind kind, std::string_view apex = "") const;
  // What the access table says about a source; nullptr when it is not registered.
  const snapshot::Subject* subject(std::string_view source) const;
  snapshot::Manifest manifest(uint64_t generation) const;
  // Writes segments, a signed manifest and `current` under `path`.
  Status write_directory(const std::string& path, uint64_t generation,
                         const snapshot::SigningKey& key) const;
};

Fixture make_fixture(const FixtureOptions& options = {});

// A key that is the same in every run, so that golden bytes can be compared.
snapshot::IndexKey fixed_index_key();
snapshot::SigningKey fixed_signing_key();
// The Ed25519 signature of any bytes.
std::array<uint8_t, 64> sign(Bytes bytes, const snapshot::SigningKey& key);

// The i-th address of the list `basic`.
uint32_t basic_address(size_t i);

// A message with one question and, when asked for, an OPT record.
struct QuerySpec {
  std::string_view name = "small.merlon.internal.";
  uint16_t type = 1;
  uint16_t qclass = 1;
  uint16_t id = 0x1234;
  uint16_t flags = 0x0100;  // RD, as every stub sends it
  bool edns = false;
  uint16_t payload = 1232;
  bool dnssec_ok = false;
  uint8_t version = 0;
  std::vector<uint8_t> options{};
};
std::vector<uint8_t> make_query(const QuerySpec& spec);

// A directory of its own under the system's temporary one, removed with everything in it.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace merlon::tests
