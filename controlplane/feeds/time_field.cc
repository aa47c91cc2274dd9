// SPDX-License-Identifier: Apache-2.0
#include "controlplane/feeds/time_field.h"

#include <charconv>
#include <chrono>

#include "controlplane/feeds/lines.h"

namespace merlon::feeds {
namespace {

constexpr int64_t kTimeMax = 4'290'000'000;
constexpr int64_t kUnixMin = 100'000'000;  // below it a number is a year or a count

// Takes exactly `digits` digits off the front.
std::optional<int> take_number(std::string_view& text, size_t digits) {
  int number = 0;
  if (text.size() < digits) {
    return std::nullopt;
  }
  const auto [at, error] = std::from_chars(text.data(), text.data() + digits, number);
  if (error != std::errc() || at != text.data() + digits || number < 0) {
    return std::nullopt;
  }
  text.remove_prefix(digits);
  return number;
}

bool take(std::string_view& text, char c) {
  if (!text.starts_with(c)) {
    return false;
  }
  text.remove_prefix(1);
  return true;
}

std::optional<int64_t> read_unix(std::string_view text) {
  int64_t number = 0;
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || at != text.data() + text.size() || number < kUnixMin) {
    return std::nullopt;
  }
  number = number > kTimeMax ? number / 1000 : number;
  return number <= kTimeMax ? std::optional(number) : std::nullopt;
}

// "12:00", "12:00:00", "12:00:00.123"
std::optional<int64_t> take_clock(std::string_view& text) {
  const auto hours = take_number(text, 2);
  const bool colon = take(text, ':');
  const auto minutes = take_number(text, 2);
  if (!hours || !colon || !minutes || *hours > 24 || *minutes > 59) {
    return std::nullopt;
  }
  int64_t seconds = *hours * 3600 + *minutes * 60;
  if (take(text, ':')) {
    const auto rest = take_number(text, 2);
    if (!rest || *rest > 60) {
      return std::nullopt;
    }
    seconds += *rest;
  }
  if (take(text, '.')) {
    while (!text.empty() && text[0] >= '0' && text[0] <= '9') {
      text.remove_prefix(1);
    }
  }
  return seconds;
}

std::optional<int64_t> take_offset(std::string_view& text) {
  text = trim_front(text);
  if (text.empty() || text == "Z" || text == "z" || text == "UTC" || text == "GMT") {
    return 0;
  }
  const int64_t sign = text[0] == '+' ? 1 : text[0] == '-' ? -1 : 0;
  text.remove_prefix(1);
  const auto hours = take_number(text, 2);
  take(text, ':');
  const auto minutes = text.empty() ? std::optional(0) : take_number(text, 2);
  if (sign == 0 || !hours || !minutes || !text.empty()) {
    return std::nullopt;
  }
  return sign * (*hours * 3600 + *minutes * 60);
}

}  // namespace

std::optional<int64_t> read_time(std::string_view text) {
  text = trim(text);
  if (const auto number = read_unix(text)) {
    return number;
  }
  const auto year = take_number(text, 4);
  const bool dashes = take(text, '-') || take(text, '/');
  const auto month = take_number(text, 2);
  const bool dashes2 = take(text, '-') || take(text, '/');
  const auto day = take_number(text, 2);
  if (!year || !dashes || !month || !dashes2 || !day) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  if (!date.ok()) {
    return std::nullopt;
  }
  int64_t time = std::chrono::sys_days(date).time_since_epoch().count() * int64_t{86400};
  if (take(text, 'T') || take(text, ' ')) {
    const auto clock = take_clock(text);
    const auto offset = clock ? take_offset(text) : std::nullopt;
    if (!offset) {
      return std::nullopt;
    }
    time += *clock - *offset;
  } else if (!text.empty()) {
    return std::nullopt;
  }
  return time > 0 && time <= kTimeMax ? std::optional(time) : std::nullopt;
}

}  // namespace merlon::feeds
