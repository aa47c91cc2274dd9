// SPDX-License-Identifier: Apache-2.0
// The shapes of RFC 1034, 4592, 6672, 4035 and 5155 one by one, in zones written for them. What is
// expected of the unsigned ones is what NSD 4.6 answers with minimal-responses, but for the
// addresses of a delegation's servers that a wildcard gives, which are not looked for.
#include "zones/answer/resolve.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/support/denial_check.h"
#include "tests/support/text_zone.h"
#include "tests/support/zone_model.h"
#include "zones/wire/wire.h"

namespace merlon::answer {
namespace {

using tests::ParsedMessage;
using tests::Signing;
using tests::TextSnapshot;
using tests::TextZone;
using tests::ZoneRecord;
using Lines = std::vector<std::string>;

constexpr std::string_view kSoa =
    "@ SOA ns.example.test. hostmaster.example.test. 1 3600 600 86400 60\n";
constexpr std::string_view kZone = R"(
@ NS ns
ns A 192.0.2.1
a A 192.0.2.2
a TXT "x"
c CNAME a
c2 CNAME c
cout CNAME www.example.org.
cx CNAME nothere
loop1 CNAME loop2
loop2 CNAME loop1
self CNAME self
cother CNAME www.other.test.
cmiss CNAME missing.other.test.
Mixed CNAME A.Example.Test.
*.w A 192.0.2.9
*.w TXT "w"
sub.foo.w A 192.0.2.8
*.wc CNAME a
*.wl CNAME x.wl
*.went.sub TXT "below a wildcard-like name"
wy CNAME y.w
x.ent A 192.0.2.3
d DNAME t
d A 192.0.2.4
z.t A 192.0.2.5
q2.t CNAME z.d
ctwo CNAME q2.d
dloop DNAME x.dloop
cut NS ns.cut
cut NS ns.example.org.
cut NS ns2.x.cut
cut NS a
ns.cut A 192.0.2.6
ns.cut AAAA 2001:db8::6
ns2.x.cut A 192.0.2.16
other.cut TXT "occluded"
ccut CNAME www.cut
safe NS ns.elsewhere.
safe DS 1 13 2 0000000000000000000000000000000000000000000000000000000000000001
child NS ns.child
ns.child A 192.0.2.20
cchild CNAME www.child
)";

TextZone example(Signing signing = Signing::none) {
  std::string text = std::string(kSoa) + std::string(kZone);
  const std::string label(50, 'a');
  text += fmt::format("long DNAME {0}.{0}.{0}.{0}\n", label);
  text += fmt::format("clong CNAME {0}.long\n", label);
  return {.apex = "example.test.", .text = text, .signing = signing};
}

TextZone child(Signing signing = Signing::none) {
  return {.apex = "child.example.test.",
          .text =
              "@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 192.0.2.20\n"
              "www A 192.0.2.21\n",
          .signing = signing};
}

TextZone other(Signing signing = Signing::none) {
  return {.apex = "other.test.",
          .text =
              "@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 192.0.2.30\n"
              "www A 192.0.2.31\n",
          .signing = signing};
}

struct Asked {
  Outcome outcome = Outcome::count_;
  size_t size = 0;
  ParsedMessage message;
};

struct Question {
  std::string name;  // absolute, or relative to example.test.
  std::string type = "A";
  bool dnssec = false;
  std::string source = "10.0.0.1";
  Transport transport = Transport::tcp;
  uint16_t payload = 1232;
};

Asked ask(const TextSnapshot& snapshot, const Question& question) {
  std::vector<uint8_t> scratch(wire::kMessageSizeMax);
  std::vector<uint8_t> buffer(wire::kMessageSizeMax);
  const std::string name = question.name.ends_with('.') ? question.name
                           : question.name == "@"       ? "example.test."
                                                        : question.name + ".example.test.";
  const auto bytes = tests::make_query({.name = name,
                                        .type = tests::type_of(question.type),
                                        .edns = true,
                                        .payload = question.payload,
                                        .dnssec_ok = question.dnssec});
  const Limits limits{.transport = question.transport};
  Query query;
  Reply reply =
      answer(*snapshot.snapshot, bytes, snapshot.subject(question.source), limits, query, scratch);
  std::ranges::copy(bytes, buffer.begin());
  Asked asked;
  asked.size = compose(query, reply, limits, buffer, bytes.size());
  asked.outcome = reply.outcome;
  asked.message = tests::parse_message(Bytes(buffer).first(asked.size));
  return asked;
}

// "x.example.test." becomes "x", the apex "@".
std::string shortened(std::string text) {
  for (const auto& [from, to] : {std::pair{".example.test.", ""}, {"example.test.", "@"}}) {
    for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at)) {
      text.replace(at, std::string_view(from).size(), to);
    }
  }
  return text;
}

