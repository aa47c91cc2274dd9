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

// Writes the bodies of one segment's names. The builder's memory is used again and again.
class SegmentWriter {
 public:
  SegmentWriter(BodiesBuilder& builder, uint32_t ttl) : builder_(builder), ttl_(ttl) {
    builder_.clear();
  }

  template <class Bits>
  Status write_addresses(const Family<Bits>& family, uint32_t number, uint32_t& out) {
    constexpr bool kIs4 = sizeof(Bits) == sizeof(Bits4);
    uint32_t& test_only = kIs4 ? test_only4_ : test_only6_;
    const bool empty = !family.has_addresses(number);
    if (!family.present() || (empty && test_only != ListBodies::kNone)) {
      out = family.present() ? test_only : ListBodies::kNone;
      return {};
    }
    uint64_t count = 0;
    family.for_each_address(number, [&](Bits) { ++count; });
    if (count > UINT16_MAX) {
      return fail(ErrorCode::invalid_argument, "{} addresses at one name", count);
    }
    builder_.begin();
    uint8_t* at = builder_.add_answers(kIs4 ? wire::type::a : wire::type::aaaa, ttl_, sizeof(Bits),
                                       static_cast<uint16_t>(count));
    family.for_each_address(number, [&at](Bits bits) {
      address::store_network(bits, at);
      at += BodiesBuilder::kAnswerRoom + sizeof(Bits);
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

 private:
  Status close(uint32_t& out) {
    const auto body = builder_.end();
    if (!body) {
      return std::unexpected(body.error());
    }
    out = *body;
    return {};
  }

  BodiesBuilder& builder_;
  uint32_t ttl_;
  uint32_t test_only4_ = ListBodies::kNone;
  uint32_t test_only6_ = ListBodies::kNone;
};

}  // namespace

struct ListBodies::Families {
  Family<Bits4> v4;
  Family<Bits6> v6;
};

ListBodies::ListBodies(const policy::ListContent& content, const NameLimits& limits,
                       const Settings& settings, ZoneMemory::List& memory)
    : ttl_s_(settings.ttl_s) {
  // A list that had IPv6 addresses once keeps the test address of that family.
  const bool has_v6 = !content.addresses.v6.empty() || !memory.v6.chunks.empty();
  families_ = std::make_unique<Families>(
      Families{.v4 = {content.addresses.v4, content.narrow.v4, settings.test_address4},
               .v6 = {content.addresses.v6, content.narrow.v6,
                      has_v6 ? std::optional(settings.test_address6) : std::nullopt}});
  auto& [v4, v6] = *families_;
  v4.plan(memory.v4, memory.apl4, limits.addresses4);
  v6.plan(memory.v6, memory.apl6, limits.addresses6);
  names.resize(std::max({size_t{1}, v4.name_count(), v6.name_count()}));
  address4_count = v4.address_count();
  address6_count = v6.address_count();
  prefix_only_count = v4.wide_count() + v6.wide_count();
}

ListBodies::ListBodies(ListBodies&&) noexcept = default;
ListBodies& ListBodies::operator=(ListBodies&&) noexcept = default;
ListBodies::~ListBodies() = default;

Result<std::shared_ptr<const snapshot::LoadedBodies>> ListBodies::make_segment(size_t segment) {
  thread_local BodiesBuilder builder;
  const auto& [v4, v6] = *families_;
  SegmentWriter writer(builder, ttl_s_);
  const size_t end = std::min(names.size(), (segment + 1) * kNamesPerSegment);
  std::vector<uint8_t> apl;
  for (auto number = static_cast<uint32_t>(segment * kNamesPerSegment); number < end; ++number) {
    NameBodies& name = names[number];
    name.in_use = number == 0 || v4.uses(number) || v6.uses(number);
    if (auto done = writer.write_addresses(v4, number, name.a); !done) {
      return std::unexpected(done.error());
    }
    if (auto done = writer.write_addresses(v6, number, name.aaaa); !done) {
      return std::unexpected(done.error());
    }
    apl.clear();
    v4.append_apl(number, apl);
    v6.append_apl(number, apl);
    if (auto done = writer.write_apl(apl, name.apl); !done) {
      return std::unexpected(done.error());
    }
  }
  auto made = builder.build();
  return made
             ? snapshot::LoadedBodies::make(std::move(*made))
             : Result<std::shared_ptr<const snapshot::LoadedBodies>>(std::unexpected(made.error()));
}

void ListBodies::finish() {
  families_.reset();
}

}  // namespace merlon::compile
