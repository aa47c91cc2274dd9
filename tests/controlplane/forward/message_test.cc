// SPDX-License-Identifier: Apache-2.0
// What is believed of an upstream's answer, and that nothing breaks on what is not.
#include "controlplane/forward/message.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/controlplane/forward/rig.h"
#include "tests/support/seed.h"

namespace merlon::forward {
namespace {

using tests::FakeRecord;
using tests::FakeReply;

Question question_of(std::string_view name, uint16_t type = 1) {
  return {.name = make_name(name), .type = type};
}

Read read_reply(const Question& question, const FakeReply& reply) {
  const auto query = write_query(question, question.name, Padding::none);
  return read_answer(tests::make_fake_reply(query, reply), question, question.name, {});
}

size_t count(const Answer& answer, Section section) {
  size_t found = 0;
  answer.records.for_each([&](const Record& record) {
    found += record.section == section ? 1u : 0u;
    return true;
  });
  return found;
}

TEST(Message, QueryIsAsItIsMeant) {
  Question question = question_of("www.example.");
  question.dnssec_ok = true;
  question.checking_disabled = true;
  const auto query = write_query(question, question.name, Padding::none);
  EXPECT_EQ(to_hex(query),
            "000001300001000000000001"
            "0377777707"
            "6578616d706c6500"
            "00010001"
            "00"
            "0029"
            "04d0"
            "00008000"
            "0000");
  EXPECT_EQ(write_query(question, question.name, Padding::blocks).size() % 128, 0u);
}

TEST(Message, MixedCaseIsTheSameName) {
  Random random;
  const name::Name name = make_name("some-name.with.123.letters.example.");
  std::set<std::string> seen;
  for (int i = 0; i < 20; ++i) {
    const name::Name mixed = mix_case(name, random);
    EXPECT_EQ(mixed, name);
    seen.insert(mixed.to_text());
  }
  EXPECT_GT(seen.size(), 15u);
}

TEST(Message, TtlIsTheLeastOfTheChain) {
  const Read read = read_reply(question_of("a.example."),
                               {.records = {{"a.example.", 5, tests::wire_name("b.example."), 50},
                                            {"b.example.", 1, {192, 0, 2, 1}, 900},
                                            {"c.example.", 1, {192, 0, 2, 1}, 1}}});
  ASSERT_EQ(read.verdict, Verdict::good);
  EXPECT_EQ(read.answer.ttl_s, 50u);
  EXPECT_EQ(count(read.answer, Section::answer), 2u);
}

TEST(Message, HugeTtlsAreNoneAndLongOnesAreCut) {
  EXPECT_EQ(read_reply(question_of("a.example."),
                       {.records = {{"a.example.", 1, {192, 0, 2, 1}, 0x8000'0001}}})
                .answer.ttl_s,
            0u);
  EXPECT_EQ(read_reply(question_of("a.example."),
                       {.records = {{"a.example.", 1, {192, 0, 2, 1}, 0x7fff'ffff}}})
                .answer.ttl_s,
            86'400u);
}

TEST(Message, NegativeAnswersNeedAnSoaOfAZoneAbove) {
  const FakeReply nxdomain{.flags = 0x8183, .records = {tests::fake_soa("example.", 77)}};
  EXPECT_EQ(read_reply(question_of("a.example."), nxdomain).answer.ttl_s, 77u);
  const Read other = read_reply(question_of("a.example."),
                                {.flags = 0x8183, .records = {tests::fake_soa("evil.")}});
  EXPECT_EQ(other.verdict, Verdict::good);
  EXPECT_EQ(other.answer.ttl_s, 0u);  // not kept
  EXPECT_TRUE(other.answer.records.empty());
}

TEST(Message, ErrorsAndReferralsAreFailures) {
  EXPECT_EQ(read_reply(question_of("a.example."), {.flags = 0x8182}).verdict, Verdict::failed);
  EXPECT_EQ(read_reply(question_of("a.example."), {.flags = 0x8185}).verdict, Verdict::failed);
  EXPECT_EQ(read_reply(question_of("a.example."),
                       {.records = {{"example.", 2, tests::wire_name("ns.example."), 300, 1}}})
                .verdict,
            Verdict::failed);
}

TEST(Message, ANameCannotBeThereAndMissing) {
  EXPECT_EQ(read_reply(question_of("a.example."),
                       {.flags = 0x8183, .records = {{"a.example.", 1, {192, 0, 2, 1}}}})
                .verdict,
            Verdict::malformed);
}

TEST(Message, DataOfTheWrongSizeIsMalformed) {
  EXPECT_EQ(
      read_reply(question_of("a.example."), {.records = {{"a.example.", 1, {192, 0, 2}}}}).verdict,
      Verdict::malformed);
  EXPECT_EQ(
      read_reply(question_of("a.example.", 15), {.records = {{"a.example.", 15, {0, 1}}}}).verdict,
      Verdict::malformed);
}

TEST(Message, CompressionLoopsAreMalformed) {
  const Question question = question_of("a.example.");
  auto message = tests::make_fake_reply(write_query(question, question.name, Padding::none),
                                        {.records = {{"a.example.", 5, {0xC0, 0x00}}}});
  const size_t at = message.size() - 2;
  store_be16(message.data() + at, static_cast<uint16_t>(0xC000u | at));  // at itself
  EXPECT_EQ(read_answer(message, question, question.name, {}).verdict, Verdict::malformed);
}

// Whatever comes: no crash, and what is good holds nothing but its chain.
TEST(Message, MutationsNeverBreakIt) {
  std::mt19937_64 random(test::seed_for("Message"));
  const Question question = question_of("a.example.");
  const auto good =
      tests::make_fake_reply(write_query(question, question.name, Padding::none),
                             {.records = {{"a.example.", 5, tests::wire_name("b.example.")},
                                          {"b.example.", 1, {192, 0, 2, 1}},
                                          {"b.example.", 46, std::vector<uint8_t>(40, 1)},
                                          {"example.", 6, tests::fake_soa("example.").data, 300, 1},
                                          {"x.example.", 15, {0, 5, 0xC0, 0x0C}, 300, 1}}});
  for (int i = 0; i < 60'000; ++i) {
    auto message = good;
    for (uint64_t k = random() % 6; k > 0; --k) {
      message[random() % message.size()] = static_cast<uint8_t>(random());
    }
    if (random() % 4 == 0) {
      message.resize(random() % (message.size() + 1));
    }
    const Read read = read_answer(message, question, question.name, {});
    if (read.verdict == Verdict::good) {
      EXPECT_LE(count(read.answer, Section::answer), 3u);
    }
  }
}

}  // namespace
}  // namespace merlon::forward