Lines lines(const std::vector<ZoneRecord>& records) {
  Lines all;
  for (const ZoneRecord& record : records) {
    const std::string text = shortened(tests::to_text(record));
    const bool is_soa = record.type == wire::type::soa;
    all.push_back(is_soa ? text.substr(0, text.find(" SOA") + 4) : text);
  }
  std::ranges::sort(all);
  return all;
}

Lines sorted(Lines all) {
  std::ranges::sort(all);
  return all;
}

size_t count_type(const std::vector<ZoneRecord>& records, std::string_view type) {
  return static_cast<size_t>(std::ranges::count(records, tests::type_of(type), &ZoneRecord::type));
}

struct Row {
  Question question;
  Outcome outcome;
  Lines answer;
  Lines authority;
  bool authoritative = true;
  Lines additional{};
};

void check(const TextSnapshot& snapshot, const Row& row) {
  SCOPED_TRACE(row.question.name + " " + row.question.type);
  const Asked asked = ask(snapshot, row.question);
  EXPECT_EQ(to_string(asked.outcome), to_string(row.outcome));
  EXPECT_EQ(asked.message.rcode(), rcode_of(row.outcome));
  EXPECT_EQ(asked.message.authoritative(), row.authoritative);
  EXPECT_EQ(lines(asked.message.answer), sorted(row.answer));
  EXPECT_EQ(lines(asked.message.authority), sorted(row.authority));
  EXPECT_EQ(lines(asked.message.additional), sorted(row.additional));
}

const TextSnapshot& unsigned_zones() {
  static const TextSnapshot made = tests::make_text_snapshot({example(), child(), other()});
  return made;
}

TEST(Resolve, FollowsAliases) {
  using enum Outcome;
  const Lines soa = {"@ SOA"};
  for (const Row& row : std::initializer_list<Row>{
           {{"c"}, answered, {"c CNAME a", "a A 192.0.2.2"}, {}},
           {{"c2"}, answered, {"c2 CNAME c", "c CNAME a", "a A 192.0.2.2"}, {}},
           {{"c2", "CNAME"}, answered, {"c2 CNAME c"}, {}},
           {{"c", "ANY"}, answered, {"c CNAME a"}, {}},
           {{"c", "MX"}, nodata, {"c CNAME a"}, soa},
           {{"c", "DS"}, nodata, {"c CNAME a"}, soa},
           {{"c", "RRSIG"}, nodata, {"c CNAME a"}, soa},
           {{"mixed"}, answered, {"mixed CNAME A.Example.Test.", "a A 192.0.2.2"}, {}},
           {{"cout"}, answered, {"cout CNAME www.example.org."}, {}},
           {{"cx"}, nxdomain, {"cx CNAME nothere"}, soa},
           {{"cother"},
            answered,
            {"cother CNAME www.other.test.", "www.other.test. A 192.0.2.31"},
            {}},
           {{"cmiss"}, nxdomain, {"cmiss CNAME missing.other.test."}, {"other.test. SOA"}},
           {{"cchild"}, answered, {"cchild CNAME www.child", "www.child A 192.0.2.21"}, {}},
           {{"loop1"}, answered, {"loop1 CNAME loop2", "loop2 CNAME loop1"}, {}},
           {{"self"}, answered, {"self CNAME self"}, {}}}) {
    check(unsigned_zones(), row);
  }
}

