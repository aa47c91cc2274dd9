// SPDX-License-Identifier: Apache-2.0
#include "controlplane/store/ageing.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <utility>

namespace merlon::store {
namespace {

constexpr uint64_t kSpanMaxS = uint64_t{10} * 366 * 86400;
constexpr size_t kColumnSizeMax = 64;
constexpr auto kUnits = std::to_array<std::pair<char, uint32_t>>(
    {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}, {'w', 7 * 86400}});

Result<uint32_t> parse_span(std::string_view text) {
  uint64_t count = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, count);
  if (error == std::errc() && at + 1 == end && count > 0 && count <= kSpanMaxS) {
    for (const auto& [unit, seconds] : kUnits) {
      if (*at == unit && count * seconds <= kSpanMaxS) {
        return static_cast<uint32_t>(count * seconds);
      }
    }
  }
  return fail(ErrorCode::invalid_argument,
              "ageing: \"{:.40}\" is not a span of time; write 12h, 7d or 4w, ten years at most",
              text);
}

bool is_csv(std::string_view format) {
  const std::string_view name = format.substr(0, format.find(';'));
  const std::string_view trimmed = name.substr(0, name.find_last_not_of(' ') + 1);
  return trimmed == "csv" || trimmed == "tsv";
}

}  // namespace

Result<Ageing> parse_ageing(std::string_view text) {
  if (text == "sudden_death") {
    return Ageing{};
  }
  for (const auto& [prefix, kind] : {std::pair{"last_seen+", Ageing::Kind::last_seen},
                                     std::pair{"first_seen+", Ageing::Kind::first_seen}}) {
    if (text.starts_with(prefix)) {
      const auto span = parse_span(text.substr(std::string_view(prefix).size()));
      if (!span) {
        return std::unexpected(span.error());
      }
      return Ageing{.kind = kind, .span_s = *span};
    }
  }
  constexpr std::string_view kExpires = "expires=";
  if (text.starts_with(kExpires)) {
    const std::string_view column = text.substr(kExpires.size());
    if (column.empty() || column.size() > kColumnSizeMax ||
        column.find_first_of(";,") != std::string_view::npos) {
      return fail(ErrorCode::invalid_argument,
                  "ageing: \"{:.40}\" names no column; write expires=3 or expires=valid_until",
                  text);
    }
    return Ageing{.kind = Ageing::Kind::expires, .span_s = 0, .column = std::string(column)};
  }
  return fail(ErrorCode::invalid_argument,
              "ageing \"{:.40}\" is not known; it is sudden_death, last_seen+7d, first_seen+30d or "
              "expires=COLUMN",
              text);
}

std::string to_text(const Ageing& ageing) {
  if (ageing.kind == Ageing::Kind::sudden_death) {
    return "sudden_death";
  }
  if (ageing.kind == Ageing::Kind::expires) {
    return "expires=" + ageing.column;
  }
  const char* prefix = ageing.kind == Ageing::Kind::last_seen ? "last_seen" : "first_seen";
  for (const auto& [unit, seconds] : kUnits) {
    if (ageing.span_s % seconds == 0) {
      return fmt::format("{}+{}{}", prefix, ageing.span_s / seconds, unit);
    }
  }
  return prefix;
}

Status check_ageing(const FeedDefinition& definition) {
  const auto ageing = parse_ageing(definition.ageing);
  if (!ageing) {
    return std::unexpected(ageing.error());
  }
  if (ageing->kind == Ageing::Kind::expires && !is_csv(definition.format)) {
    return fail(ErrorCode::invalid_argument,
                "ageing {}: only a feed with format csv has columns, this one has \"{:.40}\"; say "
                "its format as \"csv; column=N\", or age by last_seen+7d",
                definition.ageing, definition.format);
  }
  return {};
}

std::string format_with_ageing(const FeedDefinition& definition) {
  const auto ageing = parse_ageing(definition.ageing);
  if (!ageing || ageing->kind != Ageing::Kind::expires) {
    return definition.format;
  }
  return fmt::format("{}; expires={}", definition.format, ageing->column);
}

}  // namespace merlon::store
