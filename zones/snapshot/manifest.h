// SPDX-License-Identifier: Apache-2.0
// Manifests (FORMAT.md): which segments make a generation, signed with Ed25519. Text, so that an
// operator can read one with a pager.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "zones/base/error.h"
#include "zones/name/name.h"
#include "zones/snapshot/segment.h"

namespace merlon::snapshot {

using PublicKey = std::array<uint8_t, 32>;
using SecretKey = std::array<uint8_t, 64>;

struct SigningKey {
  PublicKey public_key{};
  SecretKey secret_key{};

  static SigningKey generate();
  // A file of 128 hex digits and LF, mode 0600. Creates it when it does not exist. Errors: io,
  // corruption, invalid_argument (readable by others).
  static Result<SigningKey> load_or_create(const std::string& path);
};
Result<PublicKey> parse_public_key(std::string_view hex);

struct ManifestSegment {
  SegmentKind kind = SegmentKind::bodies;
  ContentHash hash;
  uint64_t size_bytes = 0;
  name::Name apex;  // zones only

  bool operator==(const ManifestSegment&) const = default;
};

struct Manifest {
  uint64_t generation = 0;
  int64_t created = 0;  // Unix seconds
  std::vector<ManifestSegment> segments;

  // Puts the segments in the order of FORMAT.md and drops repeats.
  void normalise();
  std::string render(const SigningKey& key) const;
  // Errors name the line: corruption (format, order, signature), invalid_argument (another key).
  static Result<Manifest> parse(std::string_view text, const PublicKey& trusted);
};

}  // namespace merlon::snapshot
