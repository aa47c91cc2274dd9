// SPDX-License-Identifier: Apache-2.0
// State directories made for measuring: one zone with many small names, and who may ask.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "zones/address/address.h"
#include "zones/base/error.h"
#include "zones/name/name.h"
#include "zones/snapshot/zone_builder.h"

namespace merlon::bench {

inline constexpr unsigned kAddressesPerName = 4;
// n<i> has the addresses kFirstAddress + 16 i + 3 k: no two make a prefix, so none can be merged.
inline constexpr uint32_t kFirstAddress = 0x0B000000;

// Builds the zone, and writes the same as a master file when asked to.
class Zone {
 public:
  enum class Text : uint8_t { none, master_file };

  Zone(const name::Name& apex, Text text);

  Status add_apex();
  // n0 .. n<count-1>
  Status add_names(unsigned count);
  // `count` addresses from `first` on, every third one.
  Status add_addresses(const std::string& label, uint32_t first, unsigned count);
  Result<std::vector<uint8_t>> finish() { return builder_.finish(); }
  const std::string& text() const { return text_; }

 private:
  Status finish_rrset(const name::Name& name, uint16_t type);

  name::Name apex_;
  snapshot::ZoneBuilder builder_;
  Text kind_;
  std::string text_;
};

// An access segment in which each source is a subject of its own that may see everything.
Result<std::vector<uint8_t>> sources_may_ask(std::span<const address::AnyPrefix> sources);

// A state directory that both processes serve as it is, with a new key.
Status write_state(const std::string& directory, const name::Name& apex, Bytes zone, Bytes access);

}  // namespace merlon::bench
