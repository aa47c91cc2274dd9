// SPDX-License-Identifier: Apache-2.0
#include "controlplane/compile/list_bodies.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include "zones/snapshot/bodies.h"
#include "zones/wire/wire.h"

namespace merlon::compile {
namespace {

using address::Bits4;
using address::Bits6;
using address::Prefix;
using address::Range;
using address::RangeSet;
using snapshot::BodiesBuilder;

// A name has one APL record: at most so many items of each family, 60,000 bytes together.
constexpr uint32_t kAplItems4 = 5000;
constexpr uint32_t kAplItems6 = 1000;
constexpr uint16_t kAplFamily4 = 1;
constexpr uint16_t kAplFamily6 = 2;

template <class Bits>
constexpr uint32_t kAplItems = sizeof(Bits) == sizeof(Bits4) ? kAplItems4 : kAplItems6;

// RFC 3123 section 4: family, prefix length, length of the address part, address without its
// trailing zero bytes.
template <class Bits>
void append_apl_item(std::vector<uint8_t>& data, Prefix<Bits> prefix) {
  std::array<uint8_t, sizeof(Bits)> bytes;
  address::store_network(prefix.bits, bytes.data());
  size_t used = bytes.size();
  while (used > 0 && bytes[used - 1] == 0) {
    --used;
  }
  const uint16_t family = sizeof(Bits) == sizeof(Bits4) ? kAplFamily4 : kAplFamily6;
  data.push_back(static_cast<uint8_t>(family >> 8));
  data.push_back(static_cast<uint8_t>(family));
  data.push_back(prefix.length);
  data.push_back(static_cast<uint8_t>(used));
  data.insert(data.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(used));
}

// One family of a list: its address records and its APL items, cut into chunks.
template <class Bits>
class Family {
 public:
  // `test`: the test address, which is in every name; nullopt: the list has nothing of the family.
  Family(const RangeSet<Bits>& addresses, const RangeSet<Bits>& narrow, std::optional<Bits> test)
      : test_(test) {
    if (!test_) {
      return;
    }
    const auto alone = RangeSet<Bits>::from_normal({{*test_, *test_}});
    narrow_ = narrow.minus(alone);
    const RangeSet<Bits> all = addresses.united(alone);
    const RangeSet<Bits> wide = all.minus(narrow_).minus(alone);
    std::vector<Range<Bits>> firsts;
    size_t at = 0;
    all.for_each_prefix([&](Prefix<Bits> prefix) {
      prefixes_.push_back(prefix);
      firsts.push_back({prefix.bits, prefix.bits});
      while (at < wide.ranges().size() && wide.ranges()[at].last < prefix.bits) {
        ++at;
      }
      wide_count_ += at < wide.ranges().size() && wide.ranges()[at].first <= prefix.range().last;
    });
    apl_firsts_ = RangeSet<Bits>::from_unsorted(std::move(firsts));
  }

  void plan(ChunkPlan<Bits>& addresses, ChunkPlan<Bits>& apl, uint32_t per_name) {
    addresses = update_chunks(addresses, narrow_, per_name - 1);
    apl = update_chunks(apl, apl_firsts_, kAplItems<Bits>);
    address_chunks_ = by_number(addresses);
    apl_chunks_ = by_number(apl);
  }

  bool present() const { return test_.has_value(); }
  size_t name_count() const { return std::max(address_chunks_.size(), apl_chunks_.size()); }
  bool uses(uint32_t number) const {
    return find(address_chunks_, number) != nullptr || find(apl_chunks_, number) != nullptr;
  }
  uint64_t address_count() const {
    return test_ ? static_cast<uint64_t>(narrow_.address_count()) + 1 : 0;
  }
  uint64_t wide_count() const { return wide_count_; }

  // The addresses of a name, ascending, the test address among them. REQUIRES: present().
  template <class Use>
  void for_each_address(uint32_t number, Use&& use) const {
    bool test_done = false;
    const Range<Bits>* chunk = find(address_chunks_, number);
    const auto& ranges = narrow_.ranges();
    auto at = chunk == nullptr
                  ? ranges.end()
                  : std::ranges::lower_bound(ranges, chunk->first, {},
                                             [](const auto& range) { return range.last; });
    for (; at != ranges.end() && at->first <= chunk->last; ++at) {
      const Bits last = std::min(at->last, chunk->last);
      for (Bits bits = std::max(at->first, chunk->first);; ++bits) {
        if (!test_done && *test_ < bits) {
          use(*test_);
          test_done = true;
        }
        use(bits);
        if (bits == last) {
          break;
        }
      }
    }
    if (!test_done) {
      use(*test_);
    }
  }
  bool has_addresses(uint32_t number) const { return find(address_chunks_, number) != nullptr; }

  void append_apl(uint32_t number, std::vector<uint8_t>& data) const {
    const Range<Bits>* chunk = find(apl_chunks_, number);
    if (chunk == nullptr) {
      return;
    }
    auto at = std::ranges::lower_bound(prefixes_, chunk->first, {},
                                       [](const auto& prefix) { return prefix.bits; });
    for (; at != prefixes_.end() && at->bits <= chunk->last; ++at) {
      append_apl_item(data, *at);
    }
  }

