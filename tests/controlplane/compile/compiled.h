// SPDX-License-Identifier: Apache-2.0
// Compiles, loads what came out as a server would, and reads lists back record by record with
// wire::Reader: nothing here shares code with the compiler.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "controlplane/compile/compile.h"
#include "zones/address/range_set.h"
#include "zones/snapshot/snapshot.h"
#include "zones/wire/wire.h"

namespace merlon::compile {

inline Settings settings(std::string_view suffix = "merlon.internal.") {
  Settings made;
  made.suffix = name::Name::from_text(suffix).value();
  return made;
}

inline address::IpSet ips(const std::vector<std::string>& texts) {
  std::vector<address::Range<address::Bits4>> v4;
  std::vector<address::Range<address::Bits6>> v6;
  for (const std::string& text : texts) {
    const auto range = address::parse_range(text).value();
    if (range.family == address::Family::v4) {
      v4.push_back(range.v4());
    } else {
      v6.push_back(range.v6());
    }
  }
  return {address::RangeSet4::from_unsorted(v4), address::RangeSet6::from_unsorted(v6)};
}

// A list whose `narrow` part becomes address records; everything when there is no `wide`.
inline ListInput list(const std::string& name, const address::IpSet& narrow,
                      const address::IpSet& wide = {}) {
  ListInput made;
  made.label = name;
  made.tier_mask = 2;  // basic
  auto content = std::make_shared<policy::ListContent>();
  content->addresses = narrow.united(wide);
  content->narrow = narrow;
  made.content = std::move(content);
  made.changed = 1767323045;  // 2026-01-02T03:04:05Z
  return made;
}

inline store::Device device(uint32_t number, std::initializer_list<const char*> sources,
                            store::Tier tier = store::Tier::basic) {
  store::Device made;
  made.name = "device-" + std::to_string(number);
  made.account = "acme";
  made.tier = tier;
  made.number = number;
  made.account_number = 7;
  for (const char* text : sources) {
    made.sources.push_back(address::parse_prefix(text).value());
  }
  return made;
}

// The shared zone and who may ask.
struct Input {
  std::vector<ListInput> lists;
  std::vector<store::Device> devices;
};
struct Compiled {
  std::vector<CompiledSegment> segments;
  std::vector<CompiledList> lists;
  uint64_t name_count = 0;
  ZoneMemory memory;
};
struct Serials {
  ZoneMemory before{};
  uint32_t next = 1;
};
inline Result<Compiled> compile(const Input& input, const Settings& made, const Serials& serials) {
  const ZoneInput zone{.apex = made.suffix, .account = 0, .lists = input.lists};
  auto compiled =
      compile_zone(zone, {.settings = made, .next_serial = serials.next}, serials.before);
  if (!compiled) {
    return std::unexpected(compiled.error());
  }
  auto access = compile_access(input.devices);
  if (!access) {
    return std::unexpected(access.error());
  }
  compiled->segments.push_back(std::move(*access));
  return Compiled{std::move(compiled->segments), std::move(compiled->lists), compiled->name_count,
                  std::move(compiled->memory)};
}

inline const CompiledSegment& segment_of(const Compiled& compiled, snapshot::SegmentKind kind) {
  const auto at = std::ranges::find_if(compiled.segments, [kind](const CompiledSegment& segment) {
    return segment.listed.kind == kind;
  });
  EXPECT_NE(at, compiled.segments.end());
  return *at;
}

inline std::string hash_of(const Compiled& compiled, snapshot::SegmentKind kind) {
  return segment_of(compiled, kind).listed.hash.to_text();
}

// Everything of a compile, loaded from its bytes.
class Loaded {
 public:
  explicit Loaded(const Compiled& compiled) {
    std::map<snapshot::ContentHash, std::shared_ptr<const snapshot::LoadedBodies>> bodies;
    for (const CompiledSegment& segment : compiled.segments) {
      EXPECT_EQ(snapshot::ContentHash::of(segment.content()), segment.listed.hash);
      EXPECT_EQ(segment.content().size(), segment.listed.size_bytes);
      if (segment.listed.kind == snapshot::SegmentKind::bodies) {
        auto made = std::make_shared<snapshot::LoadedBodies>();
        made->segment = snapshot::Segment::from_bytes(segment.content()).value();
        made->view = snapshot::BodiesView::open(made->segment).value();
        EXPECT_TRUE(bodies.emplace(segment.listed.hash, made).second) << "a segment twice";
      }
    }
    auto zone =
        snapshot::Segment::from_bytes(segment_of(compiled, snapshot::SegmentKind::zone).bytes)
            .value();
    std::vector<std::shared_ptr<const snapshot::LoadedBodies>> wanted;
    const auto hashes = zone.table<snapshot::ContentHash>(snapshot::SectionKind::dependencies);
    for (const auto& hash : hashes.value()) {
      wanted.push_back(bodies.at(hash));
    }
    const auto key = snapshot::IndexKey::random();
    auto made = snapshot::LoadedZone::make(std::move(zone), std::move(wanted), key);
    EXPECT_TRUE(made.has_value()) << (made ? "" : made.error().message);
    auto access = std::make_shared<snapshot::LoadedAccess>();
    access->segment =
        snapshot::Segment::from_bytes(segment_of(compiled, snapshot::SegmentKind::access).bytes)
            .value();
    access->view = snapshot::AccessView::open(access->segment).value();
    snapshot = snapshot::Snapshot::assemble(1, {*made}, access, key).value();
  }