TEST(Resolve, ExpandsWildcards) {
  using enum Outcome;
  const Lines soa = {"@ SOA"};
  for (const Row& row :
       std::initializer_list<Row>{{{"x.w"}, answered, {"x.w A 192.0.2.9"}, {}},
                                  {{"deep.x.w"}, answered, {"deep.x.w A 192.0.2.9"}, {}},
                                  {{"x.w", "MX"}, nodata, {}, soa},
                                  {{"*.w"}, answered, {"*.w A 192.0.2.9"}, {}},
                                  {{"x.*.w"}, nxdomain, {}, soa},
                                  {{"foo.w"}, nodata, {}, soa},  // an empty non-terminal blocks it
                                  {{"y.foo.w"}, nxdomain, {}, soa},  // and what is below it
                                  {{"x.wc"}, answered, {"x.wc CNAME a", "a A 192.0.2.2"}, {}},
                                  {{"q.wl"}, answered, {"q.wl CNAME x.wl", "x.wl CNAME x.wl"}, {}},
                                  {{"wy", "TXT"}, answered, {"wy CNAME y.w", "y.w TXT \"w\""}, {}},
                                  {{"x.went.sub"}, nodata, {}, soa},
                                  {{"ent"}, nodata, {}, soa},
                                  {{"q.ent"}, nxdomain, {}, soa}}) {
    check(unsigned_zones(), row);
  }
}

TEST(Resolve, RedirectsBelowDnames) {
  using enum Outcome;
  const Lines soa = {"@ SOA"};
  const std::string label(50, 'a');
  const std::string long_dname = fmt::format("long DNAME {0}.{0}.{0}.{0}", label);
  for (const Row& row : std::initializer_list<Row>{
           {{"d"}, answered, {"d A 192.0.2.4"}, {}},
           {{"d", "DNAME"}, answered, {"d DNAME t"}, {}},
           {{"d", "TXT"}, nodata, {}, soa},
           {{"z.d"}, answered, {"d DNAME t", "z.d CNAME z.t", "z.t A 192.0.2.5"}, {}},
           {{"z.d", "ANY"}, answered, {"d DNAME t", "z.d CNAME z.t", "z.t A 192.0.2.5"}, {}},
           {{"q.d"}, nxdomain, {"d DNAME t", "q.d CNAME q.t"}, soa},
           {{"q.d", "CNAME"}, answered, {"d DNAME t", "q.d CNAME q.t"}, {}},
           {{"ctwo"},
            answered,
            {"ctwo CNAME q2.d", "d DNAME t", "q2.d CNAME q2.t", "q2.t CNAME z.d", "z.d CNAME z.t",
             "z.t A 192.0.2.5"},
            {}},
           {{"x.dloop"}, answered, {"dloop DNAME x.dloop", "x.dloop CNAME x.x.dloop"}, {}},
           {{label + ".long"}, yxdomain, {long_dname}, {}},
           {{"clong"}, yxdomain, {"clong CNAME " + label + ".long", long_dname}, {}}}) {
    check(unsigned_zones(), row);
  }
}

TEST(Resolve, RefersToDelegations) {
  using enum Outcome;
  const Lines ns = {"cut NS ns.cut", "cut NS ns.example.org.", "cut NS ns2.x.cut", "cut NS a"};
  const Lines glue = {"ns.cut A 192.0.2.6", "ns.cut AAAA 2001:db8::6", "ns2.x.cut A 192.0.2.16",
                      "a A 192.0.2.2"};
  for (const auto& [name, type] : {std::pair{"cut", "A"},
                                   {"cut", "NS"},
                                   {"cut", "ANY"},
                                   {"cut", "RRSIG"},
                                   {"www.cut", "A"},
                                   {"ns.cut", "A"},
                                   {"x.cut", "A"},
                                   {"other.cut", "TXT"},
                                   {"deep.www.cut", "DS"}}) {
    check(unsigned_zones(), {{name, type}, referral, {}, ns, false, glue});
  }
  check(unsigned_zones(), {{"ccut"}, referral, {"ccut CNAME www.cut"}, ns, true, glue});
  check(unsigned_zones(), {{"cut", "DS"}, nodata, {}, {"@ SOA"}});
  check(unsigned_zones(), {{"safe"}, referral, {}, {"safe NS ns.elsewhere."}, false});
  check(unsigned_zones(),
        {{"safe", "DS"},
         answered,
         {"safe DS 1 13 2 0000000000000000000000000000000000000000000000000000000000000001"},
         {}});
}

