// SPDX-License-Identifier: Apache-2.0
#include "controlplane/safety/guard.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace merlon::safety {
namespace {

using Json = nlohmann::json;

constexpr size_t kShapeLines = 200;
constexpr int64_t kDay = 86'400;

std::string_view first_word(std::string_view declaration) {
  return declaration.substr(0, declaration.find(';'));
}

uint64_t count_in_force(const store::FeedState& state) {
  return state.prefix4_count + state.prefix6_count + state.domain_count;
}

double share(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

std::string doubt_of_size(const Candidate& c) {
  const uint64_t before = count_in_force(c.before);
  if (before >= kJudgedFrom && c.entries * kShrinkFactor < before) {
    return fmt::format("shrank from {} entries to {}, {:.1f} % of what is in force", before,
                       c.entries, 100 * share(c.entries, before));
  }
  if (before >= kJudgedFrom && c.entries / kGrowthFactor > before &&
      c.entries - before >= kGrowthMin) {
    return fmt::format("grew from {} entries to {}, {:.0f} times as many as are in force", before,
                       c.entries, share(c.entries, before));
  }
  return "";
}

std::string doubt_of_form(const Candidate& c) {
  if (c.definition.format == "auto" && !c.before.format.empty() &&
      first_word(c.before.format) != first_word(c.format)) {
    return fmt::format("its format changed: it was read as {}, and looks like {} now",
                       first_word(c.before.format), first_word(c.format));
  }
  if (!c.memory.shape.empty() && c.shape != c.memory.shape) {
    return fmt::format("its columns changed from \"{}\" to \"{}\"", c.memory.shape, c.shape);
  }
  if (c.before.line_count >= kJudgedFrom && c.lines >= kJudgedFrom) {
    const double was = share(c.before.rejected_count, c.before.line_count);
    const double is = share(c.rejected, c.lines);
    if (is >= 0.2 && is >= 4 * was) {
      return fmt::format("{} of {} lines are refused ({:.0f} %), where {:.1f} % were before",
                         c.rejected, c.lines, 100 * is, 100 * was);
    }
  }
  return "";
}

Json findings_to_json(const Findings& findings) {
  Json examples = Json::array();
  for (const TakenOut& one : findings.examples) {
    examples.push_back({one.entry, one.protected_by, one.why});
  }
  return Json{{"count4", findings.count4},
              {"count6", findings.count6},
              {"domains", findings.domains},
              {"by_reason", findings.by_reason},
              {"examples", std::move(examples)}};
}

Findings findings_from_json(const Json& json) {
  Findings findings;
  findings.count4 = json.at("count4");
  findings.count6 = json.at("count6");
  findings.domains = json.at("domains");
  findings.by_reason = json.at("by_reason").get<std::map<std::string, uint64_t>>();
  for (const Json& one : json.at("examples")) {
    findings.examples.push_back({one.at(0), one.at(1), one.at(2)});
  }
  return findings;
}

}  // namespace

std::string encode_memory(const Memory& memory) {
  Json json{{"set_hash", memory.set_hash},       {"shape", memory.shape},
            {"usual_gap_s", memory.usual_gap_s}, {"quarantines", memory.quarantines},
            {"same_as", memory.same_as},         {"findings", findings_to_json(memory.findings)},
            {"found_at", memory.found_at}};
  if (memory.held) {
    json["held"] = Json{{"at", memory.held->at},
                        {"reason", memory.held->reason},
                        {"etag", memory.held->etag},
                        {"last_modified", memory.held->last_modified}};
  }
  // Texts of sources are in it, of any bytes.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<Memory> decode_memory(std::string_view text) {
  try {
    const Json json = Json::parse(text);
    Memory memory;
    memory.set_hash = json.at("set_hash");
    memory.shape = json.at("shape");
    memory.usual_gap_s = json.at("usual_gap_s");
    memory.quarantines = json.at("quarantines");
    memory.same_as = json.at("same_as");
    memory.findings = findings_from_json(json.at("findings"));
    memory.found_at = json.at("found_at");
    if (json.contains("held")) {
      const Json& held = json.at("held");
      memory.held = Held{.at = held.at("at"),
                         .reason = held.at("reason"),
                         .etag = held.at("etag"),
                         .last_modified = held.at("last_modified")};
    }
    return memory;
  } catch (const Json::exception& error) {
    return fail(ErrorCode::corruption, "the guard's memory of a feed: {}", error.what());
  }
}

uint64_t hash_of(const store::FeedSet& set) {
  XXH3_state_t state;
  XXH3_64bits_reset(&state);
  for (const auto& prefix : set.v4) {
    const std::array<uint32_t, 2> words{prefix.bits, prefix.length};
    XXH3_64bits_update(&state, words.data(), sizeof words);
  }
  for (const auto& prefix : set.v6) {
    const std::array<uint64_t, 3> words{static_cast<uint64_t>(prefix.bits >> 64),
                                        static_cast<uint64_t>(prefix.bits), prefix.length};
    XXH3_64bits_update(&state, words.data(), sizeof words);
  }
  for (const std::string& domain : set.domains) {
    XXH3_64bits_update(&state, domain.c_str(), domain.size() + 1);
  }
  return std::max<uint64_t>(XXH3_64bits_digest(&state), 1);
}

std::string shape_of(std::string_view text) {
  std::string_view header;
  std::array<std::array<uint32_t, 64>, 4> lines_by_columns{};
  constexpr std::string_view kDelimiters = ",\t;|";
  size_t lines = 0;
  while (!text.empty() && lines < kShapeLines) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.empty() || line == "\r" || line.front() == '#') {
      continue;
    }
    header = lines == 0 ? line : header;
    ++lines;
    bool quoted = false;
    std::array<size_t, 4> columns{};
    for (const char c : line) {
      quoted = c == '"' ? !quoted : quoted;
      const size_t which = quoted ? std::string_view::npos : kDelimiters.find(c);
      if (which != std::string_view::npos) {
        ++columns[which];
      }
    }
    for (size_t i = 0; i < columns.size(); ++i) {
      ++lines_by_columns[i][std::min<size_t>(columns[i], 63)];
    }
  }
  for (size_t i = 0; i < kDelimiters.size(); ++i) {
    const auto most = std::max_element(lines_by_columns[i].begin() + 1, lines_by_columns[i].end());
    if (*most != 0 && *most * 10 >= lines * 9) {
      // A first line without a digit names columns; others are data and change.
      const bool names = header.find_first_of("0123456789") == std::string_view::npos;
      while (!header.empty() && header.back() == '\r') {
        header.remove_suffix(1);
      }
      const std::string_view delimiter = i == 1 ? "tab" : kDelimiters.substr(i, 1);
      return fmt::format("{} columns, {} between{}{}", most - lines_by_columns[i].begin() + 1,
                         delimiter, names ? ": " : "",
                         names ? header.substr(0, 120) : std::string_view());
    }
  }
  return "";
}

