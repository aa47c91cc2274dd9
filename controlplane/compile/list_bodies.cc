// SPDX-License-Identifier: Apache-2.0
#include "controlplane/compile/list_bodies.h"

#include <array>

#include "zones/snapshot/bodies.h"
#include "zones/wire/wire.h"

namespace merlon::compile {
namespace {

using address::Bits4;
using address::Bits6;
using snapshot::BodiesBuilder;

// One APL record per chunk. Its data must leave room for the rest of the message.
constexpr size_t kAplDataMax = 60'000;
constexpr uint16_t kAplFamily4 = 1;
constexpr uint16_t kAplFamily6 = 2;

// Fills chunks with address records of one family.
template <class Bits>
class AddressChunks {
 public:
  AddressChunks(BodiesBuilder& builder, uint16_t type, uint32_t ttl, uint32_t per_name)
      : builder_(builder), type_(type), ttl_(ttl), per_name_(per_name) {}

  Status add(Bits bits) {
    if (in_chunk_ == 0) {
      builder_.begin();
    }
    std::array<uint8_t, sizeof(Bits)> data;
    address::store_network(bits, data.data());
    builder_.add({.type = type_, .ttl = ttl_, .data = data});
    ++count_;
    return ++in_chunk_ == per_name_ ? close() : Status{};
  }
  Status close() {
    if (in_chunk_ != 0) {
      const auto body = builder_.end();
      if (!body) {
        return std::unexpected(body.error());
      }
      bodies_.push_back(*body);
      in_chunk_ = 0;
    }
    return {};
  }
  std::vector<uint32_t> take_bodies() { return std::move(bodies_); }
  uint64_t count() const { return count_; }

 private:
  BodiesBuilder& builder_;
  uint16_t type_;
  uint32_t ttl_;
  uint32_t per_name_;
  uint32_t in_chunk_ = 0;
  uint64_t count_ = 0;
  std::vector<uint32_t> bodies_;
};

// RFC 3123 section 4: family, prefix length, length of the address part, address without its
// trailing zero bytes.
template <class Bits>
void append_apl_item(std::vector<uint8_t>& data, address::Prefix<Bits> prefix) {
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

class AplChunks {
 public:
  AplChunks(BodiesBuilder& builder, uint32_t ttl) : builder_(builder), ttl_(ttl) {}

  template <class Bits>
  Status add(address::Prefix<Bits> prefix) {
    append_apl_item(data_, prefix);
    return data_.size() + 4 + sizeof(Bits6) > kAplDataMax ? close() : Status{};
  }
  Status close() {
    if (data_.empty()) {
      return {};
    }
    builder_.begin();
    builder_.add({.type = wire::type::apl, .ttl = ttl_, .data = data_});
    const auto body = builder_.end();
    if (!body) {
      return std::unexpected(body.error());
    }
    bodies_.push_back(*body);
    data_.clear();
    return {};
  }
  std::vector<uint32_t> take_bodies() { return std::move(bodies_); }

 private:
  BodiesBuilder& builder_;
  uint32_t ttl_;
  std::vector<uint8_t> data_;
  std::vector<uint32_t> bodies_;
};

template <class Bits>
Status write_addresses(const address::RangeSet<Bits>& narrow, AddressChunks<Bits>& chunks) {
  for (const address::Range<Bits>& range : narrow.ranges()) {
    for (Bits at = range.first;; ++at) {
      if (auto added = chunks.add(at); !added) {
        return added;
      }
      if (at == range.last) {
        break;
      }
    }
  }
  return chunks.close();
}

// Writes every prefix; returns how many are not wholly among the narrow ones.
template <class Bits>
Result<uint64_t> write_prefixes(const address::RangeSet<Bits>& addresses,
                                const address::RangeSet<Bits>& narrow, AplChunks& chunks) {
  const address::RangeSet<Bits> wide = addresses.minus(narrow);
  uint64_t wide_count = 0;
  Status status;
  addresses.for_each_prefix([&](address::Prefix<Bits> prefix) {
    if (status) {
      wide_count += !wide.empty() && wide.overlaps(prefix.range()) ? 1u : 0u;
      status = chunks.add(prefix);
    }
  });
  if (!status) {
    return std::unexpected(status.error());
  }
  return wide_count;
}

}  // namespace

Result<ListBodies> compile_list(const address::IpSet& addresses, const address::IpSet& narrow,
                                const Settings& settings) {
  BodiesBuilder builder;
  ListBodies list;
  AddressChunks<Bits4> a(builder, wire::type::a, settings.ttl_s, settings.addresses4_per_name);
  if (auto done = write_addresses(narrow.v4, a); !done) {
    return std::unexpected(done.error());
  }
  AddressChunks<Bits6> aaaa(builder, wire::type::aaaa, settings.ttl_s,
                            settings.addresses6_per_name);
  if (auto done = write_addresses(narrow.v6, aaaa); !done) {
    return std::unexpected(done.error());
  }
  AplChunks apl(builder, settings.ttl_s);
  const auto wide4 = write_prefixes(addresses.v4, narrow.v4, apl);
  if (!wide4) {
    return std::unexpected(wide4.error());
  }
  const auto wide6 = write_prefixes(addresses.v6, narrow.v6, apl);
  if (!wide6) {
    return std::unexpected(wide6.error());
  }
  if (auto done = apl.close(); !done) {
    return std::unexpected(done.error());
  }
  list.segment = builder.finish();
  list.a = a.take_bodies();
  list.aaaa = aaaa.take_bodies();
  list.apl = apl.take_bodies();
  list.address4_count = a.count();
  list.address6_count = aaaa.count();
  list.prefix_only_count = *wide4 + *wide6;
  return list;
}

}  // namespace merlon::compile