TEST(Resolve, DsOfAChildIsTheParents) {
  check(unsigned_zones(), {{"child", "DS"}, Outcome::nodata, {}, {"@ SOA"}});
  check(unsigned_zones(), {{"child", "TXT"}, Outcome::nodata, {}, {"child SOA"}});
  check(unsigned_zones(), {{"@", "DS"}, Outcome::nodata, {}, {"@ SOA"}});
  // A parent that does not delegate to it says nothing about it.
  const TextSnapshot undelegated = tests::make_text_snapshot(
      {{.apex = "example.test.", .text = std::string(kSoa) + "@ NS ns.elsewhere.\n"}, child()});
  check(undelegated, {{"child", "DS"}, Outcome::nodata, {}, {"child SOA"}});
  // Nor is one that has data of its name, or has delegated a name between them.
  for (const std::string_view rest : {"child A 192.0.2.1\n", "x.child A 192.0.2.1\n"}) {
    const TextSnapshot beside = tests::make_text_snapshot(
        {{.apex = "example.test.", .text = std::string(kSoa) + "@ NS ns\n" + std::string(rest)},
         child()});
    check(beside, {{"child", "DS"}, Outcome::nodata, {}, {"child SOA"}});
  }
  const TextSnapshot between =
      tests::make_text_snapshot({{.apex = "test.",
                                  .text = std::string(kSoa) + "@ NS ns\nexample NS ns.elsewhere.\n"
                                                              "child.example NS ns.elsewhere.\n"},
                                 child()});
  check(between, {{"child", "DS"}, Outcome::nodata, {}, {"child SOA"}});
}

// A name that only the parent's file has, as glue, is not the child's.
TEST(Resolve, GlueOfTheParentIsNoNameOfTheChild) {
  const TextSnapshot made = tests::make_text_snapshot(
      {{.apex = "example.test.",
        .text = std::string(kSoa) + "@ NS ns\nchild NS glue.child\nglue.child A 192.0.2.1\n"},
       child()});
  check(made, {{"glue.child", "A"}, Outcome::nxdomain, {}, {"child SOA"}});
}

// What a subject may not see ends a chain as a foreign name does, and is refused when asked for.
TEST(Resolve, KeepsToWhatTheSubjectMaySee) {
  TextZone zone = example();
  zone.text +=
      "secret A 192.0.2.66\ncsecret CNAME secret\n*.hid A 192.0.2.67\n"
      "cacct CNAME www.acct\ncgone CNAME x.y.acct\nhcut NS a\n";
  zone.tiers = {{"secret", tests::kTierOperator},
                {"*.hid", tests::kTierOperator},
                {"hcut", tests::kTierOperator}};
  const TextZone account{.apex = "acct.example.test.",
                         .text = "@ SOA ns h 1 1 1 1 60\n@ NS ns\nwww A 192.0.2.80\n",
                         .account = 1};
  const TextSnapshot made = tests::make_text_snapshot({zone, account});
  using enum Outcome;
  const std::string basic = "192.0.2.1";
  const auto from_basic = [&](std::string name) {
    return Question{.name = std::move(name), .source = basic};
  };
  check(made, {from_basic("secret"), refused_not_ours, {}, {}, false});
  check(made, {from_basic("csecret"), answered, {"csecret CNAME secret"}, {}});
  check(made, {from_basic("x.hid"), refused_not_ours, {}, {}, false});
  check(made, {from_basic("x.hcut"), refused_not_ours, {}, {}, false});
  check(made, {from_basic("cacct"), answered, {"cacct CNAME www.acct"}, {}});
  check(made, {from_basic("cgone"), answered, {"cgone CNAME x.y.acct"}, {}});
  check(made, {{"csecret"}, answered, {"csecret CNAME secret", "secret A 192.0.2.66"}, {}});
  check(made, {{"cacct"}, answered, {"cacct CNAME www.acct", "www.acct A 192.0.2.80"}, {}});
  check(made, {{"acct", "DS"}, nodata, {}, {"acct SOA"}});
}

