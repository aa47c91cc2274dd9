// SPDX-License-Identifier: Apache-2.0
#include "dataplane/control/observe.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <ctime>
#include <limits>
#include <nlohmann/json.hpp>
#include <vector>

#include "dataplane/control/report.h"

namespace merlon::control {
namespace {

using Json = nlohmann::ordered_json;

// The words after the command's name as numbers; nullopt when one is none or there are too many.
std::optional<std::vector<uint64_t>> numbers_of(std::string_view text, size_t count_max) {
  std::vector<uint64_t> numbers;
  while (!text.empty()) {
    if (text.front() != ' ' || numbers.size() == count_max) {
      return std::nullopt;
    }
    text.remove_prefix(1);
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{}) {
      return std::nullopt;
    }
    numbers.push_back(number);
    text.remove_prefix(static_cast<size_t>(end - text.data()));
  }
  return numbers;
}

std::string bad_arguments(std::string_view usage) {
  return error_json(Error{ErrorCode::invalid_argument, fmt::format("usage: {}", usage)});
}

Json numbers_json(const stats::SubjectNumbers& numbers) {
  Json json{{"queries", numbers.queries()},
            {"last_seen_unix_s", numbers.last_seen},
            {"last_useful_unix_s", numbers.last_useful}};
  for (size_t i = 0; i < stats::kSubjectCounterCount; ++i) {
    json[std::string(to_string(static_cast<stats::SubjectCounter>(i)))] = numbers.counts[i];
  }
  return json;
}

Json troubles_json(const stats::TroubleNumbers& numbers) {
  return Json{{"truncated", numbers.truncated},
              {"would_fit", numbers.would_fit},
              {"truncated_unix_s", numbers.truncated_times},
              {"limited", numbers.limited},
              {"badcookie", numbers.badcookie},
              {"limited_unix_s", numbers.limited_last},
              {"outside", numbers.outside},
              {"outside_unix_s", numbers.outside_last},
              {"hidden", numbers.hidden},
              {"hidden_unix_s", numbers.hidden_last},
              {"refused_name", numbers.refused_name},
              {"missed_unix_s", numbers.missed_last},
              {"missed_name", numbers.missed_name}};
}

std::string_view verb_text(snapshot::Verb verb) {
  switch (verb) {
    case snapshot::Verb::pass:
      return "pass";
    case snapshot::Verb::refuse:
      return "refuse";
    case snapshot::Verb::empty:
      return "empty";
    case snapshot::Verb::ignore:
      return "ignore";
  }
  return "unknown";
}

double to_ns(uint64_t sixteenths_of_ticks) {
  constexpr double kFraction = 1u << stats::StageProfile::kFractionBits;
  const double ns = static_cast<double>(sixteenths_of_ticks) / kFraction / stats::ticks_per_ns();
  return std::round(ns * 1000) / 1000;
}

Json stage_json(stats::Stage stage, const stats::StageNumbers& numbers) {
  const double ticks = static_cast<double>(numbers.tick_sum);
  return Json{{"stage", to_string(stage)},
              {"packets", numbers.packet_count},
              {"mean_ns", std::round(ticks / stats::ticks_per_ns() /
                                     static_cast<double>(numbers.packet_count) * 1000) /
                              1000},
              {"p50_ns", to_ns(numbers.quantile(0.5))},
              {"p90_ns", to_ns(numbers.quantile(0.9))},
              {"p99_ns", to_ns(numbers.quantile(0.99))},
              {"max_ns", to_ns(numbers.max)},
              {"sum_ns", std::round(ticks / stats::ticks_per_ns())}};
}

// Stages that no packet came through are left out.
Json stages_json(std::span<stats::WorkerCounters> workers) {
  Json stages = Json::array();
  for (size_t i = 0; i < stats::kStageCount; ++i) {
    const auto stage = static_cast<stats::Stage>(i);
    stats::StageNumbers sum;
    for (const stats::WorkerCounters& worker : workers) {
      sum.add(worker.stages.numbers(stage));
    }
    if (sum.packet_count != 0) {
      stages.push_back(stage_json(stage, sum));
    }
  }
  return stages;
}

}  // namespace

