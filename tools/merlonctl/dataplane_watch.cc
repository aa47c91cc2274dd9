// SPDX-License-Identifier: Apache-2.0
// `dataplane stats --watch`: what the counters grow by, per second. On a terminal one table is
// refreshed in place; elsewhere each interval adds lines "TIME GROUP COUNTER RATE/s TOTAL", or with
// --json one object a line. The time between two answers is measured, not believed. A counter that
// is smaller than before belongs to a data plane that was started anew.
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tools/merlonctl/client.h"
#include "tools/merlonctl/command.h"
#include "tools/merlonctl/table.h"
#include "tools/merlonctl/text.h"

namespace merlon::merlonctl {
namespace {

using Clock = std::chrono::steady_clock;
using Counters = std::map<std::pair<std::string, std::string>, uint64_t>;  // by group and name

constexpr uint64_t kIntervalMaxS = 3600;

volatile std::sig_atomic_t interrupted = 0;

void note_interrupt(int) {
  interrupted = 1;
}

// Ctrl-C ends the waiting and leaves the screen in order; a second one ends the program.
class InterruptGuard {
 public:
  InterruptGuard() {
    struct sigaction action{};
    action.sa_handler = note_interrupt;
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    ::sigaction(SIGINT, &action, &before_);
  }
  ~InterruptGuard() { ::sigaction(SIGINT, &before_, nullptr); }
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

 private:
  struct sigaction before_{};
};

struct Look {
  Counters counters;
  Clock::time_point at;
};

struct Row {
  std::string group;
  std::string counter;
  double rate = 0;
  uint64_t total = 0;
};

Outcome<Look> look(const Context& context) {
  const Outcome<Json> answer = context.client.get("/v1/dataplane/stats");
  if (!answer) {
    return std::unexpected(answer.error());
  }
  Look result{.counters = {}, .at = Clock::now()};
  for (const auto& group : answer->at("dataplane").at("total").items()) {
    for (const auto& counter : group.value().items()) {
      if (counter.value().is_number_unsigned()) {
        result.counters[{group.key(), counter.key()}] = counter.value().get<uint64_t>();
      }
    }
  }
  return result;
}

// Outcomes first, as the statistics have them; counters that never counted are left out.
std::vector<Row> rows_between(const Look& before, const Look& now) {
  const double seconds = std::chrono::duration<double>(now.at - before.at).count();
  std::vector<Row> rows;
  for (const auto& [key, total] : now.counters) {
    const auto known = before.counters.find(key);
    const uint64_t start =
        known == before.counters.end() || known->second > total ? uint64_t{0} : known->second;
    if (total != 0) {
      rows.push_back({printable(key.first), printable(key.second),
                      static_cast<double>(total - start) / seconds, total});
    }
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.group > b.group; });
  return rows;
}

std::string time_text() {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
}

std::string screen(const std::vector<Row>& rows, Colour colour) {
  Table table({{"GROUP"}, {"COUNTER"}, {"PER SECOND", Align::right}, {"TOTAL", Align::right}});
  for (const Row& row : rows) {
    table.add({{row.group},
               {row.counter},
               {fmt::format("{:.1f}", row.rate), row.rate > 0 ? Tone::good : Tone::plain},
               {fmt::format("{}", row.total)}});
  }
  return fmt::format("{}  (Ctrl-C ends)\n\n{}", time_text(),
                     rows.empty() ? "every counter is 0\n" : table.text(colour));
}

// In place: home, each line cleared to its end, then what was below.
void refresh(const std::string& text) {
  std::string out = "\x1b[H";
  for (const char c : text) {
    out += c == '\n' ? "\x1b[K\n" : std::string(1, c);
  }
  print(out + "\x1b[J");
}

void append(const std::vector<Row>& rows, bool json) {
  const std::string time = time_text();
  if (json) {
    Json object{{"schema_version", 1}, {"time", time}, {"rates", Json::object()}};
    for (const Row& row : rows) {
      object["rates"][row.group][row.counter] = Json{{"per_s", row.rate}, {"total", row.total}};
    }
    print(object.dump() + "\n");
    return;
  }
  for (const Row& row : rows) {
    print(fmt::format("{} {} {} {:.1f}/s {}\n", time, row.group, row.counter, row.rate, row.total));
  }
}

void wait(uint64_t seconds) {
  const auto end = Clock::now() + std::chrono::seconds(seconds);
  while (interrupted == 0) {
    const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(end - Clock::now());
    if (left.count() <= 0) {
      return;
    }
    const timespec time{left.count() / 1'000'000'000, left.count() % 1'000'000'000};
    ::nanosleep(&time, nullptr);  // a signal ends it early
  }
}

}  // namespace

Done watch_dataplane_stats(const Context& context) {
  uint64_t interval = 1;
  uint64_t count = UINT64_MAX;
  if (context.call.has("--interval")) {
    const auto given = parse_duration_s(context.call.value("--interval"));
    if (!given || *given == 0 || *given > kIntervalMaxS) {
      return usage_error("--interval must be 1 to 3600 seconds");
    }
    interval = *given;
  }
  if (context.call.has("--count")) {
    const auto given = parse_number(context.call.value("--count"));
    if (!given || *given == 0) {
      return usage_error("--count must be a number above 0");
    }
    count = *given;
  }
  const InterruptGuard guard;
  const bool in_place = !context.json && ::isatty(STDOUT_FILENO) == 1;
  Outcome<Look> before = look(context);
  if (!before) {
    return std::unexpected(before.error());
  }
  if (in_place) {
    print("\x1b[2J");
  }
  for (uint64_t i = 0; i < count && interrupted == 0; ++i) {
    wait(interval);
    if (interrupted != 0) {
      break;
    }
    Outcome<Look> now = look(context);
    if (!now) {
      return std::unexpected(now.error());
    }
    const std::vector<Row> rows = rows_between(*before, *now);
    if (in_place) {
      refresh(screen(rows, context.colour ? Colour::on : Colour::off));
    } else {
      append(rows, context.json);
    }
    if (std::fflush(stdout) != 0) {
      return {};  // nobody reads any more; main says so
    }
    before = std::move(now);
  }
  return {};
}

}  // namespace merlon::merlonctl