TEST(Resolve, OverUdpWhatDoesNotFitIsTruncated) {
  std::string text = std::string(kSoa) + "@ NS ns.elsewhere.\n";
  for (int i = 0; i < 40; ++i) {
    text += fmt::format("chain{} CNAME chain{}\n", i, i + 1);
    text += fmt::format("big NS n{0}.big\nn{0}.big A 192.0.2.{0}\n", i);
    if (i < 25) {
      text += fmt::format("side NS n{0}.beside\nn{0}.beside A 192.0.2.{0}\n", i);
    }
  }
  const TextSnapshot made = tests::make_text_snapshot(
      {{.apex = "example.test.", .text = text + "chain40 A 192.0.2.1\n"}});
  const auto ask_udp = [&](std::string name) {
    return ask(made, {.name = std::move(name), .transport = Transport::udp});
  };
  const Asked chain = ask_udp("chain0");
  EXPECT_EQ(to_string(chain.outcome), "truncated");
  EXPECT_TRUE(chain.message.truncated());
  EXPECT_TRUE(chain.message.answer.empty());
  EXPECT_EQ(to_string(ask_udp("chain30").outcome), "answered");
  EXPECT_EQ(ask(made, {.name = "chain0"}).message.answer.size(), 41u);
  // In-domain glue must be there, other addresses may be left out (RFC 9471).
  const Asked big = ask_udp("x.big");
  EXPECT_EQ(to_string(big.outcome), "truncated");
  EXPECT_FALSE(big.message.authoritative());
  EXPECT_EQ(ask(made, {.name = "x.big"}).message.additional.size(), 40u);
  const Asked side = ask_udp("x.side");
  EXPECT_EQ(to_string(side.outcome), "referral");
  EXPECT_EQ(side.message.authority.size(), 25u);
  EXPECT_LT(side.message.additional.size(), 25u);
  EXPECT_LE(side.size, 1232u);
}

TEST(Resolve, ChainsAreBounded) {
  std::string text = std::string(kSoa) + "@ NS ns.elsewhere.\n";
  for (size_t i = 0; i < 2 * kChainMax; ++i) {
    text += fmt::format("chain{} CNAME chain{}\n", i, i + 1);
  }
  const TextSnapshot made = tests::make_text_snapshot({{.apex = "example.test.", .text = text}});
  EXPECT_EQ(ask(made, {.name = "chain0"}).message.answer.size(), kChainMax);
}

// Answers larger than what a compression pointer reaches.
TEST(Resolve, OwnersBehindThePointersReachAreWrittenInFull) {
  std::string text = std::string(kSoa) + "@ NS ns.elsewhere.\n";
  for (int i = 0; i < 60; ++i) {
    text += fmt::format(
        "{0}{1} CNAME {0}{2}\n",
        std::string(60, 'y') + "." + std::string(60, 'x') + "." + std::string(60, 'w'), i, i + 1);
  }
  text += fmt::format("{0}60 A 192.0.2.1\n", std::string(60, 'y') + "." + std::string(60, 'x') +
                                                 "." + std::string(60, 'w'));
  for (int i = 0; i < 800; ++i) {
    text += fmt::format("big NS n{0}.big\nn{0}.big A 192.0.{1}.{2}\n", i, i / 256, i % 256);
  }
  const TextSnapshot made = tests::make_text_snapshot({{.apex = "example.test.", .text = text}});
  const Asked big = ask(made, {.name = "x.big"});
  EXPECT_EQ(big.message.authority.size(), 800u);
  EXPECT_EQ(big.message.additional.size(), 800u);
  std::map<std::string, int> owners;
  for (const ZoneRecord& record : big.message.additional) {
    ++owners[record.owner.to_text()];
  }
  EXPECT_EQ(owners.size(), 800u);
  const Asked chain = ask(made, {.name = std::string(60, 'y') + "." + std::string(60, 'x') + "." +
                                         std::string(60, 'w') + "0"});
  EXPECT_EQ(chain.message.answer.size(), 61u);
}