std::string doubt(const Candidate& c) {
  if (c.set_hash == c.memory.set_hash) {
    return "";  // what is in force
  }
  if (std::string form = doubt_of_form(c); !form.empty()) {
    return form;
  }
  if (std::string size = doubt_of_size(c); !size.empty()) {
    return size;
  }
  if (c.memory.set_hash != 0 && !c.same_as.empty() && c.entries >= kJudgedFrom) {
    return fmt::format(
        "it lists exactly what feed {} lists, which it did not before; if it is "
        "meant to, say that it copies {}",
        c.same_as, c.same_as);
  }
  return "";
}

std::string staleness(const store::FeedRecord& record, const Memory& memory, int64_t now) {
  const store::FeedState& state = record.state;
  if (state.last_changed == 0) {
    return "";
  }
  const int64_t patience = std::max(
      {7 * kDay, 5 * memory.usual_gap_s, 40 * static_cast<int64_t>(record.definition.interval_s)});
  const int64_t age = now - state.last_changed;
  if (age <= patience) {
    return "";
  }
  return memory.usual_gap_s == 0
             ? fmt::format("its content has not changed for {} days", age / kDay)
             : fmt::format("its content has not changed for {} days, where {} hours were usual",
                           age / kDay, std::max<int64_t>(memory.usual_gap_s / 3600, 1));
}

void note_change(const store::FeedState& before, int64_t now, Memory& memory) {
  if (before.last_changed == 0) {
    return;
  }
  // An old maximum fades, so that a feed that has become lively is soon measured by that.
  memory.usual_gap_s = std::max(now - before.last_changed, memory.usual_gap_s * 3 / 4);
}

}  // namespace merlon::safety
