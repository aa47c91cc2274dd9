// SPDX-License-Identifier: Apache-2.0
#include "bench/compile_scene.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "controlplane/feeds/parse.h"
#include "zones/base/file.h"

namespace merlon::bench {
namespace {

namespace fs = std::filesystem;
using address::Bits4;
using address::Bits6;

constexpr int64_t kNow = 1'790'000'000;
constexpr uint64_t kFileSizeMax = 512 << 20;
constexpr uint64_t kHostsPerNetwork = 24;
constexpr auto kCategories = std::to_array<const char*>(
    {"scanner", "spam", "botnet", "malware", "phishing", "c2-server", "brute-force", "tor"});
// First bytes of networks that hosts are in; none is protected.
constexpr auto kFirstBytes = std::to_array<uint8_t>(
    {1,   2,   5,   14,  23,  24,  27,  31,  36,  37,  41,  42,  45,  46,  49,  50,  58,  59,
     60,  61,  62,  64,  66,  69,  71,  77,  78,  79,  80,  81,  82,  83,  84,  85,  86,  87,
     88,  89,  90,  91,  92,  93,  94,  95,  101, 102, 103, 104, 105, 106, 109, 110, 111, 112,
     113, 114, 115, 116, 117, 118, 119, 120, 121, 122, 123, 124, 125, 131, 134, 136, 138, 139,
     141, 142, 144, 146, 147, 148, 149, 150, 151, 152, 154, 155, 156, 157, 158, 159, 160, 161,
     162, 163, 164, 165, 166, 167, 168, 170, 171, 173, 174, 175, 176, 177, 178, 179, 180, 181,
     182, 183, 184, 185, 186, 187, 188, 189, 190, 191, 193, 194, 195, 196, 197, 199, 200, 201,
     202, 204, 205, 206, 207, 208, 209, 210, 211, 212, 213, 216, 217, 218, 219, 220, 221, 222});

uint64_t mix(uint64_t x) {
  x += 0x9E3779B97F4A7C15;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

// Feeds differ in size as feeds do: the k-th has a share of 1 / (k + 2).
class FeedChoice {
 public:
  explicit FeedChoice(unsigned feeds) {
    double sum = 0;
    for (unsigned i = 0; i < feeds; ++i) {
      sum += 1.0 / (i + 2);
      ends_.push_back(sum);
    }
  }
  unsigned operator()(uint64_t random) const {
    const double at = static_cast<double>(random >> 11) * 0x1p-53 * ends_.back();
    const auto place = std::ranges::upper_bound(ends_, at) - ends_.begin();
    return static_cast<unsigned>(std::min<size_t>(static_cast<size_t>(place), ends_.size() - 1));
  }

 private:
  std::vector<double> ends_;
};

// Networks in which several hosts are bad: what feeds look like, and what makes ranges meet.
Bits4 network_of(uint64_t number) {
  const uint64_t random = mix(number ^ 0x4e4554);
  const Bits4 first = kFirstBytes[random % kFirstBytes.size()];
  return first << 24 | static_cast<Bits4>(random >> 40 & 0xFFFF) << 8;
}

// Of a hundred indicators: 85 IPv4 hosts, 5 IPv4 prefixes, 8 IPv6 hosts, 2 IPv6 prefixes.
void add_indicator(uint64_t number, uint64_t random, store::FeedSet& out) {
  const uint64_t kind = random % 100;
  if (kind < 85) {
    const auto host = static_cast<Bits4>(number % kHostsPerNetwork * 10 + random / 100 % 10);
    out.v4.push_back({network_of(number / kHostsPerNetwork) + host, 32});
  } else if (kind < 90) {
    constexpr auto kLengths = std::to_array<uint8_t>({24, 24, 24, 24, 24, 25, 27, 28, 22, 20, 19});
    const uint8_t length = kLengths[random / 100 % kLengths.size()];
    const Bits4 mask = ~Bits4{0} << (32 - length);
    out.v4.push_back(
        {(network_of(number) + static_cast<Bits4>(random >> 32 & 0xFF)) & mask, length});
  } else {
    const Bits6 network = (Bits6{0x2a00'0000'0000'0000} + (mix(number) >> 8)) << 64;
    if (kind < 98) {
      out.v6.push_back({network | Bits6{random >> 16 & 0xFFFF}, 128});
    } else {
      out.v6.push_back({network, 64});
    }
  }
}

Status add_generated_feeds(store::Store& store, const SceneSize& size, uint64_t& listed) {
  for (unsigned feed = 0; feed < size.feeds; ++feed) {
    store::FeedDefinition definition;
    definition.id = feed_id(feed);
    definition.url = fmt::format("file:///generated/{}", feed);
    definition.category = kCategories[feed % kCategories.size()];
    definition.severity = static_cast<uint8_t>(1 + feed % 5);
    definition.confidence = static_cast<uint8_t>(20 + 2 * feed % 80);
    if (auto added = store.add_feed(definition); !added) {
      return added;
    }
    store::FeedState state;
    state.health = store::FeedHealth::good;
    state.last_attempt = state.last_good = state.last_changed = kNow;
    const store::FeedSet set = feed_set(size, feed, 0);
    listed += set.v4.size() + set.v6.size();
    if (auto applied = store.apply(definition.id, set, state, kNow); !applied) {
      return std::unexpected(applied.error());
    }
  }
  return {};
}

// No two alike: other feeds, other thresholds, another capacity.
Status add_policy(store::Store& store, unsigned number, const SceneSize& size) {
  const std::string account = fmt::format("customer{:04}", number);
  if (auto added = store.add_account({.name = account, .title = {}}, kNow); !added) {
    return std::unexpected(added.error());
  }
  constexpr auto kCapacities = std::to_array<uint64_t>({10'000, 30'000, 50'000, 131'072});
  store::Policy policy;
  policy.account = account;
  policy.name = "edge";
  policy.capacity = kCapacities[number % kCapacities.size()] - number % 97;
  store::Target target;
  for (unsigned i = 0; i < 4; ++i) {
    target.feeds.push_back(feed_id(static_cast<unsigned>(mix(number * 8 + i) % size.feeds)));
  }
  std::ranges::sort(target.feeds);
  target.feeds.erase(std::unique(target.feeds.begin(), target.feeds.end()), target.feeds.end());
  policy.targets.push_back(target);
  policy.targets.push_back({.feeds = {},
                            .categories = {kCategories[number % kCategories.size()]},
                            .severity_min = static_cast<uint8_t>(1 + number % 4)});
  auto added = store.add_policy(policy, kNow);
  return added ? Status() : Status(std::unexpected(added.error()));
}

Status add_account(store::Store& store, unsigned number) {
  store::Device device;
  device.name = fmt::format("device{:05}", number);
  device.account = account_name(number);
  device.tier = store::Tier::advanced;
  device.sources.push_back(*address::parse_prefix(account_source(number)));
  if (auto added = store.add_device(device, kNow); !added) {
    return std::unexpected(added.error());
  }
  store::CustomList list;
  list.account = device.account;
  list.name = "own";
  if (auto added = store.add_list(list, kNow); !added) {
    return std::unexpected(added.error());
  }
  const std::array<store::CustomEntry, 1> entries{store::CustomEntry{
      .value = fmt::format("45.{}.{}.1", number / 256, number % 256), .comment = {}}};
  if (auto added = store.add_entries(device.account, "own", entries, {.now = kNow}); !added) {
    return std::unexpected(added.error());
  }
  store::Policy policy;
  policy.account = device.account;
  policy.name = "edge";
  policy.lists = {"own"};
  policy.targets.push_back({.feeds = {feed_id(0)}, .categories = {}});
  policy.capacity = 64;
  auto added = store.add_policy(policy, kNow);
  return added ? Status() : Status(std::unexpected(added.error()));
}

}  // namespace

std::string feed_id(unsigned feed) {
  return fmt::format("source-{}-x", feed);
}

std::string account_name(unsigned account) {
  return fmt::format("account{:05}x", account);
}

std::string account_source(unsigned account) {
  return fmt::format("127.{}.{}.2/32", 1 + account / 256, account % 256);
}

store::FeedSet feed_set(const SceneSize& size, unsigned feed, unsigned changed_permille) {
  const FeedChoice choice(size.feeds);
  store::FeedSet set;
  for (uint64_t i = 0; i < size.indicators; ++i) {
    const uint64_t random = mix(i);
    const uint64_t again = mix(random ^ 0xA6);
    const bool here = choice(random) == feed || (again % 5 == 0 && choice(again) == feed);
    if (!here) {
      continue;
    }
    const bool changed = mix(again ^ 0xC4) % 1000 < changed_permille;
    const uint64_t number = changed ? i + size.indicators : i;
    add_indicator(number, mix(number ^ 0x5eed), set);
  }
  set.normalise();
  return set;
}

Result<uint64_t> fill_store(store::Store& store, const SceneSize& size) {
  uint64_t listed = 0;
  if (auto added = add_generated_feeds(store, size, listed); !added) {
    return std::unexpected(added.error());
  }
  for (unsigned i = 0; i < size.policies; ++i) {
    if (auto added = add_policy(store, i, size); !added) {
      return std::unexpected(added.error());
    }
  }
  for (unsigned i = 0; i < size.accounts; ++i) {
    if (auto added = add_account(store, i); !added) {
      return std::unexpected(added.error());
    }
  }
  return listed;
}

Result<unsigned> fill_from_files(store::Store& store, const std::string& folder) {
  std::vector<std::string> paths;
  std::error_code error;
  for (auto at = fs::recursive_directory_iterator(folder, error);
       !error && at != fs::recursive_directory_iterator(); at.increment(error)) {
    if (at->is_regular_file()) {
      paths.push_back(at->path().string());
    }
  }
  if (error) {
    return fail(ErrorCode::io, "{}: {}", folder, error.message());
  }
  std::ranges::sort(paths);
  unsigned count = 0;
  for (const std::string& path : paths) {
    const auto bytes = read_file(path, kFileSizeMax);
    if (!bytes) {
      return std::unexpected(bytes.error());
    }
    const auto parsed = feeds::parse_feed(*bytes, "auto");
    if (!parsed || parsed->set.empty()) {
      continue;  // not a feed, or of a format that is not read
    }
    store::FeedDefinition definition;
    definition.id = fmt::format("real-{}-x", count);
    definition.title = fs::path(path).filename().string();
    definition.url = "file://" + fs::absolute(path).string();
    definition.category = kCategories[count % kCategories.size()];
    store::FeedState state;
    state.health = store::FeedHealth::good;
    state.last_attempt = state.last_good = state.last_changed = kNow;
    if (auto added = store.add_feed(definition); !added) {
      return std::unexpected(added.error());
    }
    if (auto applied = store.apply(definition.id, parsed->set, state, kNow); !applied) {
      return std::unexpected(applied.error());
    }
    ++count;
  }
  return count;
}

}  // namespace merlon::bench