// ---- signed zones

struct SignedZones {
  TextSnapshot made;
  tests::ZoneModel model;
  std::map<name::Name, std::vector<ZoneRecord>> keys;

  explicit SignedZones(Signing signing) {
    const std::vector<TextZone> zones = {example(signing), child(signing), other(signing)};
    made = tests::make_text_snapshot(zones);
    for (size_t i = 0; i < zones.size(); ++i) {
      const name::Name apex = *name::Name::from_text(zones[i].apex);
      model.add_zone(apex, made.zones[i]);
      std::ranges::copy_if(made.zones[i], std::back_inserter(keys[apex]),
                           [](const auto& record) { return record.type == wire::type::dnskey; });
    }
  }
};

const SignedZones& zones_with(Signing signing) {
  static std::map<Signing, SignedZones> made;
  return made.try_emplace(signing, signing).first->second;
}

class SignedAnswers : public testing::TestWithParam<Signing> {};
INSTANTIATE_TEST_SUITE_P(Denial, SignedAnswers,
                         testing::Values(Signing::nsec, Signing::nsec3, Signing::nsec3_opt_out));

TEST_P(SignedAnswers, EveryShapeValidates) {
  const SignedZones& zones = zones_with(GetParam());
  tests::Validator validator(zones.keys);
  for (const std::string_view name :
       {"@",      "a",     "c",          "c2",       "cout",    "cx",          "loop1",   "cother",
        "cmiss",  "x.w",   "deep.x.w",   "*.w",      "x.*.w",   "foo.w",       "y.foo.w", "x.wc",
        "q.wl",   "wy",    "x.went.sub", "went.sub", "ent",     "q.ent",       "d",       "z.d",
        "q.d",    "ctwo",  "x.dloop",    "cut",      "www.cut", "ns.cut",      "ccut",    "safe",
        "x.safe", "child", "www.child",  "zz",       "0",       "no.such.name"}) {
    for (const std::string_view type : {"A", "MX", "TXT", "DS", "NS", "CNAME", "SOA"}) {
      SCOPED_TRACE(fmt::format("{} {}", name, type));
      const Asked asked =
          ask(zones.made, {.name = std::string(name), .type = std::string(type), .dnssec = true});
      const auto right = zones.model.ask(
          *name::Name::from_text(name == "@" ? "example.test."
                                             : fmt::format("{}.example.test.", name)),
          tests::type_of(type));
      EXPECT_EQ(asked.message.rcode(), right.rcode);
      EXPECT_EQ(asked.message.authoritative(), right.authoritative);
      EXPECT_EQ(validator.fault(right, tests::type_of(type), asked.message), "");
    }
  }
}

TEST_P(SignedAnswers, NothingOfItWithoutDo) {
  const SignedZones& zones = zones_with(GetParam());
  for (const std::string_view name : {"a", "c", "x.w", "zz", "ent", "z.d", "cut", "safe", "q.wl"}) {
    const ParsedMessage message = ask(zones.made, {.name = std::string(name)}).message;
    for (const auto* section : {&message.answer, &message.authority, &message.additional}) {
      for (const std::string_view type : {"RRSIG", "NSEC", "NSEC3"}) {
        EXPECT_EQ(count_type(*section, type), 0u) << name << " " << type;
      }
    }
  }
}

