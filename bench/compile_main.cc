// SPDX-License-Identifier: Apache-2.0
// merlon-bench-compile: makes stores for measuring, and measures the coordinator over them: a cold
// start, and one feed's change. Prints one JSON object. bench/compile runs it.
#include <fmt/format.h>
#include <rocksdb/db.h>
#include <rocksdb/utilities/options_util.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>

#include <spdlog/spdlog.h>

#include "bench/compile_scene.h"
#include "bench/compile_sign.h"
#include "controlplane/coordinator/coordinator.h"
#include "zones/base/file.h"

namespace merlon::bench {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using std::chrono::steady_clock;

constexpr unsigned kChangedPermille = 10;

double seconds_since(steady_clock::time_point start) {
  return std::chrono::duration<double>(steady_clock::now() - start).count();
}

uint64_t size_on_disk(const std::string& folder) {
  uint64_t size = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    size += entry.is_regular_file() ? entry.file_size() : 0;
  }
  return size;
}

// As an hour of quiet would leave the database.
Status compact(const std::string& path) {
  rocksdb::ConfigOptions config;
  rocksdb::DBOptions options;
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  rocksdb::Status status = rocksdb::LoadLatestOptions(config, path, &options, &families);
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* opened = nullptr;
  if (status.ok()) {
    status = rocksdb::DB::Open(options, path, families, &handles, &opened);
  }
  for (rocksdb::ColumnFamilyHandle* handle : handles) {
    if (status.ok()) {
      status = opened->CompactRange({}, handle, nullptr, nullptr);
    }
    opened->DestroyColumnFamilyHandle(handle);
  }
  delete opened;
  return status.ok() ? Status() : fail(ErrorCode::io, "{}: {}", path, status.ToString());
}

struct Options {
  std::string state;
  SceneSize size;
  std::string feeds;
  SignSize sign;
};

Status make(const Options& options) {
  if (auto made = make_directories(options.state); !made) {
    return made;
  }
  const std::string path = options.state + "/store";
  uint64_t listed = 0;
  unsigned files = 0;
  const auto start = steady_clock::now();
  {
    auto store = store::Store::open(path);
    if (!store) {
      return std::unexpected(store.error());
    }
    if (!options.feeds.empty()) {
      const auto count = fill_from_files(**store, options.feeds);
      if (!count) {
        return std::unexpected(count.error());
      }
      files = *count;
    } else {
      const auto count = fill_store(**store, options.size);
      if (!count) {
        return std::unexpected(count.error());
      }
      listed = *count;
    }
  }
  if (auto good = compact(path); !good) {
    return good;
  }
  fmt::print("{}\n", Json{{"listed", listed},
                          {"feeds", files == 0 ? options.size.feeds : files},
                          {"store_bytes", size_on_disk(path)},
                          {"make_s", seconds_since(start)}}
                         .dump());
  return {};
}

struct World {
  std::unique_ptr<store::Store> store;
  std::unique_ptr<publish::Publisher> publisher;
  std::unique_ptr<dns::SnapshotSlot> slot = std::make_unique<dns::SnapshotSlot>();
  std::unique_ptr<coordinator::Coordinator> coordinator;
};

Result<World> open_world(const Options& options) {
  World world;
  coordinator::Options wanted;
  wanted.compile.suffix = *name::Name::from_text("merlon.internal.");
  wanted.catalogue_path = options.state + "/catalogue";
  wanted.zone_log_path = options.state + "/zones.log";
  wanted.fetch_threads = 0;
  if (auto made = make_directories(wanted.catalogue_path); !made) {
    return std::unexpected(made.error());
  }
  auto store = store::Store::open(options.state + "/store");
  const auto key = snapshot::SigningKey::load_or_create(options.state + "/manifest.key");
  if (!store || !key) {
    return std::unexpected(store ? key.error() : store.error());
  }
  world.store = std::move(*store);
  auto publisher = publish::Publisher::open(options.state + "/snapshots", *key, {});
  if (!publisher) {
    return std::unexpected(publisher.error());
  }
  world.publisher = std::make_unique<publish::Publisher>(std::move(*publisher));
  world.coordinator = std::make_unique<coordinator::Coordinator>(*world.store, *world.publisher,
                                                                 *world.slot, wanted);
  return world;
}

Json facts_of(const World& world) {
  const auto served = world.slot->get();
  return Json{{"generation", served->generation()},
              {"zones", served->zones().size()},
              {"names", served->node_count()},
              {"addresses", served->address_count()},
              {"segment_bytes", served->size_bytes()},
              {"resident_bytes", served->resident_bytes()},
              {"bytes_per_listed_address", served->address_count() == 0
                                               ? 0.0
                                               : static_cast<double>(served->resident_bytes()) /
                                                     static_cast<double>(served->address_count())}};
}

