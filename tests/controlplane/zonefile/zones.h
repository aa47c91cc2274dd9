// SPDX-License-Identifier: Apache-2.0
// Zones as text for tests, and text of what was read.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/zonefile/rdata.h"
#include "controlplane/zonefile/zone_file.h"
#include "zones/base/bytes.h"

namespace merlon::zonefile {

inline name::Name name_of(std::string_view text) {
  const auto name = name::Name::from_text(text);
  EXPECT_TRUE(name.has_value()) << text;
  return name.value_or(name::Name());
}

// SOA and NS records of the zone that most tests read.
inline constexpr std::string_view kHead =
    "$ORIGIN example.\n$TTL 3600\n@ SOA ns.example. host.example. 7 3600 600 86400 300\n@ NS ns\n";

inline Result<ZoneData> read(std::string_view rest, std::string_view head = kHead) {
  return read_zone_text(std::string(head) + std::string(rest), "z", {.apex = name_of("example.")});
}

inline std::string error_of(std::string_view rest, std::string_view head = kHead) {
  const auto zone = read(rest, head);
  return zone ? "none" : zone.error().message;
}

// "<owner> <ttl> <type> <data in hex>", one line a record.
inline std::vector<std::string> lines_of(const ZoneData& zone) {
  std::vector<std::string> lines;
  for (const ZoneData::Rrset& rrset : zone.rrsets()) {
    for (size_t i = 0; i < rrset.count; ++i) {
      lines.push_back(name::Name::from_wire(zone.owner_of(rrset))->to_text() + " " +
                      std::to_string(rrset.ttl) + " " + type_text(rrset.type) + " " +
                      to_hex(zone.data_of(rrset, i)));
    }
  }
  return lines;
}

// The data of the only record of this owner and type, in hex; "" when there is none.
inline std::string data_of(const ZoneData& zone, std::string_view owner, std::string_view type) {
  std::string data;
  for (const std::string& line : lines_of(zone)) {
    if (line.starts_with(std::string(owner) + " ") &&
        line.contains(" " + std::string(type) + " ")) {
      EXPECT_TRUE(data.empty()) << line;
      data = line.substr(line.rfind(' ') + 1);
    }
  }
  return data;
}

// The folder with real zones, or "".
inline std::string real_zones() {
  const char* data = std::getenv("MERLON_TEST_DATA");
  const std::string path = std::string(data != nullptr ? data : "../shared/data") + "/dns/zones";
  return std::filesystem::is_directory(path) ? path : "";
}

inline void write_text(const std::string& path, std::string_view text) {
  std::ofstream(path) << text;
}

}  // namespace merlon::zonefile