TEST_P(SignedAnswers, SignaturesAndKeysCanBeAskedFor) {
  const SignedZones& zones = zones_with(GetParam());
  const Asked signatures = ask(zones.made, {.name = "a", .type = "RRSIG"});
  EXPECT_EQ(to_string(signatures.outcome), "answered");
  // A and TXT, and NSEC where that is a name's own.
  EXPECT_EQ(signatures.message.answer.size(), GetParam() == Signing::nsec ? 3u : 2u);
  EXPECT_EQ(count_type(ask(zones.made, {.name = "x.w", .type = "RRSIG"}).message.answer, "RRSIG"),
            GetParam() == Signing::nsec ? 3u : 2u);
  const Asked keys = ask(zones.made, {.name = "@", .type = "DNSKEY", .dnssec = true});
  EXPECT_EQ(count_type(keys.message.answer, "DNSKEY"), 1u);
  EXPECT_EQ(count_type(keys.message.answer, "RRSIG"), 1u);
  const Asked nsec = ask(zones.made, {.name = "a", .type = "NSEC", .dnssec = true});
  EXPECT_EQ(count_type(nsec.message.answer, "NSEC"), GetParam() == Signing::nsec ? 1u : 0u);
  const Asked any = ask(zones.made, {.name = "a", .type = "ANY", .dnssec = true});
  EXPECT_EQ(any.message.answer.size(), 2u);  // the TXT record and its signature
  EXPECT_EQ(count_type(any.message.answer, "TXT"), 1u);
}

// No record more than the proof takes.
TEST_P(SignedAnswers, ProofsAreMinimal) {
  const SignedZones& zones = zones_with(GetParam());
  const bool nsec = GetParam() == Signing::nsec;
  const auto proofs = [&](std::string name, std::string type) {
    const Asked asked =
        ask(zones.made, {.name = std::move(name), .type = std::move(type), .dnssec = true});
    return count_type(asked.message.authority, nsec ? "NSEC" : "NSEC3");
  };
  EXPECT_EQ(proofs("a", "A"), 0u);
  EXPECT_EQ(proofs("a", "MX"), 1u);
  EXPECT_EQ(proofs("ent", "A"), 1u);
  EXPECT_EQ(proofs("x.w", "A"), 1u);
  EXPECT_LE(proofs("x.w", "MX"), nsec ? 2u : 3u);
  EXPECT_LE(proofs("q.ent", "A"), nsec ? 2u : 3u);
  EXPECT_EQ(proofs("safe", "A"), 0u);
  if (GetParam() != Signing::nsec3_opt_out) {
    EXPECT_EQ(proofs("cut", "A"), 1u);
    EXPECT_EQ(proofs("cut", "DS"), 1u);
  }
}

TEST_P(SignedAnswers, VerbEmptyGetsNoProof) {
  const SignedZones& zones = zones_with(GetParam());
  for (const std::string name : {"a", "zz", "x.w", "www.cut"}) {
    const Asked asked = ask(zones.made, {.name = name, .dnssec = true, .source = "203.0.113.1"});
    EXPECT_EQ(to_string(asked.outcome), "nodata");
    EXPECT_EQ(lines(asked.message.authority), Lines{"@ SOA"});
    EXPECT_TRUE(asked.message.answer.empty());
  }
}

TEST_P(SignedAnswers, FitUdpOrAreTruncated) {
  const SignedZones& zones = zones_with(GetParam());
  for (const std::string name : {"a", "zz", "q.d", "x.wc", "www.cut"}) {
    for (const uint16_t payload : std::initializer_list<uint16_t>{512, 700, 1232}) {
      const Asked asked =
          ask(zones.made,
              {.name = name, .dnssec = true, .transport = Transport::udp, .payload = payload});
      EXPECT_LE(asked.size, payload);
      EXPECT_EQ(asked.message.truncated(), asked.outcome == Outcome::truncated);
      EXPECT_TRUE(!asked.message.truncated() || asked.message.answer.empty());
    }
  }
}

}  // namespace
}  // namespace merlon::answer
