// SPDX-License-Identifier: Apache-2.0
// Quantities as people read and write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tools/merlonctl/command.h"

namespace merlon::merlonctl {

// "2026-03-01T12:00:00Z"; nullopt for null and for anything else.
std::optional<int64_t> parse_time(const Json& time);

std::string age_text(const Json& time, int64_t now);           // "3 min ago", "never"
std::string time_and_age_text(const Json& time, int64_t now);  // "2026-03-01 12:00:00 UTC (..)"
std::string size_text(uint64_t bytes);                         // "1.4 MiB"
std::string joined(const Json& strings, std::string_view separator);
std::string plural(uint64_t count, std::string_view one);  // "1 feed", "2 feeds"

std::optional<uint64_t> parse_number(std::string_view text);
std::optional<uint64_t> parse_duration_s(std::string_view text);  // "900", "90s", "15m", "1h", "2d"
std::optional<uint64_t> parse_size_bytes(
    std::string_view text);  // "1000", "64KiB", "64MiB", "1GiB"

}  // namespace merlon::merlonctl
