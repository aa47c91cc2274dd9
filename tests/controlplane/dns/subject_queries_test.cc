// SPDX-License-Identifier: Apache-2.0
#include "controlplane/dns/subject_queries.h"

#include <gtest/gtest.h>

#include <array>

#include "zones/name/name.h"

namespace merlon::dns {
namespace {

using answer::Outcome;

constexpr snapshot::Subject kOne{1, 1, 1, snapshot::Verb::pass, {}, {}};
constexpr snapshot::Subject kOther{2, 7, 1, snapshot::Verb::pass, {}, {}};

// A body whose first record has a TTL of 900.
constexpr std::array<uint8_t, 12> kBody = {0xC0, 0x0C, 0, 1, 0, 1, 0, 0, 3, 0x84, 0, 4};

struct Question {
  std::string name = "list.example.";
  Outcome outcome = Outcome::answered;
  bool dnssec_ok = true;
  int64_t now = 1000;
  address::Address source = address::Address::v4(7);
  bool has_name = true;
};

void ask(SubjectQueries& queries, const snapshot::Subject& subject, const Question& question) {
  const name::Name name = *name::Name::from_text(question.name);
  answer::Query query;
  query.qtype = 1;
  query.dnssec_ok = question.dnssec_ok;
  query.qname_size = static_cast<uint8_t>(name.size());
  std::ranges::copy(name.wire(), query.qname.begin());
  answer::Reply reply = answer::reply_without_lookup(question.outcome);
  if (question.outcome == Outcome::answered) {
    reply.body.data = kBody.data();
    reply.body.size = kBody.size();
    reply.body.answer_count = 4000;
  }
  queries.add(subject, {.query = query,
                        .reply = reply,
                        .source = question.source,
                        .now = question.now,
                        .has_name = question.has_name});
}

AskedReport report_of(const SubjectQueries& queries) {
  AskedReport report;
  queries.add_into(report);
  return report;
}

TEST(DnsSubjectQueries, NamesAreKeptByDeviceAndNobodyElsesAreAmongThem) {
  SubjectQueries queries;
  ask(queries, kOne, {});
  ask(queries, kOne, {.now = 1010});
  ask(queries, kOne, {.name = "gone.example.", .outcome = Outcome::nxdomain, .now = 1020});
  ask(queries, kOne, {.outcome = Outcome::formerr_opt, .now = 1030});
  ask(queries, kOther, {.name = "secret.example."});
  ask(queries, kOther, {.name = "zone.example.", .has_name = false});
  const AskedReport report = report_of(queries);
  const AskedOfSubject& one = report.subjects.at({1, 1});
  EXPECT_EQ(one.queries, 4u);
  EXPECT_EQ(one.last, 1030);
  EXPECT_EQ(one.last_useful, 1010);
  ASSERT_EQ(one.names.size(), 2u);
  EXPECT_EQ(one.names[0].count, 2u);
  EXPECT_EQ(one.names[0].records, 4000u);
  EXPECT_EQ(one.names[0].ttl_s, 900u);
  EXPECT_EQ(one.names[1].outcome, Outcome::nxdomain);
  ASSERT_EQ(report.subjects.at({2, 7}).names.size(), 1u);
  EXPECT_NE(report.subjects.at({2, 7}).names[0].name, one.names[0].name);
  SubjectCounts counts;
  queries.add_into(counts);
  EXPECT_EQ((counts[{1, 1}].queries), 4u);
  EXPECT_EQ((counts[{1, 1}].last), 1030);
}

TEST(DnsSubjectQueries, OnlyOneSourceThatCachesIsCountedWithinATtl) {
  const auto within = [](const std::vector<Question>& questions) {
    SubjectQueries queries;
    for (const Question& question : questions) {
      ask(queries, kOne, question);
    }
    return report_of(queries).subjects.at({1, 1}).names.at(0).within_ttl;
  };
  EXPECT_EQ(within({{.now = 1}, {.now = 2}, {.now = 3}, {.now = 900}}), 4u);
  EXPECT_EQ(within({{.now = 1}, {.now = 901}, {.now = 1801}}), 1u) << "once a TTL";
  EXPECT_EQ(within({{.dnssec_ok = false}, {.dnssec_ok = false}, {.dnssec_ok = false}}), 0u)
      << "no resolver with a cache";
  EXPECT_EQ(within({{.now = 1}, {.now = 2, .source = address::Address::v4(8)}}), 1u)
      << "two resolvers of one device";
  EXPECT_EQ(within({{.now = 1}, {.now = 2}, {.now = 3}, {.now = 1000}}), 3u) << "a moment later";
  EXPECT_EQ(within({{.now = 1}, {.now = 2}, {.now = 3}, {.now = 5000}}), 1u) << "it was mended";
}

TEST(DnsSubjectQueries, MemoryIsBounded) {
  SubjectQueries queries(SubjectQueries::kNamesPerSubjectMax + 1);
  for (int64_t i = 0; i < 200; ++i) {
    ask(queries, kOne, {.name = "n" + std::to_string(i) + ".example.", .now = i});
  }
  for (int64_t i = 0; i < 10; ++i) {
    ask(queries, kOther, {.name = "m" + std::to_string(i) + ".example.", .now = i});
  }
  const AskedReport report = report_of(queries);
  const auto& names = report.subjects.at({1, 1}).names;
  EXPECT_EQ(names.size(), SubjectQueries::kNamesPerSubjectMax);
  for (const AskedName& name : names) {
    EXPECT_GE(name.last, 200 - static_cast<int64_t>(SubjectQueries::kNamesPerSubjectMax));
  }
  EXPECT_EQ(report.subjects.at({2, 7}).names.size(), 1u);
  EXPECT_EQ(report.subjects.at({2, 7}).queries, 10u);
  for (uint32_t i = 0; i < 1000; ++i) {
    queries.add_unknown(address::Address::v4(i), i);
  }
  EXPECT_EQ(report_of(queries).unknown.size(), SubjectQueries::kUnknownMax);
}

TEST(DnsSubjectQueries, WorkersAddUp) {
  SubjectQueries first;
  SubjectQueries second;
  ask(first, kOne, {.now = 5});
  ask(second, kOne, {.now = 9});
  ask(second, kOne, {.now = 10});
  first.add_unknown(address::Address::v4(1), 3);
  second.add_unknown(address::Address::v4(1), 4);
  AskedReport report;
  first.add_into(report);
  second.add_into(report);
  const AskedOfSubject& one = report.subjects.at({1, 1});
  EXPECT_EQ(one.queries, 3u);
  ASSERT_EQ(one.names.size(), 1u);
  EXPECT_EQ(one.names[0].count, 3u);
  EXPECT_EQ(one.names[0].last, 10);
  EXPECT_EQ(one.names[0].within_ttl, 2u);
  ASSERT_EQ(report.unknown.size(), 1u);
  EXPECT_EQ(report.unknown[0].count, 2u);
}

}  // namespace
}  // namespace merlon::dns
