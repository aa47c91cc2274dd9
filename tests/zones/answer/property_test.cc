// SPDX-License-Identifier: Apache-2.0
// Random zones of few labels, so that every shape meets every other one, against a plain model;
// signed, every answer must also validate.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "tests/support/denial_check.h"
#include "tests/support/seed.h"
#include "tests/support/text_zone.h"
#include "tests/support/zone_model.h"
#include "zones/answer/answer.h"
#include "zones/wire/wire.h"

namespace merlon::answer {
namespace {

using name::Name;
using tests::ModelAnswer;
using tests::ParsedMessage;
using tests::Signing;
using tests::TextSnapshot;
using tests::TextZone;
using tests::ZoneRecord;

constexpr std::string_view kLabels[] = {"a", "b", "c"};
constexpr uint16_t kTypes[] = {wire::type::a,     wire::type::txt,   wire::type::ns, wire::type::ds,
                               wire::type::cname, wire::type::dname, wire::type::soa};
constexpr size_t kZones = 40;
constexpr size_t kQuestions = 250;

class Generator {
 public:
  explicit Generator(uint64_t seed) : random_(seed) {}

  size_t below(size_t count) { return random_() % count; }

  // Relative to the apex; "" is the apex. A `*` only as the first label.
  std::string name(size_t labels_max, bool wildcards) {
    std::string text;
    const size_t labels = below(labels_max + 1);
    for (size_t i = 0; i < labels; ++i) {
      const bool star = wildcards && i == 0 && below(4) == 0;
      text += (i == 0 ? "" : ".") + std::string(star ? "*" : kLabels[below(std::size(kLabels))]);
    }
    return text;
  }

  std::string absolute(size_t labels_max, const std::vector<std::string>& apexes) {
    const std::string& apex = apexes[below(apexes.size())];
    const std::string relative = name(labels_max, below(8) == 0);
    return relative.empty() ? apex : relative + "." + apex;
  }

  // z. with c.z. delegated and served too, and o. beside them.
  std::vector<TextZone> zones(Signing signing) {
    const std::vector<std::string> apexes = {"z.", "c.z.", "o."};
    std::vector<TextZone> made;
    for (const std::string& apex : apexes) {
      std::string text = "@ IN SOA ns hostmaster 1 3600 600 86400 60\n@ IN NS ns.elsewhere.\n";
      const size_t count = 3 + below(10);
      std::map<std::string, char> used;  // what stands at a name: one kind each
      if (apex == "z.") {
        text += "c IN NS ns.c\n";
        text += below(2) == 0 ? "c IN DS 1 13 2 " + std::string(64, 'A') + "\n" : "";
        used["c"] = 'N';
      }
      for (size_t i = 0; i < count; ++i) {
        const std::string owner = name(3, true);
        if (!owner.empty() && !used.contains(owner) && is_free(owner, used)) {
          char kind = 'A';
          text += records(owner, apexes, is_leaf(owner, used), kind);
          used[owner] = kind;
        }
      }
      made.push_back({.apex = apex, .text = text, .signing = signing});
    }
    return made;
  }

 private:
  // Nothing stands below a DNAME, and nothing but addresses below a delegation.
  static bool is_free(const std::string& owner, const std::map<std::string, char>& used) {
    return std::ranges::none_of(used, [&](const auto& entry) {
      const auto& [other, kind] = entry;
      return (kind == 'D' || kind == 'N') && owner.ends_with("." + other);
    });
  }

  static bool is_leaf(const std::string& owner, const std::map<std::string, char>& used) {
    return std::ranges::none_of(
        used, [&](const auto& entry) { return entry.first.ends_with("." + owner); });
  }

  std::string records(const std::string& owner, const std::vector<std::string>& apexes,
                      bool may_delegate, char& kind) {
    may_delegate = may_delegate && !owner.starts_with('*');
    switch (below(8)) {
      case 0:
      case 1:
        kind = 'C';
        return fmt::format("{} IN CNAME {}\n", owner, absolute(3, apexes));
      case 2:
        if (!may_delegate) {
          break;
        }
        kind = 'N';
        return fmt::format(
            "{0} IN NS ns.{0}\nns.{0} IN A 192.0.2.1\n{0} IN NS x.o.\n{1}", owner,
            below(2) == 0 ? fmt::format("{} IN DS 1 13 2 {}\n", owner, std::string(64, 'B')) : "");
      case 3:
        if (!may_delegate) {
          break;
        }
        kind = 'D';
        return fmt::format("{} IN DNAME {}\n", owner, absolute(2, apexes));
      case 4:
        kind = 'T';
        return fmt::format("{} IN TXT t\n", owner);
      default:
        break;
    }
    kind = 'A';
    return fmt::format("{0} IN A 192.0.2.{1}\n{0} IN A 192.0.2.{2}\n", owner, below(100),
                       100 + below(100));
  }

