// SPDX-License-Identifier: Apache-2.0
// Sources that nobody knows, next to those of a device: its address has changed, or a machine
// beside it asks as well.
#include <algorithm>
#include <bit>
#include <map>
#include <optional>
#include <utility>

#include "controlplane/doctor/rules.h"

namespace merlon::doctor {
namespace {

using address::Address;
using address::AnyPrefix;
using address::Family;

constexpr uint64_t kCountMin = 3;
constexpr int64_t kQuiet = kHour;  // a device that did not ask for so long may be the one
constexpr size_t kShownMax = 3;

unsigned width_of(Family family) {
  return family == Family::v4 ? 32 : 128;
}
// Customers are given one of these.
unsigned site_of(Family family) {
  return family == Family::v4 ? 24 : 48;
}
// What an account's sources have in common says something only when it is no larger than this.
unsigned account_of(Family family) {
  return family == Family::v4 ? 16 : 32;
}

unsigned common_bits(address::Bits6 a, address::Bits6 b, unsigned width) {
  const address::Bits6 different = a ^ b;
  const auto high = static_cast<uint64_t>(different >> 64);
  const auto low = static_cast<uint64_t>(different);
  const int zeros = high != 0 ? std::countl_zero(high) : 64 + std::countl_zero(low);
  return static_cast<unsigned>(zeros) - (128 - width);
}

// Bits that the address shares with the device's nearest source.
unsigned nearness(const Device& device, const Address& address) {
  unsigned best = 0;
  for (const AnyPrefix& source : device.sources) {
    if (source.family == address.family) {
      best =
          std::max(best, std::min<unsigned>(source.length, common_bits(source.bits, address.bits,
                                                                       width_of(address.family))));
    }
  }
  return best;
}

// The smallest prefix around all of an account's sources of a family, if there are several.
using Around = std::map<std::pair<std::string, Family>, AnyPrefix>;

Around around_accounts(const std::vector<Device>& devices) {
  Around around;
  std::map<std::pair<std::string, Family>, size_t> counts;
  for (const Device& device : devices) {
    for (const AnyPrefix& source : device.sources) {
      const std::pair key(device.account, source.family);
      ++counts[key];
      const auto [at, is_first] = around.emplace(key, source);
      if (!is_first) {
        const unsigned common = common_bits(at->second.bits, source.bits, width_of(source.family));
        at->second.length = static_cast<uint8_t>(
            std::min({common, unsigned{at->second.length}, unsigned{source.length}}));
      }
    }
  }
  std::erase_if(around, [&counts](const auto& one) { return counts[one.first] < 2; });
  return around;
}

bool is_within(const AnyPrefix& prefix, const Address& address) {
  return prefix.family == address.family &&
         common_bits(prefix.bits, address.bits, width_of(address.family)) >= prefix.length;
}

bool is_registered(const Input& input, const Address& address) {
  return std::ranges::any_of(input.devices, [&address](const Device& device) {
    return std::ranges::any_of(
        device.sources, [&address](const AnyPrefix& source) { return is_within(source, address); });
  });
}

bool is_quiet(const Device& device, const Unknown& unknown) {
  return device.has_udp && device.last_seen() + kQuiet < unknown.last;
}

// Whose neighbour it is; quiet devices first, as they may have moved, then the nearest.
const Device* owner_of(const Input& input, const Around& around, const Unknown& unknown) {
  const Device* best = nullptr;
  std::pair<bool, unsigned> best_rank;
  for (const Device& device : input.devices) {
    const unsigned near = nearness(device, unknown.address);
    const auto account = around.find({device.account, unknown.address.family});
    const bool is_of_account = account != around.end() &&
                               account->second.length >= account_of(unknown.address.family) &&
                               is_within(account->second, unknown.address);
    if (near < site_of(unknown.address.family) && !is_of_account) {
      continue;
    }
    const std::pair rank(is_quiet(device, unknown), near);
    if (best == nullptr || rank > best_rank) {
      best = &device;
      best_rank = rank;
    }
  }
  return best;
}

std::string addresses_text(const std::vector<const Unknown*>& sources) {
  std::string text;
  for (size_t i = 0; i < std::min(kShownMax, sources.size()); ++i) {
    text += (i == 0 ? "" : ", ") + to_text(sources[i]->address);
  }
  return sources.size() > kShownMax
             ? fmt::format("{} and {} more", text, sources.size() - kShownMax)
             : text;
}

void add(const Input& input, const Device& device, std::vector<const Unknown*>& sources,
         Findings& findings) {
  std::ranges::stable_sort(sources, std::greater<>(), &Unknown::count);
  uint64_t count = 0;
  int64_t last = 0;
  bool is_moved = false;
  for (const Unknown* source : sources) {
    count += source->count;
    last = std::max(last, source->last);
    is_moved = is_moved || is_quiet(device, *source);
  }
  const int64_t seen = device.last_seen();
  const bool is_certain = is_moved && (seen == 0 || last - seen > kDay);
  const std::string addresses = addresses_text(sources);
  Finding finding{
      .severity = is_certain ? Severity::error
                  : is_moved ? Severity::warning
                             : Severity::info,
      .code = is_moved ? "address_changed" : "neighbour_refused",
      .account = device.account,
      .device = device.name,
      .cause = is_moved
                   ? fmt::format("{}, next to {}, asks and is refused because nobody registered "
                                 "it, while the device itself was last seen {}: its address has "
                                 "changed?",
                                 addresses, sources_text(device), ago(input.now, seen))
                   : fmt::format("{}, next to {}, asks and is refused because nobody registered it",
                                 addresses, sources_text(device)),
      .todo = is_moved
                  ? fmt::format("if that is {0}: merlonctl device set {0} --source with all its "
                                "addresses; where they change, register the prefix",
                                device.name)
                  : "if it is one of the account's machines, register its address as a source "
                    "or as a device; if not, nothing is wrong",
      .numbers = {{"refused", static_cast<int64_t>(count)},
                  {"last_unix_s", last},
                  {"device_last_seen_unix_s", seen}},
      .texts = {{"addresses", addresses}}};
  // It says more than that the device is silent.
  std::erase_if(findings, [&](const Finding& other) {
    return is_moved && other.device == device.name && other.account == device.account &&
           (other.code == "never_asked" || other.code == "silent");
  });
  findings.push_back(std::move(finding));
}

}  // namespace

void look_at_neighbours(const Input& input, Findings& findings) {
  const Around around = around_accounts(input.devices);
  std::map<const Device*, std::vector<const Unknown*>> found;
  for (const Unknown& unknown : input.unknown) {
    const bool is_recent = unknown.last != 0 && input.now - unknown.last <= kRecent;
    if (unknown.count < kCountMin || !is_recent || is_registered(input, unknown.address)) {
      continue;  // one that was registered meanwhile is none any more
    }
    if (const Device* owner = owner_of(input, around, unknown)) {
      found[owner].push_back(&unknown);
    }
  }
  for (const Device& device : input.devices) {
    if (const auto sources = found.find(&device); sources != found.end()) {
      add(input, device, sources->second, findings);
    }
  }
}

}  // namespace merlon::doctor