std::optional<std::string> Observer::handle(std::string_view command) {
  const std::string_view name = command.substr(0, command.find(' '));
  const std::string_view rest = command.substr(name.size());
  if (name == "top") {
    const auto numbers = numbers_of(rest, 1);
    const uint64_t count = !numbers ? 0 : numbers->empty() ? 20 : numbers->front();
    return count == 0 || count > kTopCountMax
               ? bad_arguments(fmt::format("top [COUNT], at most {}", kTopCountMax))
               : top(count);
  }
  if (name == "subjects") {
    const auto numbers = numbers_of(rest, 2);
    const uint64_t count = !numbers ? 0 : numbers->empty() ? 1000 : numbers->front();
    if (count == 0 || count > kSubjectCountMax ||
        (numbers->size() == 2 && numbers->back() > std::numeric_limits<uint32_t>::max())) {
      return bad_arguments(
          fmt::format("subjects [COUNT [ACCOUNT]], COUNT at most {}", kSubjectCountMax));
    }
    stats::SubjectRegistry::Wanted wanted{.account = std::nullopt, .count_max = count};
    if (numbers->size() == 2) {
      wanted.account = static_cast<uint32_t>(numbers->back());
    }
    return subjects(wanted);
  }
  if (name == "profile") {
    const auto numbers = numbers_of(rest, 1);
    if (numbers && numbers->empty()) {
      return profile();
    }
    return !numbers || numbers->front() == 0 || numbers->front() > kProfileSecondsMax
               ? bad_arguments(fmt::format("profile [SECONDS], at most {}", kProfileSecondsMax))
               : start_profile(numbers->front());
  }
  return std::nullopt;
}

std::string Observer::top(uint64_t count) const {
  std::vector<stats::TopSources::Entry> entries;
  for (const stats::WorkerCounters& worker : workers_) {
    const auto own = worker.unknown.entries();
    entries.insert(entries.end(), own.begin(), own.end());
  }
  Json sources = Json::array();
  for (const auto& entry : stats::TopSources::merged(std::move(entries), count)) {
    sources.push_back(Json{{"address", address::to_text(entry.address)},
                           {"count", entry.count},
                           {"error", entry.error},
                           {"last_seen_unix_s", entry.last_seen}});
  }
  return Json{{"schema_version", 1}, {"unknown_sources", std::move(sources)}}.dump();
}

std::string Observer::subjects(const stats::SubjectRegistry::Wanted& wanted) const {
  const stats::SubjectRegistry::Report report = subjects_.report(wanted);
  Json rows = Json::array();
  for (const stats::SubjectReport& row : report.subjects) {
    Json json{{"account", row.subject.account},
              {"device", row.subject.device},
              {"verb", verb_text(row.subject.verb)}};
    json.update(numbers_json(row.numbers));
    if (row.troubles) {
      json["troubles"] = troubles_json(*row.troubles);
    }
    rows.push_back(std::move(json));
  }
  return Json{{"schema_version", 1},
              {"subject_count", report.subject_count},
              {"without_slot", report.without_slot},
              {"subjects", std::move(rows)},
              {"shared", numbers_json(report.shared)},
              {"gone", numbers_json(report.gone)}}
      .dump();
}

std::string Observer::subjects_section() const {
  const auto [count, without_slot] = subjects_.size();
  return Json{{"subject_count", count}, {"without_slot", without_slot}}.dump();
}

std::string Observer::start_profile(uint64_t seconds) {
  const double duration_ticks = static_cast<double>(seconds) * 1e9 * stats::ticks_per_ns();
  const uint64_t until = stats::ticks() + static_cast<uint64_t>(duration_ticks);
  profile_seconds_ = seconds;
  profile_started_ = std::time(nullptr);
  profile_end_ = Clock::now() + std::chrono::seconds(seconds);
  for (stats::WorkerCounters& worker : workers_) {
    worker.stages.start(until);
  }
  return profile();
}

std::string Observer::profile() const {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(profile_end_ - Clock::now());
  const bool running = profile_seconds_ != 0 && left.count() > 0;
  Json json{{"schema_version", 1},
            {"running", running},
            {"seconds", profile_seconds_},
            {"left_ms", running ? left.count() : 0},
            {"started_unix_s", profile_started_},
            {"ticks_per_ns", stats::ticks_per_ns()}};
  json["stages"] = profile_seconds_ == 0 ? Json::array() : stages_json(workers_);
  Json each = Json::array();
  for (size_t i = 0; i < workers_.size() && profile_seconds_ != 0; ++i) {
    each.push_back(Json{{"worker", i}, {"stages", stages_json(workers_.subspan(i, 1))}});
  }
  json["workers"] = std::move(each);
  return json.dump();
}

}  // namespace merlon::control