double peak_rss_gib() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / (1 << 20);
}

Status measure(const Options& options) {
  const auto start = steady_clock::now();
  auto world = open_world(options);
  if (!world) {
    return std::unexpected(world.error());
  }
  if (auto started = world->coordinator->start(); !started) {
    return started;
  }
  const double cold = seconds_since(start);
  const auto status = world->coordinator->status();
  if (!status || !status->last_build_error.empty() || world->slot->get() == nullptr) {
    return fail(ErrorCode::internal, "the cold build failed: {}",
                status ? status->last_build_error : status.error().message);
  }
  Json json{
      {"cold_s", cold}, {"peak_rss_gib", peak_rss_gib()}, {"problems", status->problems.size()}};
  json.update(facts_of(*world));
  if (options.feeds.empty()) {
    // The third largest feed: neither the worst nor nothing.
    const unsigned feed = std::min(2u, options.size.feeds - 1);
    const store::FeedSet set = feed_set(options.size, feed, kChangedPermille);
    store::FeedState state = world->store->feed(feed_id(feed))->state;
    state.last_changed = std::time(nullptr);
    const auto changed_at = steady_clock::now();
    const auto applied = world->store->apply(feed_id(feed), set, state, state.last_changed);
    const auto built = applied ? world->coordinator->build_snapshot()
                               : Result<api::BuildReport>(std::unexpected(applied.error()));
    if (!built) {
      return std::unexpected(built.error());
    }
    json["hourly_change_s"] = seconds_since(changed_at);
    json["hourly"] = {{"added", applied->added},
                      {"removed", applied->removed},
                      {"unchanged", applied->unchanged},
                      {"segments_written", built->segments_written},
                      {"segments_reused", built->segments_reused},
                      {"compile_s", built->compile_seconds},
                      {"publish_s", built->publish_seconds}};
  }
  json["peak_rss_with_change_gib"] = peak_rss_gib();
  world->coordinator->stop();
  fmt::print("{}\n", json.dump());
  return {};
}

Status sign(const Options& options) {
  if (auto made = make_directories(options.state); !made) {
    return made;
  }
  const auto measured = measure_signing(options.state, options.sign);
  if (!measured) {
    return std::unexpected(measured.error());
  }
  fmt::print("{}\n", Json{{"signatures", measured->signatures},
                          {"seconds", measured->seconds},
                          {"threads", options.sign.threads},
                          {"algorithm", "ecdsa-p256"},
                          {"signatures_per_s",
                           static_cast<double>(measured->signatures) / measured->seconds}}
                         .dump());
  return {};
}

}  // namespace
}  // namespace merlon::bench

int main(int argc, char** argv) {
  CLI::App app("Makes stores for measuring, and measures compiling them");
  merlon::bench::Options options;
  app.require_subcommand(1);
  auto* make = app.add_subcommand("make", "fills the store of a new state directory");
  auto* measure = app.add_subcommand("measure", "a cold start, and one feed's change");
  for (auto* command : {make, measure}) {
    command->add_option("--state", options.state, "state directory")->required();
    command->add_option("--indicators", options.size.indicators, "different ones");
    command->add_option("--feed-count", options.size.feeds, "generated feeds");
    command->add_option("--policies", options.size.policies, "accounts with a large policy");
    command->add_option("--accounts", options.size.accounts, "accounts with a small policy");
    command->add_option("--feeds", options.feeds, "a folder of real feeds instead");
  }
  auto* sign = app.add_subcommand("sign", "signs a zone from nothing");
  sign->add_option("--state", options.state, "a new folder")->required();
  sign->add_option("--names", options.sign.names, "of the zone");
  sign->add_option("--threads", options.sign.threads, "that sign");
  CLI11_PARSE(app, argc, argv);
  spdlog::set_level(spdlog::level::warn);
  try {
    const auto done = make->parsed()   ? merlon::bench::make(options)
                      : sign->parsed() ? merlon::bench::sign(options)
                                       : merlon::bench::measure(options);
    if (!done) {
      fmt::print(stderr, "merlon-bench-compile: {}\n", done.error().message);
      return 1;
    }
  } catch (const std::exception& error) {
    fmt::print(stderr, "merlon-bench-compile: {}\n", error.what());
    return 1;
  }
  return 0;
}
