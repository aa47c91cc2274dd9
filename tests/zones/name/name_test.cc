// SPDX-License-Identifier: Apache-2.0
#include "zones/name/name.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "tests/support/seed.h"

namespace merlon::name {
namespace {

using namespace std::string_view_literals;

Name named(std::string_view text) {
  const auto name = Name::from_text(text);
  EXPECT_TRUE(name) << text << ": " << (name ? "" : name.error().message);
  return name.value_or(Name());
}

std::string repeated(std::string_view text, size_t times) {
  std::string all;
  for (size_t i = 0; i < times; ++i) {
    all += text;
  }
  return all;
}

std::string reason(const Result<Name>& name) {
  return name ? "accepted" : name.error().message;
}

TEST(NameText, RootAndFinalDot) {
  EXPECT_TRUE(Name().is_root());
  EXPECT_EQ(named("."), Name());
  EXPECT_EQ(Name().to_text(), ".");
  EXPECT_EQ(named("a.example").to_text(), "a.example.");
  EXPECT_EQ(named("a.example."), named("a.example"));
  EXPECT_EQ(as_text(named("a.bc").wire()), "\1a\2bc\0"sv);
}

TEST(NameText, EscapesAreReadAndWritten) {
  struct Row {
    std::string_view text;
    std::string_view wire;
    std::string_view canonical;
  };
  constexpr auto kTable = std::to_array<Row>({
      {"a\\.b.c", "\3a.b\1c\0"sv, "a\\.b.c."},
      {"\\097.c", "\1a\1c\0"sv, "a.c."},
      {"\\000.c", "\1\0\1c\0"sv, "\\000.c."},
      {"\\255.c", "\1\377\1c\0"sv, "\\255.c."},
      {"\\\\.c", "\1\\\1c\0"sv, "\\\\.c."},
      {"\\a.c", "\1a\1c\0"sv, "a.c."},
      {"a b.c", "\3a b\1c\0"sv, "a\\032b.c."},
      {"\\\".c", "\1\"\1c\0"sv, "\\\".c."},
      {"\\046.c", "\1.\1c\0"sv, "\\..c."},
      {"\\.", "\1.\0"sv, "\\.."},
      {"\\127.c", "\1\177\1c\0"sv, "\\127.c."},
      {"\xc3\xa4.c", "\2\303\244\1c\0"sv, "\\195\\164.c."},
      {"*._Tcp.C", "\1*\4_Tcp\1C\0"sv, "*._Tcp.C."},
      {"0/25.2.0.192.in-addr.arpa", "\0040/25\0012\0010\003192\7in-addr\4arpa\0"sv,
       "0/25.2.0.192.in-addr.arpa."},
  });
  for (const Row& row : kTable) {
    const Name name = named(row.text);
    EXPECT_EQ(as_text(name.wire()), row.wire) << row.text;
    EXPECT_EQ(name.to_text(), row.canonical) << row.text;
    EXPECT_EQ(as_text(named(row.canonical).wire()), row.wire) << row.canonical;
  }
}

TEST(NameText, MalformedTextIsRefusedWithTheReason) {
  struct Row {
    std::string_view text;
    std::string_view reason;
  };
  constexpr auto kTable = std::to_array<Row>({
      {"", "empty name"},
      {"..", "empty label"},
      {".a", "empty label"},
      {"a..b", "empty label"},
      {"a..", "empty label"},
      {"a\\", "name ends inside an escape"},
      {"\\", "name ends inside an escape"},
      {"\\1", "escape \\DDD needs three digits"},
      {"\\12", "escape \\DDD needs three digits"},
      {"\\12a", "escape \\DDD needs three digits"},
      {"\\1.2", "escape \\DDD needs three digits"},
      {"\\256", "escape \\256 is above 255"},
      {"\\999.c", "escape \\999 is above 255"},
  });
  for (const Row& row : kTable) {
    EXPECT_EQ(reason(Name::from_text(row.text)), row.reason) << row.text;
  }
}

TEST(NameText, LabelHoldsSixtyThreeBytes) {
  EXPECT_EQ(named(std::string(63, 'a')).size(), 65U);
  EXPECT_EQ(named(repeated("\\200", 63)).size(), 65U);
  EXPECT_EQ(reason(Name::from_text(std::string(64, 'a'))), "label longer than 63 bytes");
  EXPECT_EQ(reason(Name::from_text("a." + repeated("\\200", 64))), "label longer than 63 bytes");
}

TEST(NameText, NameHoldsTwoHundredFiftyFiveBytes) {
  const std::string label63 = std::string(63, 'x') + ".";
  const std::string three = label63 + label63 + label63;
  for (const char* end : {"", "."}) {
    const Name longest = named(three + std::string(61, 'y') + end);
    EXPECT_EQ(longest.size(), kWireSizeMax);
    EXPECT_EQ(Name::from_wire(longest.wire()).value(), longest);
    EXPECT_EQ(reason(Name::from_text(three + std::string(62, 'y') + end)),
              "name longer than 255 bytes");
    EXPECT_EQ(reason(Name::from_text(three + std::string(59, 'y') + ".zz" + end)),
              "name longer than 255 bytes");
    EXPECT_EQ(named(three + std::string(59, 'y') + ".z" + end).size(), kWireSizeMax);
  }
  EXPECT_FALSE(Name::from_text(three + label63));
}

TEST(NameText, NameHoldsOneHundredTwentySevenLabels) {
  const Name most = named(repeated("a.", 127));
  EXPECT_EQ(most.size(), kWireSizeMax);
  EXPECT_EQ(most.label_count(), kLabelCountMax);
  EXPECT_EQ(named(most.to_text()), most);
  EXPECT_FALSE(Name::from_text(repeated("a.", 128)));
  EXPECT_FALSE(Name::from_text(repeated("a.", 127) + "b"));
  EXPECT_EQ(Name().label_count(), 0U);
  EXPECT_EQ(named("a.b.c").label_count(), 3U);
}

TEST(NameWire, MalformedWireIsRefused) {
  struct Row {
    std::string_view wire;
    std::string_view reason;
  };
  constexpr auto kTable = std::to_array<Row>({
      {""sv, "wire name of 0 bytes"},
      {"\1"sv, "name runs past its end at byte 0"},
      {"\1a"sv, "name runs past its end at byte 0"},
      {"\2a\0"sv, "name runs past its end at byte 0"},
      {"\1a\1"sv, "name runs past its end at byte 2"},
      {"\1a\77bc\0"sv, "name runs past its end at byte 2"},
      {"\0\0"sv, "1 bytes after the root label"},
      {"\1a\0\1b\0"sv, "3 bytes after the root label"},
      {"\100a\0"sv, "label length 64 at byte 0"},
      {"\300\014"sv, "label length 192 at byte 0"},
      {"\1a\300\0"sv, "label length 192 at byte 2"},
      {"\377"sv, "label length 255 at byte 0"},
  });
  for (const Row& row : kTable) {
    EXPECT_EQ(reason(Name::from_wire(as_bytes(row.wire))), row.reason);
  }
  const std::string too_long = repeated("\1a", 127) + std::string("\1b\0", 3);
  EXPECT_EQ(reason(Name::from_wire(as_bytes(too_long))), "wire name of 257 bytes");
  EXPECT_EQ(reason(Name::from_wire(as_bytes("\0"sv))), "accepted");
}

TEST(NameWire, RandomNamesComeBackFromTextAndWire) {
  std::mt19937_64 random(test::seed_for("NameWire"));
  for (int i = 0; i < 5000; ++i) {
    std::vector<uint8_t> wire;
    while (random() % 5 != 0) {
      const size_t size = 1 + random() % kLabelSizeMax;
      if (wire.size() + size + 2 > kWireSizeMax) {
        break;
      }
      wire.push_back(static_cast<uint8_t>(size));
      for (size_t k = 0; k < size; ++k) {
        wire.push_back(static_cast<uint8_t>(random()));
      }
    }
    wire.push_back(0);
    const auto name = Name::from_wire(wire);
    ASSERT_TRUE(name);
    const auto again = Name::from_text(name->to_text());
    ASSERT_TRUE(again) << name->to_text();
    ASSERT_TRUE(std::ranges::equal(again->wire(), wire)) << name->to_text();
  }
}

TEST(NameOrder, FollowsTheExampleOfRfc4034Section61) {
  const std::vector<Name> ordered = {
      named("example."),         named("a.example."),      named("yljkjljk.a.example."),
      named("Z.a.example."),     named("zABC.a.EXAMPLE."), named("z.example."),
      named("\\001.z.example."), named("*.z.example."),    named("\\200.z.example."),
  };
  for (size_t i = 0; i < ordered.size(); ++i) {
    for (size_t k = 0; k < ordered.size(); ++k) {
      EXPECT_EQ(ordered[i] <=> ordered[k], i <=> k)
          << ordered[i].to_text() << " " << ordered[k].to_text();
      EXPECT_EQ(ordered[i] == ordered[k], i == k);
    }
  }
  std::vector<Name> shuffled = ordered;
  std::mt19937_64 random(test::seed_for("NameOrder"));
  std::shuffle(shuffled.begin(), shuffled.end(), random);
  std::sort(shuffled.begin(), shuffled.end());
  EXPECT_EQ(shuffled, ordered);
}

TEST(NameOrder, RootIsFirstAndAShorterLabelComesBeforeALongerOne) {
  EXPECT_LT(Name(), named("a"));
  EXPECT_LT(named("a.b"), named("aa.b"));
  EXPECT_LT(named("zz.a"), named("b"));
  // Bytes compare unsigned, and a dot inside a label is a byte, not an end of label: the top
  // label "a.b" comes before the top label "b".
  EXPECT_LT(named("a.b"), named("\\128.b"));
  EXPECT_LT(named("a\\.b"), named("a.b"));
}

TEST(NameFolding, TouchesOnlyAsciiLetters) {
  const Name name = named("AZaz09-_\\@\\[\\192\\218.ExAmPlE");
  EXPECT_EQ(name.folded().to_text(), "azaz09-_\\@\\[\\192\\218.example.");
  EXPECT_EQ(name, name.folded());
  EXPECT_EQ(name <=> name.folded(), std::strong_ordering::equal);
  EXPECT_EQ(name.to_text().substr(0, 4), "AZaz");
  EXPECT_FALSE(named("\\192.a") == named("\\224.a"));  // Latin-1 letters do not fold
  EXPECT_FALSE(named("\\@.a") == named("`.a"));
  EXPECT_FALSE(named("\\[.a") == named("{.a"));
}

TEST(NameFolding, LengthBytesAreNeverFolded) {
  // Labels of 65 and more do not exist, so no length byte is in A-Z: the longest one is 63 ('?').
  const Name name = named(std::string(63, 'A') + "." + std::string(63, 'B'));
  EXPECT_EQ(name.folded().wire()[0], 63);
  EXPECT_EQ(name.folded().wire()[64], 63);
}

TEST(NameTree, IsAtOrBelowRespectsLabelBoundaries) {
  const Name apex = named("Example.COM");
  EXPECT_TRUE(apex.is_at_or_below(apex));
  EXPECT_TRUE(named("www.example.com").is_at_or_below(apex));
  EXPECT_TRUE(named("a.b.c.EXAMPLE.com").is_at_or_below(apex));
  EXPECT_TRUE(apex.is_at_or_below(Name()));
  EXPECT_TRUE(Name().is_at_or_below(Name()));
  EXPECT_FALSE(named("com").is_at_or_below(apex));
  EXPECT_FALSE(Name().is_at_or_below(apex));
  EXPECT_FALSE(named("badexample.com").is_at_or_below(apex));
  EXPECT_FALSE(named("bad\\.example.com").is_at_or_below(apex));
  // The bytes of the apex stand at the end of the name, but inside of a label.
  EXPECT_FALSE(named("x\\007example\\003com").is_at_or_below(apex));
  EXPECT_FALSE(named("example.com.net").is_at_or_below(apex));
}

TEST(NameTree, ParentAndChildAreInverse) {
  const Name name = named("a.b.c");
  EXPECT_EQ(name.parent(), named("b.c"));
  EXPECT_EQ(name.parent().parent().parent(), Name());
  EXPECT_EQ(named("b.c").child("a").value(), name);
  EXPECT_EQ(Name().child("com").value(), named("com"));
  EXPECT_EQ(named("c").child("a.b").value(), named("a\\.b.c"));
  EXPECT_EQ(named("c").child("\0"sv).value(), named("\\000.c"));
}

TEST(NameTree, ChildRefusesWhatWouldNotFit) {
  const Name base = named("c");
  EXPECT_EQ(reason(base.child("")), "label of 0 bytes");
  EXPECT_EQ(reason(base.child(std::string(63, 'a'))), "accepted");
  EXPECT_EQ(reason(base.child(std::string(64, 'a'))), "label of 64 bytes");
  const std::string label63 = std::string(63, 'x') + ".";
  const Name nearly = named(label63 + label63 + label63 + std::string(59, 'y'));  // 253 bytes
  EXPECT_EQ(nearly.child("z").value().size(), kWireSizeMax);
  EXPECT_EQ(reason(nearly.child("zz")), "name longer than 255 bytes");
}

TEST(NameTreeDeathTest, RootHasNoParent) {
  EXPECT_DEATH(static_cast<void>(Name().parent()), "is_root");
}

TEST(HostName, FaultsAreNamed) {
  struct Row {
    std::string text;
    std::string_view fault;
  };
  const std::string label63(63, 'a');
  const std::string name253 = label63 + "." + label63 + "." + label63 + "." + std::string(61, 'b');
  const std::vector<Row> table = {
      {"example.com", ""},
      {"example.com.", ""},
      {"EXAMPLE.Com", ""},
      {"_dmarc.example.com", ""},
      {"a_b.example.com", ""},
      {"xn--bcher-kva.example", ""},
      {"1.example", ""},
      {"1.2.3.a4", ""},
      {"3com.com", ""},
      {label63 + ".com", ""},
      {name253, ""},
      {name253 + ".", ""},
      {"", "empty name"},
      {".", "empty name"},
      {"..", "empty label"},
      {".example.com", "empty label"},
      {"a..com", "empty label"},
      {"a.com..", "empty label"},
      {"localhost", "single label"},
      {"localhost.", "single label"},
      {"-a.com", "label that starts or ends with a hyphen"},
      {"a-.com", "label that starts or ends with a hyphen"},
      {"a.-.com", "label that starts or ends with a hyphen"},
      {"a.com-", "label that starts or ends with a hyphen"},
      {"1.2.3.4", "top label of digits only"},
      {"109.230.155.061", "top label of digits only"},
      {"example.123", "top label of digits only"},
      {label63 + "a.com", "label longer than 63 characters"},
      {name253 + "b", "name longer than 253 characters"},
      {"*.example.com", "character that no host name has"},
      {"a b.com", "character that no host name has"},
      {"a\\.b.com", "character that no host name has"},
      {"b\xc3\xbc"
       "cher.example",
       "character that no host name has"},
      {std::string("a\0.com", 6), "character that no host name has"},
      {"http://example.com", "character that no host name has"},
      {"example.com:53", "character that no host name has"},
      {"user@example.com", "character that no host name has"},
  };
  for (const Row& row : table) {
    EXPECT_EQ(host_name_fault(row.text), row.fault) << row.text;
  }
}

TEST(HostName, WhatHasNoFaultIsAName) {
  for (const char* text : {"example.com", "_dmarc.example.com.", "1.2.3.a4"}) {
    ASSERT_EQ(host_name_fault(text), "");
    EXPECT_TRUE(Name::from_text(text)) << text;
  }
}

TEST(Fold, EightBytesAtOnceEqualOneAtATime) {
  for (unsigned c = 0; c < 256; ++c) {
    for (unsigned place = 0; place < 8; ++place) {
      for (const uint64_t others : {uint64_t{0}, ~uint64_t{0}, uint64_t{0x5a41405b61607a7b}}) {
        std::array<uint8_t, 8> in;
        std::memcpy(in.data(), &others, sizeof others);
        in[place] = static_cast<uint8_t>(c);
        std::array<uint8_t, 8> expected;
        std::transform(in.begin(), in.end(), expected.begin(), fold);
        uint64_t word = 0;
        std::memcpy(&word, in.data(), sizeof word);
        word = fold_word(word);
        EXPECT_EQ(std::memcmp(&word, expected.data(), sizeof word), 0) << c << " at " << place;
      }
    }
  }
}

TEST(Fold, BytesOfEverySizeStayInside) {
  std::array<uint8_t, 256> in;
  for (size_t i = 0; i < in.size(); ++i) {
    in[i] = static_cast<uint8_t>(i * 37 + 11);
  }
  for (size_t size = 0; size <= kWireSizeMax; ++size) {
    // In memory of exactly this size, so that a sanitizer sees a step outside.
    const std::vector<uint8_t> from(in.begin(), in.begin() + static_cast<std::ptrdiff_t>(size));
    std::vector<uint8_t> to(size);
    fold_bytes(from.data(), size, to.data());
    for (size_t i = 0; i < size; ++i) {
      ASSERT_EQ(to[i], fold(from[i])) << "byte " << i << " of " << size;
    }
  }
}

}  // namespace
}  // namespace merlon::name
