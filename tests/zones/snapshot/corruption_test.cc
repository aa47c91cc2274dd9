// SPDX-License-Identifier: Apache-2.0
// Damage that no checksum shows: what is inside the sections contradicts FORMAT.md.
#include <gtest/gtest.h>

#include "tests/support/segment_edit.h"
#include "tests/support/snapshot_fixture.h"
#include "zones/snapshot/access.h"
#include "zones/snapshot/bodies.h"
#include "zones/snapshot/snapshot.h"
#include "zones/snapshot/zone_builder.h"
#include "zones/wire/wire.h"

namespace merlon::snapshot {
namespace {

using Buffer = std::vector<uint8_t>;
using tests::SegmentEdit;

// Zone t.: nodes t., a.t., b.a.t., c.t.; own bodies 0 SOA answer, 1 SOA negative, 2 A, 3 TXT.
// Dependency 1 is a bodies segment with body 0 A, 1 AAAA.
struct Parts {
  Buffer bodies;
  Buffer zone;
  Buffer access;
};

name::Name name_of(std::string_view text) {
  return *name::Name::from_text(text);
}

uint32_t add(BodiesBuilder& bodies, uint16_t type, const Buffer& data) {
  bodies.begin();
  bodies.add({.type = type, .ttl = 1, .data = data});
  return *bodies.end();
}

Parts make_parts() {
  Parts parts;
  BodiesBuilder bodies;
  add(bodies, 1, {1, 2, 3, 4});
  add(bodies, 28, Buffer(16));
  parts.bodies = bodies.finish();

  ZoneBuilder zone({.apex = name_of("t."), .serial = 1, .tier_mask = 1});
  Buffer soa(22);
  const uint32_t answer = add(zone.own(), 6, soa);
  zone.own().begin();
  zone.own().add({.section = BodiesBuilder::Section::authority,
                  .owner = BodiesBuilder::Owner::apex,
                  .type = 6,
                  .data = soa});
  zone.set_negative_body(*zone.own().end());
  const uint32_t a = add(zone.own(), 1, {9, 9, 9, 9});
  const uint32_t txt = add(zone.own(), 16, {1, 'x'});
  const uint16_t shared = zone.depend_on(ContentHash::of(parts.bodies));
  EXPECT_TRUE(zone.add_rrset(name_of("t."), 6, 0, answer).has_value());
  EXPECT_TRUE(zone.add_rrset(name_of("a.t."), 1, 0, a).has_value());
  EXPECT_TRUE(zone.add_rrset(name_of("a.t."), 16, 0, txt).has_value());
  EXPECT_TRUE(zone.add_rrset(name_of("b.a.t."), 1, shared, 0).has_value());
  EXPECT_TRUE(zone.add_rrset(name_of("c.t."), 28, shared, 1).has_value());
  parts.zone = *zone.finish();

  AccessBuilder access;
  const uint32_t subject = access.add_subject({1, 1, 1, Verb::pass, {}, {}});
  access.add_source({address::Family::v4, 24, 0xC0000200}, subject);
  access.add_source({address::Family::v4, 32, 0xC0000201}, subject);
  access.add_source({address::Family::v6, 32, address::Bits6{0x20010db8} << 96}, subject);
  access.add_source({address::Family::v6, 64, address::Bits6{0x20010db9} << 96}, subject);
  parts.access = *access.finish();
  return parts;
}

struct Row {
  const char* description;
  void (*edit)(SegmentEdit&);
  SectionKind section;  // that the error names
  uint64_t offset;      // within it
  const char* text;
};

template <class Open>
void check(const Buffer& good, std::span<const Row> rows, Open open) {
  for (const Row& row : rows) {
    SCOPED_TRACE(row.description);
    SegmentEdit edit(good);
    row.edit(edit);
    const auto segment = Segment::from_bytes(edit.finish());
    ASSERT_TRUE(segment.has_value()) << segment.error().message;
    const std::optional<Error> error = open(*segment);
    ASSERT_TRUE(error.has_value()) << "was accepted";
    EXPECT_EQ(error->code, ErrorCode::corruption);
    if (row.offset == UINT64_MAX) {
      EXPECT_EQ(error->message, row.text);
    } else {
      EXPECT_EQ(error->message,
                fmt::format("section {} at offset {}: {}", to_string(row.section),
                            segment->offset_of(row.section) + row.offset, row.text));
    }
  }
}

template <class View>
std::optional<Error> open_view(const Segment& segment) {
  const auto view = View::open(segment);
  return view ? std::nullopt : std::optional(view.error());
}

constexpr SectionKind kIndex = SectionKind::body_index;
constexpr SectionKind kPointers = SectionKind::body_pointers;
constexpr SectionKind kData = SectionKind::body_data;
constexpr SectionKind kInfo = SectionKind::zone_info;
constexpr SectionKind kNames = SectionKind::names;
constexpr SectionKind kNodes = SectionKind::nodes;
constexpr SectionKind kRrsets = SectionKind::rrsets;
constexpr uint64_t kWhole = UINT64_MAX;

template <auto Member, class T, auto Value>
void set_row(SegmentEdit& edit, SectionKind kind, size_t row) {
  edit.change<T>(kind, row, [](T& entry) {
    entry.*Member = static_cast<std::remove_reference_t<decltype(entry.*Member)>>(Value);
  });
}

// Own bodies of the zone: 0 SOA (0..33), 1 negative SOA (34..67), 2 A (68..83), 3 TXT (84..97).
const Row kBodyRows[] = {
    {"index section missing", [](SegmentEdit& e) { e.remove(kIndex); }, kIndex, kWhole,
     "section BODY_INDEX is missing"},
    {"data section missing", [](SegmentEdit& e) { e.remove(kData); }, kData, kWhole,
     "section BODY_DATA is missing"},
    {"index cut", [](SegmentEdit& e) { e.section(kIndex).pop_back(); }, kIndex, 0,
     "size 95 is no multiple of 24"},
    {"pointers cut", [](SegmentEdit& e) { e.section(kPointers).pop_back(); }, kPointers, 0,
     "size 1 is no multiple of 2"},
    {"gap between bodies",
     [](SegmentEdit& e) { set_row<&BodyEntry::offset, BodyEntry, 35>(e, kIndex, 1); }, kIndex, 24,
     "body 1 is out of place"},
    {"body past the data",
     [](SegmentEdit& e) { set_row<&BodyEntry::size, BodyEntry, UINT32_MAX>(e, kIndex, 3); }, kIndex,
     72, "body 3 is out of place"},
    {"reserved", [](SegmentEdit& e) { set_row<&BodyEntry::reserved, BodyEntry, 1>(e, kIndex, 0); },
     kIndex, 0, "body 0 is out of place"},
    {"pointers elsewhere",
     [](SegmentEdit& e) { set_row<&BodyEntry::pointer_first, BodyEntry, 1>(e, kIndex, 1); }, kIndex,
     24, "pointers of body 1 are out of place"},
    {"more pointers than there are",
     [](SegmentEdit& e) { set_row<&BodyEntry::pointer_count, BodyEntry, 2>(e, kIndex, 1); }, kIndex,
     24, "pointers of body 1 are out of place"},
    {"a record more than there is",
     [](SegmentEdit& e) { set_row<&BodyEntry::answer_count, BodyEntry, 2>(e, kIndex, 2); }, kData,
     84, "body 2 record 1: fewer records than counted"},
    {"a record less",
     [](SegmentEdit& e) { set_row<&BodyEntry::answer_count, BodyEntry, 0>(e, kIndex, 2); }, kData,
     68, "body 2 has bytes or pointers behind its last record"},
    {"record data past the body", [](SegmentEdit& e) { e.section(kData)[68 + 11] = 5; }, kData, 68,
     "body 2 record 0: record data runs past the body"},
    {"record data short of the body", [](SegmentEdit& e) { e.section(kData)[68 + 11] = 3; }, kData,
     68, "body 2 record 0: address record of a wrong size"},
    {"class other than IN", [](SegmentEdit& e) { e.section(kData)[68 + 5] = 3; }, kData, 68,
     "body 2 record 0: class is not IN"},
    {"owner is a pointer elsewhere", [](SegmentEdit& e) { e.section(kData)[69] = 0x0D; }, kData, 68,
     "body 2 record 0: owner is not a name"},
    {"owner runs past the body", [](SegmentEdit& e) { e.section(kData)[68] = 30; }, kData, 68,
     "body 2 record 0: owner runs past the body"},
    {"fixed part past the body",
     [](SegmentEdit& e) {
       e.section(kData)[68] = 6;  // owner of 8 bytes, 8 are left
       e.section(kData)[75] = 0;
     },
     kData, 68, "body 2 record 0: record runs past the body"},
    {"patched pointer is not zero", [](SegmentEdit& e) { e.section(kData)[35] = 1; }, kData, 34,
     "body 1 record 0: patched pointer is not zero"},
    {"pointer inside the record data",
     [](SegmentEdit& e) {
       e.section(kPointers) = {20, 0};
       e.section(kData)[34] = 0xC0;
       e.section(kData)[35] = 0x0C;
     },
     kData, 68, "body 1 has bytes or pointers behind its last record"},
    {"checksum", [](SegmentEdit& e) { set_row<&BodyEntry::checksum, BodyEntry, 7>(e, kIndex, 2); },
     kIndex, 48, "checksum of body 2 differs"},
    {"data that no body owns", [](SegmentEdit& e) { e.section(kData).push_back(0); }, kData, 98,
     "bytes that no body owns"},
    {"pointer that no body owns", [](SegmentEdit& e) { e.section(kPointers).resize(4); }, kPointers,
     2, "pointers that no body owns"},
};

TEST(BodiesCorruption, EachFaultIsNamedWithItsPlace) {
  check(make_parts().zone, kBodyRows, open_view<BodiesView>);
}

TEST(BodiesCorruption, BodyThatNoTcpMessageHolds) {
  BodiesBuilder builder;
  builder.begin();
  builder.add({.type = 16, .data = Buffer(kBodySizeMax - 12)});
  ASSERT_TRUE(builder.end().has_value());
  SegmentEdit edit(builder.finish());
  edit.section(kData).push_back(0);
  store_be16(edit.section(kData).data() + 10, kBodySizeMax - 11);
  edit.change<BodyEntry>(kIndex, 0, [](BodyEntry& entry) { ++entry.size; });
  const auto segment = Segment::from_bytes(edit.finish());
  EXPECT_EQ(BodiesView::open(*segment).error().message,
            fmt::format("section BODY_INDEX at offset {}: body 0 of {} bytes, at most {}",
                        segment->offset_of(kIndex), kBodySizeMax + 1, kBodySizeMax));
}

TEST(BodiesCorruption, OwnerInFullHasAtMost255Bytes) {
  for (const size_t last : {61u, 62u}) {
    Buffer data;
    for (const size_t size : {size_t{63}, size_t{63}, size_t{63}, size_t{last}}) {
      data.push_back(static_cast<uint8_t>(size));
      data.insert(data.end(), size, 'x');
    }
    data.resize(data.size() + 1 + 10);
    data[data.size() - 7] = 1;  // class IN
    BodyEntry entry{};
    entry.size = static_cast<uint32_t>(data.size());
    entry.authority_count = 1;
    entry.checksum = wire::checksum_partial(data);
    SegmentBuilder builder(SegmentKind::bodies);
    builder.add_table(kIndex, std::vector<BodyEntry>{entry});
    builder.add(kPointers, {});
    builder.add(kData, data);
    const auto segment = Segment::from_bytes(builder.finish());
    const auto view = BodiesView::open(*segment);
    EXPECT_EQ(view.has_value(), last == 61);
  }
}

// Names: t. at 0..2, a.t. 3..7, b.a.t. 8..14, c.t. 15..19. RRsets: t. SOA, a.t. A TXT, b.a.t. A,
// c.t. AAAA.
const Row kZoneRows[] = {
    {"info missing", [](SegmentEdit& e) { e.remove(kInfo); }, kInfo, kWhole,
     "section ZONE_INFO is missing"},
    {"two infos", [](SegmentEdit& e) { e.section(kInfo).resize(2 * sizeof(ZoneInfo)); }, kInfo, 0,
     "holds 2 zones"},
    {"dependencies cut", [](SegmentEdit& e) { e.section(SectionKind::dependencies).pop_back(); },
     SectionKind::dependencies, 0, "size 31 is no multiple of 32"},
    {"apex not folded", [](SegmentEdit& e) { e.section(kInfo)[26] = 'T'; }, kInfo, 24,
     "apex is not a folded name"},
    {"apex size", [](SegmentEdit& e) { e.section(kInfo)[24] = 4; }, kInfo, 24,
     "apex is not a folded name"},
    {"apex size zero", [](SegmentEdit& e) { e.section(kInfo)[24] = 0; }, kInfo, 24,
     "apex is not a folded name"},
    {"bytes behind the apex", [](SegmentEdit& e) { e.section(kInfo)[60] = 1; }, kInfo, 0,
     "reserved bytes are not zero"},
    {"reserved in info", [](SegmentEdit& e) { e.section(kInfo)[21] = 1; }, kInfo, 0,
     "reserved bytes are not zero"},
    {"denial that there is not", [](SegmentEdit& e) { e.section(kInfo)[20] = 3; }, kInfo, 20,
     "unknown kind of denial 3"},
    {"signed without signatures", [](SegmentEdit& e) { e.section(kInfo)[20] = 1; }, kInfo, 20,
     "0 signatures for 5 RRsets"},
    {"reserved tail of info", [](SegmentEdit& e) { e.section(kInfo)[287] = 1; }, kInfo, 0,
     "reserved bytes are not zero"},
    {"node count", [](SegmentEdit& e) { e.section(kInfo)[16] = 5; }, kInfo, 16,
     "says 5 nodes, there are 4"},
    {"no node",
     [](SegmentEdit& e) {
       e.section(kInfo)[16] = 0;
       e.section(kNodes).clear();
     },
     kInfo, 16, "says 0 nodes, there are 0"},
    {"negative body out of range", [](SegmentEdit& e) { e.section(kInfo)[12] = 4; }, kInfo, 12,
     "body 4 is no negative answer"},
    {"negative body with answers", [](SegmentEdit& e) { e.section(kInfo)[12] = 2; }, kInfo, 12,
     "body 2 is no negative answer"},
    {"negative body with additional records",
     [](SegmentEdit& e) {
       Buffer& data = e.section(kData);
       const Buffer extra(data.begin() + 34, data.begin() + 68);
       data.insert(data.begin() + 68, extra.begin(), extra.end());
       store_be16(data.data() + 68, 0xC00C);
       const uint16_t checksum = wire::checksum_partial(Bytes(data).subspan(34, 68));
       for (size_t i = 1; i < 4; ++i) {
         e.change<BodyEntry>(kIndex, i, [&](BodyEntry& entry) {
           entry.offset += i > 1 ? 34u : 0u;
           entry.size += i == 1 ? 34u : 0u;
           entry.additional_count = i == 1;
           entry.checksum = i == 1 ? checksum : entry.checksum;
         });
       }
     },
     kInfo, 12, "body 1 is no negative answer"},
    {"name out of place",
     [](SegmentEdit& e) { set_row<&NodeEntry::name_offset, NodeEntry, 4>(e, kNodes, 1); }, kNodes,
     16, "name of node 1 is out of place"},
    {"name past the names",
     [](SegmentEdit& e) { set_row<&NodeEntry::name_size, NodeEntry, 200>(e, kNodes, 3); }, kNodes,
     48, "name of node 3 is out of place"},
    {"reserved in a node",
     [](SegmentEdit& e) { set_row<&NodeEntry::reserved, NodeEntry, 1>(e, kNodes, 2); }, kNodes, 32,
     "name of node 2 is out of place"},
    {"upper case", [](SegmentEdit& e) { e.section(kNames)[4] = 'A'; }, kNames, 3,
     "node 1 has no folded name"},
    {"label length", [](SegmentEdit& e) { e.section(kNames)[8] = 2; }, kNames, 8,
     "node 2 has no folded name"},
    {"first node is not the apex", [](SegmentEdit& e) { e.section(kNames)[1] = 's'; }, kNames, 0,
     "node 0 is not the apex"},
    {"node outside the zone", [](SegmentEdit& e) { e.section(kNames)[18] = 'u'; }, kNames, 15,
     "node 3 is outside the zone"},
    {"out of order", [](SegmentEdit& e) { e.section(kNames)[16] = 'A' + 32 - 1; }, kNames, 15,
     "node 3 is not in canonical order"},
    {"name twice", [](SegmentEdit& e) { e.section(kNames)[16] = 'a'; }, kNames, 15,
     "node 3 is not in canonical order"},
    {"parent missing", [](SegmentEdit& e) { e.section(kNames)[11] = 'b'; }, kNames, 8,
     "node 2 has no parent"},
    {"rrsets out of place",
     [](SegmentEdit& e) { set_row<&NodeEntry::rrset_first, NodeEntry, 0>(e, kNodes, 1); }, kNodes,
     16, "RRsets of node 1 are out of place"},
    {"more rrsets than there are",
     [](SegmentEdit& e) { set_row<&NodeEntry::rrset_count, NodeEntry, 2>(e, kNodes, 3); }, kNodes,
     48, "RRsets of node 3 are out of place"},
    {"rrset that no node owns",
     [](SegmentEdit& e) { set_row<&NodeEntry::rrset_count, NodeEntry, 0>(e, kNodes, 3); }, kRrsets,
     32, "RRsets that no node owns"},
    {"name that no node owns", [](SegmentEdit& e) { e.section(kNames).push_back(0); }, kNames, 20,
     "bytes that no node owns"},
    {"types out of order",
     [](SegmentEdit& e) { set_row<&RrsetEntry::type, RrsetEntry, 1>(e, kRrsets, 2); }, kRrsets, 16,
     "node 1 has a bad RRset of type 1"},
    {"type 0",
     [](SegmentEdit& e) {
       e.change<RrsetEntry>(kRrsets, 0, [](RrsetEntry& rrset) { rrset = {0, 0, 1}; });
     },
     kRrsets, 0, "node 0 has a bad RRset of type 0"},
    {"type opt", [](SegmentEdit& e) { set_row<&RrsetEntry::type, RrsetEntry, 41>(e, kRrsets, 4); },
     kRrsets, 32, "node 3 has a bad RRset of type 41"},
    {"type any", [](SegmentEdit& e) { set_row<&RrsetEntry::type, RrsetEntry, 255>(e, kRrsets, 4); },
     kRrsets, 32, "node 3 has a bad RRset of type 255"},
    {"dependency out of range",
     [](SegmentEdit& e) { set_row<&RrsetEntry::dependency, RrsetEntry, 2>(e, kRrsets, 3); },
     kRrsets, 24, "node 2 has a bad RRset of type 1"},
    {"own body out of range",
     [](SegmentEdit& e) { set_row<&RrsetEntry::body, RrsetEntry, 4>(e, kRrsets, 1); }, kRrsets, 8,
     "body 4 does not answer type 1"},
    {"own body of another type",
     [](SegmentEdit& e) { set_row<&RrsetEntry::body, RrsetEntry, 3>(e, kRrsets, 1); }, kRrsets, 8,
     "body 3 does not answer type 1"},
    {"negative body as an answer",
     [](SegmentEdit& e) { set_row<&RrsetEntry::body, RrsetEntry, 1>(e, kRrsets, 0); }, kRrsets, 0,
     "body 1 does not answer type 6"},
};

TEST(ZoneCorruption, EachFaultIsNamedWithItsPlace) {
  check(make_parts().zone, kZoneRows, open_view<ZoneView>);
}

TEST(ZoneCorruption, ReferencesIntoOtherSegments) {
  const Parts parts = make_parts();
  const std::string hash = ContentHash::of(parts.bodies).to_text();
  auto bodies = std::make_shared<LoadedBodies>();
  bodies->segment = std::move(*Segment::from_bytes(parts.bodies));
  bodies->view = *BodiesView::open(bodies->segment);
  const auto make = [&](Segment segment) {
    return LoadedZone::make(std::move(segment), {bodies}, tests::fixed_index_key());
  };
  EXPECT_TRUE(make(std::move(*Segment::from_bytes(parts.zone))).has_value());
  struct Reference {
    size_t row;
    uint32_t body;
    uint16_t type;
  };
  for (const Reference& bad : {Reference{3, 2, 1}, Reference{3, 1, 1}, Reference{4, 0, 28}}) {
    SegmentEdit edit(parts.zone);
    edit.change<RrsetEntry>(kRrsets, bad.row, [&](RrsetEntry& rrset) { rrset.body = bad.body; });
    auto segment = Segment::from_bytes(edit.finish());
    const uint64_t at = segment->offset_of(kRrsets) + bad.row * sizeof(RrsetEntry);
    const auto zone = make(std::move(*segment));
    ASSERT_FALSE(zone.has_value());
    EXPECT_EQ(
        zone.error().message,
        fmt::format("section RRSETS at offset {}: body {} of segment {} does not answer type {}",
                    at, bad.body, hash, bad.type));
  }
}

constexpr SectionKind kSubjects = SectionKind::subjects;
constexpr SectionKind k4 = SectionKind::sources4;
constexpr SectionKind k6 = SectionKind::sources6;

const Row kAccessRows[] = {
    {"subjects missing", [](SegmentEdit& e) { e.remove(kSubjects); }, kSubjects, kWhole,
     "section SUBJECTS is missing"},
    {"sources missing", [](SegmentEdit& e) { e.remove(k6); }, k6, kWhole,
     "section SOURCES6 is missing"},
    {"sources cut", [](SegmentEdit& e) { e.section(k4).pop_back(); }, k4, 0,
     "size 23 is no multiple of 12"},
    {"verb", [](SegmentEdit& e) { e.section(kSubjects)[12] = 4; }, kSubjects, 0,
     "subject 0 has verb 4"},
    {"reserved in a subject", [](SegmentEdit& e) { e.section(kSubjects)[15] = 1; }, kSubjects, 0,
     "subject 0 has unknown flags or reserved bytes that are not zero"},
    {"unknown flag of a subject", [](SegmentEdit& e) { e.section(kSubjects)[13] = 2; }, kSubjects,
     0, "subject 0 has unknown flags or reserved bytes that are not zero"},
    {"subject out of range", [](SegmentEdit& e) { e.section(k4)[12 + 4] = 1; }, k4, 12,
     "source 1 names subject 1 of 1"},
    {"no subject at all", [](SegmentEdit& e) { e.section(kSubjects).clear(); }, k4, 0,
     "source 0 names subject 0 of 0"},
    {"subject out of range, ipv6", [](SegmentEdit& e) { e.section(k6)[24 + 19] = 1; }, k6, 24,
     "source 1 names subject 16777216 of 1"},
    {"host bits", [](SegmentEdit& e) { e.section(k4)[0] = 1; }, k4, 0, "source 0 is not a prefix"},
    {"length 33", [](SegmentEdit& e) { e.section(k4)[12 + 8] = 33; }, k4, 12,
     "source 1 is not a prefix"},
    {"length 129", [](SegmentEdit& e) { e.section(k6)[24 + 20] = 129; }, k6, 24,
     "source 1 is not a prefix"},
    {"host bits, ipv6", [](SegmentEdit& e) { e.section(k6)[8] = 1; }, k6, 0,
     "source 0 is not a prefix"},
    {"reserved in a source", [](SegmentEdit& e) { e.section(k4)[11] = 1; }, k4, 0,
     "source 0 is not a prefix"},
    {"out of order", [](SegmentEdit& e) { e.section(k4)[12 + 3] = 1; }, k4, 12,
     "source 1 is out of order"},
    {"source twice",
     [](SegmentEdit& e) {
       Buffer& rows = e.section(k4);
       std::copy_n(rows.begin() + 12, 12, rows.begin());
     },
     k4, 12, "source 1 is out of order"},
    {"out of order, ipv6",
     [](SegmentEdit& e) {
       Buffer& rows = e.section(k6);
       std::swap_ranges(rows.begin(), rows.begin() + 24, rows.begin() + 24);
     },
     k6, 24, "source 1 is out of order"},
};

TEST(AccessCorruption, EachFaultIsNamedWithItsPlace) {
  check(make_parts().access, kAccessRows, open_view<AccessView>);
}

}  // namespace
}  // namespace merlon::snapshot