 private:
  // The range of each number's chunk; an empty number has first > last.
  using ByNumber = std::vector<Range<Bits>>;

  static ByNumber by_number(const ChunkPlan<Bits>& plan) {
    ByNumber ranges(plan.number_end, Range<Bits>{1, 0});
    for (size_t i = 0; i < plan.chunks.size(); ++i) {
      const Bits last = i + 1 < plan.chunks.size() ? static_cast<Bits>(plan.chunks[i + 1].first - 1)
                                                   : address::kAllOnes<Bits>;
      if (plan.chunks[i].count != 0) {
        ranges[plan.chunks[i].number] = {plan.chunks[i].first, last};
      }
    }
    return ranges;
  }
  static const Range<Bits>* find(const ByNumber& ranges, uint32_t number) {
    const bool used = number < ranges.size() && ranges[number].first <= ranges[number].last;
    return used ? &ranges[number] : nullptr;
  }

  std::optional<Bits> test_;
  RangeSet<Bits> narrow_;
  RangeSet<Bits> apl_firsts_;
  std::vector<Prefix<Bits>> prefixes_;
  uint64_t wide_count_ = 0;
  ByNumber address_chunks_;
  ByNumber apl_chunks_;
};

// Writes the bodies of one segment's names.
class SegmentWriter {
 public:
  explicit SegmentWriter(uint32_t ttl) : ttl_(ttl) {}

  template <class Bits>
  Status write_addresses(const Family<Bits>& family, uint32_t number, uint32_t& out) {
    constexpr bool kIs4 = sizeof(Bits) == sizeof(Bits4);
    uint32_t& test_only = kIs4 ? test_only4_ : test_only6_;
    const bool empty = !family.has_addresses(number);
    if (!family.present() || (empty && test_only != ListBodies::kNone)) {
      out = family.present() ? test_only : ListBodies::kNone;
      return {};
    }
    builder_.begin();
    family.for_each_address(number, [&](Bits bits) {
      std::array<uint8_t, sizeof(Bits)> data;
      address::store_network(bits, data.data());
      builder_.add({.type = kIs4 ? wire::type::a : wire::type::aaaa, .ttl = ttl_, .data = data});
    });
    if (auto done = close(out); !done) {
      return done;
    }
    if (empty) {
      test_only = out;
    }
    return {};
  }

  Status write_apl(const std::vector<uint8_t>& data, uint32_t& out) {
    if (data.empty()) {
      return {};
    }
    builder_.begin();
    builder_.add({.type = wire::type::apl, .ttl = ttl_, .data = data});
    return close(out);
  }

  std::vector<uint8_t> finish() const { return builder_.finish(); }

 private:
  Status close(uint32_t& out) {
    const auto body = builder_.end();
    if (!body) {
      return std::unexpected(body.error());
    }
    out = *body;
    return {};
  }

  uint32_t ttl_;
  BodiesBuilder builder_;
  uint32_t test_only4_ = ListBodies::kNone;
  uint32_t test_only6_ = ListBodies::kNone;
};

Status write_segment(const Family<Bits4>& v4, const Family<Bits6>& v6, uint32_t first, uint32_t ttl,
                     ListBodies& list) {
  SegmentWriter writer(ttl);
  const auto end =
      static_cast<uint32_t>(std::min<size_t>(list.names.size(), size_t{first} + kNamesPerSegment));
  for (uint32_t number = first; number < end; ++number) {
    ListBodies::NameBodies& name = list.names[number];
    name.in_use = number == 0 || v4.uses(number) || v6.uses(number);
    if (auto done = writer.write_addresses(v4, number, name.a); !done) {
      return done;
    }
    if (auto done = writer.write_addresses(v6, number, name.aaaa); !done) {
      return done;
    }
    std::vector<uint8_t> apl;
    v4.append_apl(number, apl);
    v6.append_apl(number, apl);
    if (auto done = writer.write_apl(apl, name.apl); !done) {
      return done;
    }
  }
  list.segments.push_back(writer.finish());
  return {};
}

}  // namespace

Result<ListBodies> compile_list(const policy::ListContent& content, const NameLimits& limits,
                                const Settings& settings, ZoneMemory::List& memory) {
  // A list that had IPv6 addresses once keeps the test address of that family.
  const bool has_v6 = !content.addresses.v6.empty() || !memory.v6.chunks.empty();
  Family<Bits4> v4(content.addresses.v4, content.narrow.v4, settings.test_address4);
  Family<Bits6> v6(content.addresses.v6, content.narrow.v6,
                   has_v6 ? std::optional(settings.test_address6) : std::nullopt);
  v4.plan(memory.v4, memory.apl4, limits.addresses4);
  v6.plan(memory.v6, memory.apl6, limits.addresses6);
  ListBodies list;
  list.names.resize(std::max({size_t{1}, v4.name_count(), v6.name_count()}));
  list.address4_count = v4.address_count();
  list.address6_count = v6.address_count();
  list.prefix_only_count = v4.wide_count() + v6.wide_count();
  for (uint32_t first = 0; first < list.names.size(); first += kNamesPerSegment) {
    if (auto done = write_segment(v4, v6, first, settings.ttl_s, list); !done) {
      return std::unexpected(done.error());
    }
  }
  return list;
}

}  // namespace merlon::compile
