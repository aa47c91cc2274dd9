// SPDX-License-Identifier: Apache-2.0
// Quantities as people read and write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/merlonctl/command.h"

namespace merlon::merlonctl {

// "2026-03-01T12:00:00Z"; nullopt for null and for anything else.
std::optional<int64_t> parse_time(const Json& time);

// The other way round.
std::string time_text(int64_t unix_seconds);
std::string age_text(const Json& time, int64_t now);           // "3 min ago", "never"
std::string time_and_age_text(const Json& time, int64_t now);  // "2026-03-01 12:00:00 UTC (..)"
std::string size_text(uint64_t bytes);                         // "1.4 MiB"
std::string joined(const Json& strings, std::string_view separator);
std::string number_text(const Json& object, const char* key);
// "a,b" taken apart; nullopt when one part is empty.
std::optional<std::vector<std::string>> parse_names(std::string_view text);
// The content of a file, or of stdin for "-". Failures name it.
Outcome<std::string> read_input(const std::string& path);
std::string plural(uint64_t count, std::string_view one);  // "1 feed", "2 feeds"

std::optional<uint64_t> parse_number(std::string_view text);
std::optional<uint64_t> parse_duration_s(std::string_view text);  // "900", "90s", "15m", "1h", "2d"
std::optional<uint64_t> parse_size_bytes(
    std::string_view text);  // "1000", "64KiB", "64MiB", "1GiB"

}  // namespace merlon::merlonctl
