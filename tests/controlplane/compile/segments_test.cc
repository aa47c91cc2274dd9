// SPDX-License-Identifier: Apache-2.0
// Which segments a compile makes, which change with what, and what a server answers from them.
#include <gmock/gmock.h>

#include "tests/controlplane/compile/compiled.h"
#include "zones/answer/answer.h"

namespace merlon::compile {
namespace {

using snapshot::SegmentKind;
using testing::HasSubstr;

Input input_of(std::vector<ListInput> lists, std::vector<store::Device> devices = {}) {
  return {.lists = std::move(lists), .devices = std::move(devices)};
}

Compiled compiled_of(const Input& input, const Serials& serials = {.next = 100}) {
  auto compiled = compile(input, settings(), serials);
  EXPECT_TRUE(compiled.has_value()) << (compiled ? "" : compiled.error().message);
  return compiled.value_or(Compiled{});
}

std::vector<std::string> hashes_of(const Compiled& compiled) {
  std::vector<std::string> hashes;
  for (const CompiledSegment& segment : compiled.segments) {
    hashes.push_back(segment.listed.hash.to_text());
  }
  return hashes;
}

size_t count_new(const Compiled& before, const Compiled& after, SegmentKind kind) {
  const auto known = hashes_of(before);
  return static_cast<size_t>(std::ranges::count_if(after.segments, [&](const auto& segment) {
    return segment.listed.kind == kind &&
           std::ranges::find(known, segment.listed.hash.to_text()) == known.end();
  }));
}

Serials after(const Compiled& compiled, uint32_t next) {
  return {.before = compiled.memory, .next = next};
}

const Input kInput = input_of({list("a", ips({"20.0.0.0/24"})), list("b", ips({"21.0.0.1"}))},
                              {device(1, {"20.1.1.1", "2600:1::/48"}), device(2, {"20.1.1.2"})});

TEST(Compile, SameInputGivesSameBytes) {
  const Compiled one = compiled_of(kInput);
  const Compiled two = compiled_of(kInput);
  ASSERT_EQ(one.segments.size(), two.segments.size());
  for (size_t i = 0; i < one.segments.size(); ++i) {
    EXPECT_TRUE(std::ranges::equal(one.segments[i].content(), two.segments[i].content()));
  }
}

TEST(Compile, UnchangedInputKeepsSerialAndZone) {
  const Compiled first = compiled_of(kInput);
  EXPECT_EQ(first.memory.serial, 100u);
  EXPECT_EQ(Loaded(first).serial(), 100u);
  const Compiled second = compiled_of(kInput, after(first, 200));
  EXPECT_EQ(second.memory.serial, 100u);
  EXPECT_EQ(hashes_of(second), hashes_of(first));
}

TEST(Compile, ChangedListRewritesItsBodiesAndTheZoneWithAHigherSerial) {
  const Compiled first = compiled_of(kInput);
  Input changed = kInput;
  changed.lists[1] = list("b", ips({"21.0.0.2"}));
  const Compiled second = compiled_of(changed, after(first, 200));
  EXPECT_EQ(Loaded(second).serial(), 200u);
  EXPECT_EQ(second.memory.serial, 200u);
  EXPECT_EQ(count_new(first, second, SegmentKind::bodies), 1u);
  EXPECT_EQ(count_new(first, second, SegmentKind::zone), 1u);
  EXPECT_EQ(count_new(first, second, SegmentKind::access), 0u);
}

TEST(Compile, ChangedDeviceRewritesTheAccessSegmentOnly) {
  const Compiled first = compiled_of(kInput);
  Input changed = kInput;
  changed.devices[0].sources[0] = address::parse_prefix("20.1.1.9").value();
  const Compiled second = compiled_of(changed, after(first, 200));
  EXPECT_EQ(count_new(first, second, SegmentKind::bodies), 0u);
  EXPECT_EQ(count_new(first, second, SegmentKind::zone), 0u);
  EXPECT_EQ(count_new(first, second, SegmentKind::access), 1u);
}

TEST(Compile, EqualListsShareOneSegment) {
  const Compiled compiled =
      compiled_of(input_of({list("a", ips({"20.0.0.1"})), list("b", ips({"20.0.0.1"}))}));
  EXPECT_EQ(compiled.segments.size(), 3u);
  const Loaded loaded(compiled);
  EXPECT_EQ(loaded.records("a.merlon.internal.", wire::type::a),
            loaded.records("b.merlon.internal.", wire::type::a));
  EXPECT_EQ(loaded.records("a.merlon.internal.", wire::type::a).size(), 2u);
}

TEST(Compile, NoListsAndNoDevicesStillMakeAZoneThatDenies) {
  const Compiled compiled = compiled_of({});
  EXPECT_EQ(compiled.name_count, 0u);
  const Loaded loaded(compiled);
  EXPECT_EQ(loaded.records("merlon.internal.", wire::type::soa).size(), 1u);
  EXPECT_EQ(loaded.records("merlon.internal.", wire::type::ns).size(), 1u);
  EXPECT_EQ(loaded.zone().negative().authority_count, 1u);
  EXPECT_EQ(loaded.snapshot->access()->view.subjects().size(), 0u);
}

TEST(Compile, TiersBecomeMasks) {
  const struct {
    store::Tier tier;
    uint32_t node, subject;
  } rows[] = {{store::Tier::community, 1, 1},
              {store::Tier::basic, 2, 3},
              {store::Tier::advanced, 4, 7},
              {store::Tier::operator_, 8, 15}};
  for (const auto& row : rows) {
    ListInput made = list("x", ips({"20.0.0.1"}));
    made.tier_mask = 1u << static_cast<unsigned>(row.tier);
    const Loaded loaded(compiled_of(input_of({made}, {device(3, {"20.1.1.1"}, row.tier)})));
    ASSERT_NE(loaded.node("x.merlon.internal."), nullptr);
    EXPECT_EQ(loaded.node("x.merlon.internal.")->tier_mask, row.node);
    EXPECT_EQ(loaded.snapshot->subject(0).tier_mask, row.subject);
  }
}

TEST(Compile, DevicesBecomeAccess) {
  const Loaded loaded(compiled_of(kInput));
  const snapshot::AccessView& access = loaded.snapshot->access()->view;
  const auto find = [&](const char* text) {
    const uint32_t index = access.find(address::parse_address(text).value());
    return index == snapshot::kNoSubject ? 0u : loaded.snapshot->subject(index).device;
  };
  EXPECT_EQ(find("20.1.1.1"), 1u);
  EXPECT_EQ(find("20.1.1.2"), 2u);
  EXPECT_EQ(find("2600:1::77"), 1u);
  EXPECT_EQ(find("20.1.1.3"), 0u);
  EXPECT_EQ(loaded.snapshot->subject(0).account, 7u);
  EXPECT_EQ(loaded.snapshot->subject(0).verb, snapshot::Verb::pass);
}

TEST(Compile, OneSourceOfTwoDevicesIsAConflict) {
  const auto compiled =
      compile(input_of({}, {device(1, {"20.1.1.0/24"}), device(2, {"20.1.1.0/24"})}), settings(),
              {.next = 1});
  ASSERT_FALSE(compiled.has_value());
  EXPECT_EQ(compiled.error().code, ErrorCode::conflict);
  EXPECT_THAT(compiled.error().message, HasSubstr("20.1.1.0/24"));
  // A prefix inside another one is no conflict: the longer one wins.
  EXPECT_TRUE(compile(input_of({}, {device(1, {"20.1.1.0/24"}), device(2, {"20.1.1.1"})}),
                      settings(), {.next = 1})
                  .has_value());
}

std::vector<uint8_t> query_for(const std::string& name, uint16_t type) {
  std::vector<uint8_t> message(12 + 255 + 4);
  wire::Writer writer(message);
  for (const uint16_t field : std::to_array<uint16_t>({0x1234, 0, 1, 0, 0, 0})) {
    writer.u16(field);
  }
  writer.name(name::Name::from_text(name).value());
  writer.u16(type);
  writer.u16(wire::kClassIn);
  message.resize(writer.size());
  return message;
}

TEST(Compile, AnswersAFullNameOverTcpInOneMessage) {
  const Loaded loaded(
      compiled_of(input_of({list("x", ips({"20.0.0.0-20.0.15.158"}))}, {device(1, {"20.1.1.1"})})));
  const auto query = query_for("x.MERLON.internal.", wire::type::a);
  std::vector<uint8_t> room(65535);
  std::ranges::copy(query, room.begin());
  answer::Query parsed;
  const answer::Limits limits{.transport = answer::Transport::tcp};
  answer::Reply reply =
      answer::answer(*loaded.snapshot, query, &loaded.snapshot->subject(0), limits, parsed);
  EXPECT_EQ(answer::to_string(reply.outcome), "answered");
  const size_t size = answer::compose(parsed, reply, limits, room, query.size());
  EXPECT_EQ(size, query.size() + 4000 * 16);
  wire::Reader reader(Bytes(room).first(size));
  reader.skip(4);
  reader.skip(2);
  EXPECT_EQ(reader.u16(), 4000);
  reader.skip(4);
  EXPECT_EQ(reader.name(), name::Name::from_text("x.merlon.internal.").value());
  reader.skip(4);
  for (int i = 0; i < 4000; ++i) {
    EXPECT_EQ(reader.name(), name::Name::from_text("x.merlon.internal.").value());
    reader.skip(8);
    EXPECT_EQ(reader.bytes(reader.u16()).size(), 4u);
  }
  EXPECT_TRUE(reader.ok());
  EXPECT_EQ(reader.remaining(), 0u);
}

TEST(Compile, LongSuffixesWorkToTheLastByteAndFailWithAReason) {
  const std::string label(62, 's');
  // A suffix of 252 bytes in wire form leaves room for a label of two bytes and no more.
  const std::string longest = label + "." + label + "." + label + "." + std::string(61, 't') + ".";
  const struct {
    std::string suffix, name;
    bool good;
  } rows[] = {
      {"a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t.u.v.w.x.y.z.", "basic", true},
      {std::string("S.").append("L.").append("internal."), "basic", true},
      {label + "." + label + "." + label + "." + std::string(51, 't') + ".", "ab", true},
      {longest, "x", false},  // even ns1 does not fit
      {"merlon.internal.", std::string(63, 'l'), true},
      {"merlon.internal.", std::string(64, 'l'), false},
  };
  for (const auto& row : rows) {
    const auto compiled =
        compile(input_of({list(row.name, ips({"20.0.0.1"}))}), settings(row.suffix), {.next = 1});
    EXPECT_EQ(compiled.has_value(), row.good) << row.suffix << " " << row.name;
    if (compiled) {
      EXPECT_EQ(Loaded(*compiled).records(row.name + "." + row.suffix, wire::type::a).size(), 2u);
    } else {
      EXPECT_EQ(compiled.error().code, ErrorCode::invalid_argument);
      EXPECT_NE(compiled.error().message, "");
    }
  }
}

// The first name fits, its continuation does not: an error, not a list that lacks its end.
TEST(Compile, AListWhoseContinuationHasNoNameFails) {
  const auto compiled = compile(input_of({list(std::string(63, 'l'), ips({"20.0.0.0/19"}))}),
                                settings(), {.next = 1});
  ASSERT_FALSE(compiled.has_value());
  EXPECT_THAT(compiled.error().message, HasSubstr("list lll"));
}

}  // namespace
}  // namespace merlon::compile
