// SPDX-License-Identifier: Apache-2.0
#include "tools/merlonctl/text.h"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <ctime>
#include <fstream>
#include <limits>
#include <utility>

namespace merlon::merlonctl {
namespace {

using Unit = std::pair<std::string_view, uint64_t>;

std::optional<uint64_t> parse_with_unit(std::string_view text, std::span<const Unit> units) {
  uint64_t number = 0;
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) {
    return std::nullopt;
  }
  const std::string_view suffix = text.substr(static_cast<size_t>(at - text.data()));
  for (const auto& [name, factor] : units) {
    if (suffix == name) {
      return number > std::numeric_limits<uint64_t>::max() / factor
                 ? std::nullopt
                 : std::optional<uint64_t>(number * factor);
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<int64_t> parse_time(const Json& time) {
  if (!time.is_string()) {
    return std::nullopt;
  }
  std::tm utc{};
  const std::string text = time.get<std::string>();
  const char* end = strptime(text.c_str(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  if (end == nullptr || *end != '\0') {
    return std::nullopt;
  }
  return timegm(&utc);
}

std::string time_text(int64_t unix_seconds) {
  const std::time_t time = unix_seconds;
  std::tm utc{};
  std::array<char, 32> text{};
  if (gmtime_r(&time, &utc) == nullptr ||
      std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc) == 0) {
    return "";
  }
  return text.data();
}

std::string age_text(const Json& time, int64_t now) {
  const std::optional<int64_t> at = parse_time(time);
  if (!at) {
    return "never";
  }
  const int64_t seconds = now - *at;
  if (seconds < 0) {
    return seconds > -60 ? "now" : "in the future";
  }
  static constexpr auto kUnits = std::to_array<std::pair<std::string_view, int64_t>>(
      {{"d", 86400}, {"h", 3600}, {"min", 60}, {"s", 1}});
  for (const auto& [name, size] : kUnits) {
    // Up to twice a unit the smaller one tells more: "100 min ago", then "2 h ago".
    if (seconds >= 2 * size) {
      return fmt::format("{} {} ago", seconds / size, name);
    }
  }
  return "now";
}

std::string time_and_age_text(const Json& time, int64_t now) {
  const std::optional<int64_t> at = parse_time(time);
  if (!at) {
    return "never";
  }
  std::string text = time.get<std::string>();
  text[text.find('T')] = ' ';
  text.pop_back();
  return fmt::format("{} UTC ({})", text, age_text(time, now));
}

std::string size_text(uint64_t bytes) {
  static constexpr std::array<std::string_view, 5> kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string joined(const Json& strings, std::string_view separator) {
  std::string text;
  for (const Json& item : strings) {
    text += text.empty() ? "" : separator;
    text += item.get<std::string>();
  }
  return text;
}

std::string number_text(const Json& object, const char* key) {
  return fmt::format("{}", object.at(key).get<uint64_t>());
}

std::optional<std::vector<std::string>> parse_names(std::string_view text) {
  std::vector<std::string> names;
  while (true) {
    const size_t comma = text.find(',');
    const std::string_view name = text.substr(0, comma);
    if (name.empty()) {
      return std::nullopt;
    }
    names.emplace_back(name);
    if (comma == std::string_view::npos) {
      return names;
    }
    text.remove_prefix(comma + 1);
  }
}

Outcome<std::string> read_input(const std::string& path) {
  constexpr uint64_t kSizeMax = uint64_t{256} << 20;
  // Opened by name either way, so that a pipe works as a file does.
  const std::string name = path == "-" ? "/dev/stdin" : path;
  std::ifstream file(name, std::ios::binary);
  std::string text;
  std::array<char, 65536> part{};
  while (file.read(part.data(), part.size()), file.gcount() > 0) {
    text.append(part.data(), static_cast<size_t>(file.gcount()));
    if (text.size() > kSizeMax) {
      return failed(fmt::format("{} is larger than {}", path, size_text(kSizeMax)));
    }
  }
  if (!file.eof()) {
    return failed(fmt::format("cannot read {}: {}", path, std::strerror(errno)));
  }
  return text;
}

std::string plural(uint64_t count, std::string_view one) {
  return fmt::format("{} {}{}", count, one, count == 1 ? "" : "s");
}

std::optional<uint64_t> parse_number(std::string_view text) {
  static constexpr auto kUnits = std::to_array<Unit>({{"", 1}});
  return parse_with_unit(text, kUnits);
}

std::optional<uint64_t> parse_duration_s(std::string_view text) {
  static constexpr auto kUnits =
      std::to_array<Unit>({{"", 1}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}});
  return parse_with_unit(text, kUnits);
}

std::optional<uint64_t> parse_size_bytes(std::string_view text) {
  static constexpr auto kUnits = std::to_array<Unit>({{"", 1},
                                                      {"KiB", uint64_t{1} << 10},
                                                      {"MiB", uint64_t{1} << 20},
                                                      {"GiB", uint64_t{1} << 30}});
  return parse_with_unit(text, kUnits);
}

}  // namespace merlon::merlonctl