  const snapshot::LoadedZone& zone() const { return *snapshot->zones().front(); }
  const snapshot::Node* node(const std::string& name) const {
    const auto folded = name::Name::from_text(name).value().folded();
    return zone().find(snapshot->key().hash(folded.wire()), folded.wire());
  }
  // The data of the records of one type at one name; the framing is checked on the way.
  std::vector<std::vector<uint8_t>> records(const std::string& name, uint16_t type) const {
    std::vector<std::vector<uint8_t>> found;
    const snapshot::Node* at = node(name);
    if (at == nullptr) {
      return found;
    }
    for (const snapshot::Rrset& rrset : zone().rrsets_of(*at)) {
      if (rrset.type != type) {
        continue;
      }
      EXPECT_LE(rrset.body.size + 12 + 259 + 17, 65535u) << name;
      wire::Reader reader(rrset.body.bytes());
      for (unsigned i = 0; i < rrset.body.answer_count; ++i) {
        EXPECT_EQ(reader.u16(), wire::kOwnerIsQname);
        EXPECT_EQ(reader.u16(), type);
        EXPECT_EQ(reader.u16(), wire::kClassIn);
        reader.u32();
        const Bytes data = reader.bytes(reader.u16());
        found.emplace_back(data.begin(), data.end());
      }
      EXPECT_TRUE(reader.ok());
      EXPECT_EQ(reader.remaining(), 0u);
    }
    return found;
  }
  std::vector<std::string> texts(const std::string& name) const {
    std::vector<std::string> strings;
    for (const auto& data : records(name, wire::type::txt)) {
      wire::Reader reader(data);
      while (reader.ok() && reader.remaining() != 0) {
        strings.emplace_back(as_text(reader.bytes(reader.u8())));
      }
      EXPECT_TRUE(reader.ok());
    }
    return strings;
  }
  uint32_t serial() const { return zone().view().info().serial; }

  std::shared_ptr<const snapshot::Snapshot> snapshot;
};

// What one list says, gathered over all its names.
struct Decoded {
  address::IpSet in_records;  // A and AAAA
  address::IpSet in_apl;
  std::vector<size_t> a_counts;  // per name
  std::vector<size_t> aaaa_counts;
  uint64_t apl_items = 0;
};

inline void decode_apl(const std::vector<uint8_t>& data, std::vector<std::string>& out) {
  wire::Reader reader(data);
  while (reader.ok() && reader.remaining() != 0) {
    const uint16_t family = reader.u16();
    const unsigned length = reader.u8();
    const unsigned head = reader.u8();
    EXPECT_EQ(head & 0x80, 0u) << "negated";
    const Bytes part = reader.bytes(head & 0x7f);
    EXPECT_TRUE(part.empty() || part.back() != 0) << "trailing zero bytes are cut, RFC 3123";
    std::array<uint8_t, 16> bytes{};
    std::ranges::copy(part, bytes.begin());
    ASSERT_TRUE(family == 1 || family == 2);
    const auto text = family == 1 ? address::to_text_v4(address::load_network_v4(bytes.data()))
                                  : address::to_text_v6(address::load_network_v6(bytes.data()));
    out.push_back(text + "/" + std::to_string(length));
  }
  EXPECT_TRUE(reader.ok());
}

inline Decoded decode(const Loaded& loaded, const CompiledList& list) {
  Decoded result;
  std::vector<address::Range<address::Bits4>> v4;
  std::vector<address::Range<address::Bits6>> v6;
  std::vector<std::string> prefixes;
  for (const std::string& name : list.names) {
    const auto a = loaded.records(name, wire::type::a);
    const auto aaaa = loaded.records(name, wire::type::aaaa);
    EXPECT_TRUE(std::ranges::is_sorted(a)) << name;
    EXPECT_TRUE(std::ranges::is_sorted(aaaa)) << name;
    result.a_counts.push_back(a.size());
    result.aaaa_counts.push_back(aaaa.size());
    for (const auto& data : a) {
      EXPECT_EQ(data.size(), 4u);
      const auto bits = address::load_network_v4(data.data());
      v4.push_back({bits, bits});
    }
    for (const auto& data : aaaa) {
      EXPECT_EQ(data.size(), 16u);
      const auto bits = address::load_network_v6(data.data());
      v6.push_back({bits, bits});
    }
    for (const auto& data : loaded.records(name, wire::type::apl)) {
      decode_apl(data, prefixes);
    }
  }
  result.in_records = {address::RangeSet4::from_unsorted(v4),
                       address::RangeSet6::from_unsorted(v6)};
  EXPECT_EQ(result.in_records.v4.address_count(), list.address4_count);
  EXPECT_EQ(result.in_records.v6.address_count(), list.address6_count);
  // No address is in two names but the test addresses, which are in all.
  const size_t repeats = list.names.size() - 1;
  EXPECT_EQ(v4.size() - repeats, list.address4_count);
  EXPECT_EQ(v6.size() - (v6.empty() ? 0 : repeats), list.address6_count);
  result.in_apl = ips(prefixes);
  result.apl_items = prefixes.size();
  return result;
}

}  // namespace merlon::compile
