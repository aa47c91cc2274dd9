// SPDX-License-Identifier: Apache-2.0
// What bench/feeds asks of the control plane's own code: how many lines of a plain list are parsed
// a second, how fast a store takes indicators in, how many bytes one costs there with a history of
// changes, and how long the check of one value takes.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "controlplane/feeds/parse.h"
#include "controlplane/store/store.h"
#include "zones/address/address.h"

namespace merlon {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kNow = 1'790'000'000;
constexpr int64_t kDay = 86400;

struct Options {
  std::string folder;
  uint64_t indicators = 1'000'000;
  unsigned feeds = 20;
  unsigned rounds = 12;  // further contents of each feed, a year apart in all
  unsigned checks = 20'000;
};

uint64_t mix(uint64_t x) {
  x += 0x9E3779B97F4A7C15;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// The k-th address of a feed; feeds share every fourth with each other.
address::Bits4 address_of(const Options& options, unsigned feed, uint64_t k) {
  const uint64_t seed = k % 4 == 0 ? k : k + (uint64_t{feed} + 1) * options.indicators;
  return 0x0B000000U + static_cast<address::Bits4>(mix(seed) % 0xC0000000U);
}

// One in a hundred entries is another one in each round, and of another one in a hundred each is
// away every other round: a year leaves them many intervals.
store::FeedSet set_of(const Options& options, unsigned feed, unsigned round) {
  store::FeedSet set;
  const uint64_t count = options.indicators / options.feeds;
  for (uint64_t k = 0; k < count; ++k) {
    const bool changed = k % 100 < round;
    if (k % 100 == 99 && round % 2 == 1) {
      continue;
    }
    set.v4.push_back({address_of(options, feed, changed ? k + round * count * 7 : k), 32});
  }
  set.normalise();
  return set;
}

uint64_t size_on_disk(const std::string& folder) {
  uint64_t size = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    size += entry.is_regular_file() ? entry.file_size() : 0;
  }
  return size;
}

double parse_lines_per_s(const Options& options) {
  std::string text;
  for (uint64_t k = 0; k < options.indicators; ++k) {
    text += address::to_text_v4(address_of(options, 0, k));
    text.push_back('\n');
  }
  double best = 0;
  for (int i = 0; i < 3; ++i) {
    const auto start = Clock::now();
    const auto feed = feeds::parse(as_bytes(text), feeds::Format::plain);
    if (feed && feed->entry_count == options.indicators) {
      best = std::max(best, static_cast<double>(options.indicators) / seconds_since(start));
    }
  }
  return best;
}

struct Ingest {
  double per_s = 0;
  uint64_t live = 0;
  uint64_t bytes = 0;
};

struct Checks {
  double p50_ms = 0;
  double p99_ms = 0;
  uint64_t observations = 0;
  uint64_t intervals = 0;
};

Result<Ingest> ingest(store::Store& store, const Options& options, const std::string& path) {
  Ingest out;
  double taken = 0;
  uint64_t changed = 0;
  for (unsigned feed = 0; feed < options.feeds; ++feed) {
    store::FeedDefinition definition;
    definition.id = fmt::format("feed-{}-bench", feed);
    definition.url = "file:///generated";
    if (auto added = store.add_feed(definition); !added) {
      return std::unexpected(added.error());
    }
    for (unsigned round = 0; round <= options.rounds; ++round) {
      const store::FeedSet set = set_of(options, feed, round);
      store::FeedState state;
      state.health = store::FeedHealth::good;
      const auto start = Clock::now();
      const auto applied =
          store.apply(definition.id, set, state, kNow + round * 365 * kDay / (options.rounds + 1));
      taken += seconds_since(start);
      if (!applied) {
        return std::unexpected(applied.error());
      }
      changed += applied->added + applied->removed + applied->unchanged;
      out.live += round == options.rounds ? set.v4.size() : 0;
    }
  }
  out.per_s = static_cast<double>(changed) / taken;
  out.bytes = size_on_disk(path);
  return out;
}

Result<Checks> check_values(const store::Store& store, const Options& options) {
  std::vector<double> times;
  uint64_t found = 0;
  Checks checks;
  for (unsigned i = 0; i < options.checks; ++i) {
    const uint64_t k = mix(i) % (options.indicators / options.feeds);
    const auto address = address::Address::v4(address_of(options, i % options.feeds, k));
    const auto start = Clock::now();
    const auto observations = store.observations_of(address);
    times.push_back(seconds_since(start) * 1000);
    if (!observations) {
      return std::unexpected(observations.error());
    }
    found += observations->empty() ? 0u : 1u;
    for (const store::Observation& one : *observations) {
      ++checks.observations;
      checks.intervals += one.intervals.size();
    }
  }
  if (found < options.checks / 2) {
    return fail(ErrorCode::internal, "only {} of {} values were found", found, options.checks);
  }
  std::sort(times.begin(), times.end());
  checks.p50_ms = times[times.size() / 2];
  checks.p99_ms = times[times.size() * 99 / 100];
  if (checks.observations != 0 && options.rounds > 1 && checks.intervals == checks.observations) {
    return fail(ErrorCode::internal, "no history of several intervals was found");
  }
  return checks;
}

int run(const Options& options) {
  const std::string path = options.folder + "/store";
  const double lines = parse_lines_per_s(options);
  auto store = store::Store::open(path);
  if (!store) {
    fmt::print(stderr, "merlon-bench-feeds: {}\n", store.error().message);
    return 1;
  }
  const auto taken = ingest(**store, options, path);
  const auto checks = taken ? check_values(**store, options) : std::unexpected(taken.error());
  if (!checks || lines == 0) {
    fmt::print(stderr, "merlon-bench-feeds: {}\n",
               checks ? "the list was not read whole" : checks.error().message);
    return 1;
  }
  store->reset();  // so that what is on disk is complete
  const uint64_t bytes = size_on_disk(path);
  fmt::print("{}\n", nlohmann::json{{"indicators", options.indicators},
                                    {"live", taken->live},
                                    {"parse_lines_per_s", lines},
                                    {"ingest_per_s", taken->per_s},
                                    {"store_bytes", bytes},
                                    {"bytes_per_indicator",
                                     static_cast<double>(bytes) / static_cast<double>(taken->live)},
                                    {"checked_observations", checks->observations},
                                    {"checked_intervals", checks->intervals},
                                    {"check_p50_ms", checks->p50_ms},
                                    {"check_p99_ms", checks->p99_ms}}
                         .dump());
  return 0;
}

}  // namespace
}  // namespace merlon

int main(int argc, char** argv) {
  merlon::Options options;
  CLI::App app("How fast feeds are read, stored and looked up", "merlon-bench-feeds");
  app.add_option("--folder", options.folder, "where the store goes")->required();
  app.add_option("--indicators", options.indicators, "in all feeds");
  app.add_option("--feeds", options.feeds, "how many");
  app.add_option("--rounds", options.rounds, "contents of each feed over a year");
  app.add_option("--checks", options.checks, "values looked up");
  CLI11_PARSE(app, argc, argv);
  return merlon::run(options);
}
