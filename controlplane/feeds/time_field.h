// SPDX-License-Identifier: Apache-2.0
// Times as tables write them: "2026-03-01", "2026-03-01 12:00:00", "2026-03-01T12:00:00Z", the same
// with a fraction or an offset (+02:00), Unix seconds or milliseconds. Without an offset: UTC.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace merlon::feeds {

// Unix seconds; nullopt: none of these, or outside the years 1970 to 2105.
std::optional<int64_t> read_time(std::string_view text);

}  // namespace merlon::feeds
