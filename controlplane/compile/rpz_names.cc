// SPDX-License-Identifier: Apache-2.0
#include "controlplane/compile/rpz_names.h"

#include <fmt/format.h>

#include <array>

#include "zones/base/assert.h"

namespace merlon::compile {
namespace {

using address::Bits4;
using address::Bits6;
using address::Prefix;

constexpr size_t kGroupCount = 8;
constexpr Bits6 kMappedFirst = Bits6{0xffff} << 32;  // ::ffff:0:0/96
constexpr Bits6 kMappedLast = kMappedFirst | 0xffffffff;

void add_label(std::string& key, std::string_view label) {
  key += label;
  key += '\0';
}

std::string trigger_key() {
  std::string key;
  add_label(key, "rpz-ip");
  return key;
}

template <class Bits>
uint64_t add_prefixes(const address::RangeSet<Bits>& set, domains::DomainSetBuilder& builder) {
  uint64_t count = 0;
  set.for_each_prefix([&](Prefix<Bits> prefix) {
    if (prefix.length > 0) {
      builder.add(rpz_ip_key(prefix), domains::Scope::exact);
      ++count;
      return;
    }
    const Bits half = static_cast<Bits>(Bits{1} << (address::kWidth<Bits> - 1));
    builder.add(rpz_ip_key(Prefix<Bits>{0, 1}), domains::Scope::exact);
    builder.add(rpz_ip_key(Prefix<Bits>{half, 1}), domains::Scope::exact);
    count += 2;
  });
  return count;
}

}  // namespace

std::string rpz_ip_key(Prefix<Bits4> prefix) {
  MERLON_ASSERT(prefix.length > 0);
  std::string key = trigger_key();
  for (int shift = 24; shift >= 0; shift -= 8) {
    add_label(key, fmt::format("{}", (prefix.bits >> shift) & 0xff));
  }
  add_label(key, fmt::format("{}", prefix.length));
  return key;
}

std::string rpz_ip_key(Prefix<Bits6> prefix) {
  MERLON_ASSERT(prefix.length > 0);
  std::array<unsigned, kGroupCount> groups;
  for (size_t i = 0; i < kGroupCount; ++i) {
    groups[i] = static_cast<unsigned>(prefix.bits >> (16 * (kGroupCount - 1 - i))) & 0xffff;
  }
  size_t zeros_at = kGroupCount;
  size_t zeros = 1;  // shorter runs are not worth a zz
  for (size_t i = 0; i < kGroupCount; ++i) {
    size_t run = 0;
    while (i + run < kGroupCount && groups[i + run] == 0) {
      ++run;
    }
    if (run > zeros) {
      zeros_at = i;
      zeros = run;
    }
  }
  std::string key = trigger_key();
  for (size_t i = 0; i < kGroupCount;) {
    if (i == zeros_at) {
      add_label(key, "zz");
      i += zeros;
    } else {
      add_label(key, fmt::format("{:x}", groups[i]));
      ++i;
    }
  }
  add_label(key, fmt::format("{}", prefix.length));
  return key;
}

RpzPrefixes rpz_ip_keys(const address::IpSet& addresses) {
  domains::DomainSetBuilder builder;
  RpzPrefixes made;
  made.v4_count = add_prefixes(addresses.v4, builder);
  const auto mapped = address::RangeSet6::from_normal({{kMappedFirst, kMappedLast}});
  made.v6_count = add_prefixes(addresses.v6.minus(mapped), builder);
  made.keys = builder.finish();
  return made;
}

}  // namespace merlon::compile