  std::mt19937_64 random_;
};

std::set<std::string> texts(const std::vector<ZoneRecord>& records, bool with_proofs) {
  std::set<std::string> all;
  for (const ZoneRecord& record : records) {
    const bool is_proof = record.type == wire::type::rrsig || record.type == wire::type::nsec ||
                          record.type == wire::type::nsec3;
    if (with_proofs || !is_proof) {
      all.insert(tests::to_text(record));
    }
  }
  return all;
}

ParsedMessage ask(const TextSnapshot& snapshot, const Name& name, uint16_t type, bool dnssec) {
  static std::vector<uint8_t> scratch(wire::kMessageSizeMax);
  static std::vector<uint8_t> buffer(wire::kMessageSizeMax);
  const std::string text = name.to_text();
  const auto query_bytes =
      tests::make_query({.name = text, .type = type, .edns = true, .dnssec_ok = dnssec});
  const Limits limits{.transport = Transport::tcp};
  Query query;
  Reply reply =
      answer(*snapshot.snapshot, query_bytes, snapshot.subject("10.0.0.1"), limits, query, scratch);
  std::ranges::copy(query_bytes, buffer.begin());
  const size_t size = compose(query, reply, limits, buffer, query_bytes.size());
  EXPECT_EQ(sum_of_reply(query, reply, Bytes(buffer).first(size)),
            wire::checksum_partial(Bytes(buffer).first(size)));
  return tests::parse_message(Bytes(buffer).first(size));
}

void expect_right(const ModelAnswer& right, const ParsedMessage& reply) {
  ASSERT_EQ(reply.rcode(), right.refused ? 5 : right.rcode);
  if (right.refused) {
    return;
  }
  EXPECT_EQ(reply.authoritative(), right.authoritative);
  EXPECT_EQ(texts(reply.answer, false), right.answer);
  std::set<std::string> authority = texts(reply.authority, false);
  std::erase_if(authority, [&](const std::string& text) {
    return right.end == ModelAnswer::End::referral && text.find(" DS ") != std::string::npos;
  });
  EXPECT_EQ(authority, right.authority);
  EXPECT_EQ(texts(reply.answer, true).size(), reply.answer.size()) << "a record stands twice";
  EXPECT_EQ(texts(reply.authority, true).size(), reply.authority.size()) << "a record stands twice";
}

void run(Signing signing) {
  const uint64_t seed = test::seed_for("ResolveProperty");
  for (size_t i = 0; i < kZones; ++i) {
    Generator generator(seed + i);
    const std::vector<TextZone> zones = generator.zones(signing);
    const TextSnapshot snapshot = tests::make_text_snapshot(zones);
    tests::ZoneModel model;
    std::map<Name, std::vector<ZoneRecord>> keys;
    for (size_t k = 0; k < zones.size(); ++k) {
      const Name apex = *Name::from_text(zones[k].apex);
      model.add_zone(apex, snapshot.zones[k]);
      std::ranges::copy_if(
          snapshot.zones[k], std::back_inserter(keys[apex]),
          [](const ZoneRecord& record) { return record.type == wire::type::dnskey; });
    }
    tests::Validator validator(keys);
    for (size_t k = 0; k < kQuestions; ++k) {
      const Name name = *Name::from_text(generator.absolute(4, {"z.", "c.z.", "o.", "p."}));
      const uint16_t type = kTypes[generator.below(std::size(kTypes))];
      const bool dnssec = generator.below(4) != 0;
      SCOPED_TRACE(fmt::format("seed {}: {} {}{}\n{}\n--\n{}\n--\n{}", seed + i, name.to_text(),
                               wire::type_to_text(type), dnssec ? " with DO" : "", zones[0].text,
                               zones[1].text, zones[2].text));
      const ModelAnswer right = model.ask(name, type);
      const ParsedMessage reply = ask(snapshot, name, type, dnssec);
      expect_right(right, reply);
      if (signing != Signing::none && dnssec && !right.refused) {
        EXPECT_EQ(validator.fault(right, type, reply), "");
      }
      if (testing::Test::HasFailure()) {
        return;
      }
    }
  }
}

TEST(ResolveProperty, UnsignedZonesAnswerAsTheModel) {
  run(Signing::none);
}

TEST(ResolveProperty, ZonesWithNsecValidate) {
  run(Signing::nsec);
}

TEST(ResolveProperty, ZonesWithNsec3Validate) {
  run(Signing::nsec3);
}

TEST(ResolveProperty, ZonesWithOptOutValidate) {
  run(Signing::nsec3_opt_out);
}

}  // namespace
}  // namespace merlon::answer
