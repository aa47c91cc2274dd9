// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/snapshot_fixture.h"
#include "zones/snapshot/snapshot.h"
#include "zones/snapshot/zone_builder.h"

namespace merlon::snapshot {
namespace {

using Buffer = std::vector<uint8_t>;

name::Name name_of(std::string_view text) {
  return *name::Name::from_text(text);
}

TEST(Build, SameInputGivesTheSameBytes) {
  const tests::Fixture a = tests::make_fixture({.extra_names = 50, .extra_sources = 50});
  const tests::Fixture b = tests::make_fixture({.extra_names = 50, .extra_sources = 50});
  ASSERT_EQ(a.segments.size(), b.segments.size());
  for (size_t i = 0; i < a.segments.size(); ++i) {
    EXPECT_EQ(a.segments[i].bytes, b.segments[i].bytes);
  }
  const SigningKey key = tests::fixed_signing_key();
  EXPECT_EQ(a.manifest(3).render(key), b.manifest(3).render(key));
}

TEST(Build, AChangeOfOneAccountChangesItsZoneAlone) {
  const tests::Fixture a = tests::make_fixture();
  const tests::Fixture b = tests::make_fixture({.salt = 1});
  for (size_t i = 0; i < a.segments.size(); ++i) {
    const bool acme = a.segments[i].apex == name_of("acme.merlon.internal.");
    EXPECT_EQ(a.segments[i].bytes == b.segments[i].bytes, !acme);
  }
}

TEST(Build, OrderOfNamesAndTheirCaseDoNotMatter) {
  const auto build = [](std::vector<std::string_view> names) {
    ZoneBuilder zone({.apex = name_of("T."), .serial = 1, .tier_mask = 1});
    zone.own().begin();
    zone.own().add({.section = BodiesBuilder::Section::authority,
                    .owner = BodiesBuilder::Owner::apex,
                    .type = 6});
    zone.set_negative_body(*zone.own().end());
    zone.own().begin();
    zone.own().add({.type = 1, .data = Buffer{1, 2, 3, 4}});
    const uint32_t body = *zone.own().end();
    for (const std::string_view name : names) {
      EXPECT_TRUE(zone.add_rrset(name_of(name), 1, 0, body).has_value());
    }
    return *zone.finish();
  };
  EXPECT_EQ(build({"a.t.", "x.y.z.t.", "b.t."}), build({"X.y.Z.t.", "B.T.", "A.t."}));
}

TEST(ZoneBuilder, MakesTheEmptyNonTerminals) {
  const tests::Fixture fixture = tests::make_fixture();
  const auto& bytes = fixture.segment(SegmentKind::zone, "merlon.internal.").bytes;
  const auto segment = Segment::from_bytes(bytes);
  const auto view = ZoneView::open(*segment);
  const Buffer ent{3, 'e', 'n', 't', 6,   'm', 'e', 'r', 'l', 'o', 'n',
                   8, 'i', 'n', 't', 'e', 'r', 'n', 'a', 'l', 0};
  const auto node = std::ranges::find_if(view->nodes(), [&](const NodeEntry& entry) {
    return std::ranges::equal(view->name_of(entry), ent);
  });
  ASSERT_NE(node, view->nodes().end());
  EXPECT_EQ(node->rrset_count, 0);
}

TEST(ZoneBuilder, RefusesWhatDoesNotBelong) {
  ZoneBuilder zone({.apex = name_of("t."), .serial = 1});
  EXPECT_EQ(zone.add_node(name_of("t.u."), 1).error().message, "t.u. is not in zone t.");
  EXPECT_EQ(zone.add_rrset(name_of("xt."), 1, 0, 0).error().code, ErrorCode::invalid_argument);
  EXPECT_TRUE(zone.add_rrset(name_of("a.t."), 1, 0, 0).has_value());
  for (const uint16_t type : std::initializer_list<uint16_t>{0, 41, 250, 252, 255}) {
    EXPECT_EQ(zone.add_rrset(name_of("a.t."), type, 0, 0).error().code,
              ErrorCode::invalid_argument);
  }
  EXPECT_TRUE(zone.add_rrset(name_of("A.t."), 1, 0, 0).has_value());
  const auto finished = zone.finish();
  EXPECT_EQ(finished.error().code, ErrorCode::conflict);
  EXPECT_EQ(finished.error().message, "zone t.: a.t. has type A twice");
}

TEST(ZoneBuilder, KeepsGivenSignaturesWithTheirRrsets) {
  ZoneBuilder zone({.apex = name_of("t."), .serial = 1});
  const auto body = [&zone](uint16_t type, const Buffer& data, BodiesBuilder::Section section) {
    zone.own().begin();
    zone.own().add({.section = section, .type = type, .data = data});
    return zone.own().end().value();
  };
  using Section = BodiesBuilder::Section;
  zone.set_negative_body(body(6, {0, 0}, Section::authority));
  const uint32_t text = body(16, {1, 'x'}, Section::answer);
  const uint32_t signature = body(46, {0, 16, 13}, Section::answer);
  ASSERT_TRUE(zone.add_rrset(name_of("b.a.t."), 16, 0, text).has_value());
  ASSERT_TRUE(zone.add_signature(name_of("b.a.t."), 16, signature).has_value());
  ASSERT_TRUE(zone.arrange().has_value());
  ASSERT_EQ(zone.node_count(), 3U);
  zone.add_rrset_at(1, 47, body(47, {0}, Section::answer));
  zone.set_signature(1, 47, signature);
  zone.set_denial(Denial::nsec);
  const auto file = zone.finish();
  ASSERT_TRUE(file.has_value()) << file.error().message;
  const auto segment = Segment::from_bytes(*file);
  ASSERT_TRUE(segment.has_value());
  const auto view = ZoneView::open(*segment);
  ASSERT_TRUE(view.has_value()) << view.error().message;
  ASSERT_EQ(view->rrsets().size(), 2U);
  EXPECT_TRUE(view->is_signed());
  EXPECT_EQ(view->rrsets()[0].type, 47);
  EXPECT_EQ(view->signature_of(0), signature);
  EXPECT_EQ(view->rrsets()[1].type, 16);
  EXPECT_EQ(view->signature_of(1), signature);
}

TEST(ZoneBuilder, RefusesASignatureOfNothing) {
  ZoneBuilder zone({.apex = name_of("t."), .serial = 1});
  ASSERT_TRUE(zone.add_signature(name_of("a.t."), 16, 0).has_value());
  EXPECT_EQ(zone.arrange().error().message, "a.t. has a signature of type TXT, which is not there");
}

TEST(ZoneBuilder, WhatWouldNotLoadIsNotWritten) {
  ZoneBuilder zone({.apex = name_of("t."), .serial = 1});
  EXPECT_TRUE(zone.add_rrset(name_of("a.t."), 1, 0, 5).has_value());
  const auto file = zone.finish();
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error().code, ErrorCode::internal);
}

TEST(ZoneBuilder, OneNumberForOneDependency) {
  ZoneBuilder zone({.apex = name_of("t.")});
  const ContentHash a = ContentHash::of({});
  const ContentHash b = ContentHash::of(Buffer{1});
  EXPECT_EQ(zone.depend_on(a), 1);
  EXPECT_EQ(zone.depend_on(b), 2);
  EXPECT_EQ(zone.depend_on(a), 1);
}

TEST(BodiesBuilder, LargestBodyAndOneByteMore) {
  for (const size_t extra : {0u, 1u}) {
    BodiesBuilder builder;
    builder.begin();
    builder.add({.type = 1, .data = Buffer(4)});
    ASSERT_EQ(*builder.end(), 0u);
    builder.begin();
    builder.add({.type = 16, .data = Buffer(kBodySizeMax - 12 + extra)});
    const auto body = builder.end();
    EXPECT_EQ(body.has_value(), extra == 0);
    // A body that was refused leaves nothing behind.
    builder.begin();
    builder.add({.type = 28, .data = Buffer(16)});
    EXPECT_EQ(*builder.end(), extra == 0 ? 2u : 1u);
    const auto segment = Segment::from_bytes(builder.finish());
    const auto view = BodiesView::open(*segment);
    ASSERT_TRUE(view.has_value()) << view.error().message;
    EXPECT_EQ(view->size(), extra == 0 ? 3u : 2u);
    EXPECT_EQ(view->answer_type(0), 1);
  }
}

TEST(BodiesBuilder, ManyAnswersAtOnceAreAsOneByOne) {
  BodiesBuilder singly;
  BodiesBuilder together;
  for (const uint16_t size : {uint16_t{4}, uint16_t{16}}) {
    singly.begin();
    together.begin();
    uint8_t* at = together.add_answers(size == 4 ? 1 : 28, 900, size, 3);
    for (uint8_t i = 0; i < 3; ++i) {
      const Buffer data(size, static_cast<uint8_t>(i + 1));
      singly.add({.type = static_cast<uint16_t>(size == 4 ? 1 : 28), .ttl = 900, .data = data});
      std::ranges::copy(data, at);
      at += BodiesBuilder::kAnswerRoom + size;
    }
    ASSERT_TRUE(singly.end().has_value());
    ASSERT_TRUE(together.end().has_value());
  }
  EXPECT_EQ(singly.finish(), together.finish());
  // In the memory of a loaded segment they are the same bytes, also with memory used before.
  for (int round = 0; round < 2; ++round) {
    const auto built = together.build();
    ASSERT_TRUE(built.has_value()) << built.error().message;
    EXPECT_TRUE(std::ranges::equal(built->bytes(), singly.finish()));
    together.clear();
    together.begin();
    std::ranges::fill_n(together.add_answers(1, 900, 4, 1), 4, uint8_t{7});
    ASSERT_TRUE(together.end().has_value());
    singly = BodiesBuilder();
    singly.begin();
    singly.add({.type = 1, .ttl = 900, .data = Buffer(4, 7)});
    ASSERT_TRUE(singly.end().has_value());
  }
}

TEST(BodiesView, AnswerTypeNeedsOneRrsetOfTheAskedName) {
  using Owner = BodiesBuilder::Owner;
  using Section = BodiesBuilder::Section;
  struct Row {
    std::vector<BodiesBuilder::Record> records;
    uint16_t type;
  };
  const Buffer data(4);
  const Row rows[] = {
      {{{.type = 1, .data = data}, {.type = 1, .data = data}}, 1},
      {{{.type = 1, .data = data}, {.type = 16, .data = data}}, 0},
      {{{.owner = Owner::apex, .type = 1, .data = data}}, 0},
      {{{.section = Section::authority, .type = 1, .data = data}}, 0},
      {{{.type = 1, .data = data}, {.section = Section::additional, .type = 1, .data = data}}, 0},
      {{}, 0},
  };
  BodiesBuilder builder;
  for (const Row& row : rows) {
    builder.begin();
    for (const auto& record : row.records) {
      builder.add(record);
    }
    ASSERT_TRUE(builder.end().has_value());
  }
  const auto segment = Segment::from_bytes(builder.finish());
  const auto view = BodiesView::open(*segment);
  ASSERT_TRUE(view.has_value()) << view.error().message;
  for (uint32_t i = 0; i < std::size(rows); ++i) {
    EXPECT_EQ(view->answer_type(i), rows[i].type) << i;
  }
}

}  // namespace
}  // namespace merlon::snapshot
