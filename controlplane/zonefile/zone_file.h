// SPDX-License-Identifier: Apache-2.0
// Zone files (RFC 1035 section 5, RFC 2308 section 4, RFC 3597): $ORIGIN, $TTL and $INCLUDE, names
// relative and omitted, every type. A file that is wrong anywhere is refused with file, line and
// reason. Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/zonefile/zone_data.h"
#include "zones/base/error.h"
#include "zones/name/name.h"

namespace merlon::zonefile {

struct ReadOptions {
  std::optional<name::Name> apex{};  // also the first origin; otherwise the owner of the SOA record
  std::string include_directory{};   // $INCLUDE stays within it; "": that of the file itself
  uint64_t size_max = 2ull << 30;    // bytes of all files together
  unsigned include_depth_max = 10;
  unsigned include_count_max = 10'000;
};

// Errors: not_found, io; invalid_argument with "<path>:<line>: <reason>".
Result<ZoneData> read_zone_file(const std::string& path, const ReadOptions& options);
// The same of text in memory; it includes files only when options.include_directory says from
// where. `file_name` is for messages.
Result<ZoneData> read_zone_text(std::string_view text, std::string_view file_name,
                                const ReadOptions& options);

// What the file is now, to be compared with ZoneData::files(). Errors: not_found, io.
Result<FileState> file_state(const std::string& path);

}  // namespace merlon::zonefile
