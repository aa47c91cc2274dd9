// SPDX-License-Identifier: Apache-2.0
// AXFR and IXFR, and who gets none.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/controlplane/transfer/lab.h"

namespace merlon::tests {
namespace {

using answer::Transport;

constexpr std::string_view kZone = "one.example.";

std::string zone_text(uint32_t serial, const std::string& rest) {
  return "@ SOA ns h " + std::to_string(serial) + " 1 1 1 1\n@ NS ns\nns A 192.0.2.3\n" + rest;
}

// Beside which a difference is short.
std::string filler(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) {
    text += "f" + std::to_string(i) + " TXT " + std::string(100, 'x') + "\n";
  }
  return text;
}

TextZone zone_one(uint32_t serial, const std::string& rest) {
  return {.apex = std::string(kZone), .text = zone_text(serial, rest), .account = 1};
}

SpecialMessage axfr_query(std::string_view zone, bool edns = false) {
  return make_query({.name = zone, .type = kTypeAxfr, .edns = edns});
}

class TransferTest : public testing::Test {
 protected:
  TransferTest() { publish({zone_one(1, "a A 192.0.2.4\n")}); }

  // Puts the zones in force, as a build does; the journal is written when this returns.
  void publish(const std::vector<TextZone>& zones) {
    TextSnapshot after = make_text_snapshot(zones);
    compile::Journal& journal = *journal_;
    transfer::JournalWriter writer(journal);
    writer.add(transfer::changed_zones(zones_.snapshot.get(), *after.snapshot), kNow);
    writer.flush(kNow);
    zones_ = std::move(after);
  }
  Taken ask(const SpecialMessage& message, Transport transport = Transport::tcp,
            std::string_view source = "10.0.0.1") {
    return take(*service_, zones_, message, {.source = source, .transport = transport});
  }

  TemporaryDirectory directory_;
  std::unique_ptr<compile::Journal> journal_ =
      *compile::Journal::open({.directory = directory_.path() + "/journal"}, kNow);
  TextSnapshot zones_;
  std::unique_ptr<transfer::Service> service_ = *transfer::Service::start(
      {.journal = journal_.get(), .transfers_per_account_max = 2, .clock = [] { return kNow; }});
};

TEST_F(TransferTest, AxfrIsTheWholeZoneBetweenTwoSoas) {
  for (const bool edns : {false, true}) {
    const Taken taken = ask(axfr_query(kZone, edns));
    ASSERT_TRUE(taken.response && taken.response->outcome == answer::Outcome::answered);
    const std::vector<std::string> records = taken.records();
    EXPECT_EQ(std::multiset<std::string>(records.begin(), records.end()),
              zone_as_text(zones_.zones[0]));
    EXPECT_NE(records.front().find("SOA"), std::string::npos);
    EXPECT_EQ(records.front(), records.back());
    EXPECT_EQ(load_be16(taken.messages[0].data() + 2),
              wire::flag::qr | wire::flag::aa | wire::flag::rd);
    EXPECT_EQ(load_be16(taken.messages[0].data() + 10), edns ? 1 : 0);
  }
}

TEST_F(TransferTest, LargeAndSignedZonesComeWhole) {
  std::string rest;
  for (int i = 0; i < 4000; ++i) {
    rest += "big A 10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250) + "\n";
  }
  for (int i = 0; i < 3000; ++i) {
    rest += "n" + std::to_string(i) + ".deep.deeper TXT \"text " + std::to_string(i) + "\"\n";
  }
  for (const Signing signing : {Signing::none, Signing::nsec, Signing::nsec3}) {
    TextZone zone = zone_one(7, rest);
    if (signing != Signing::none) {
      zone.text = zone_text(7, "a A 192.0.2.4\nb.c.d TXT x\n*.w A 192.0.2.5\n");
    }
    zone.signing = signing;
    zones_ = make_text_snapshot({zone});
    const Taken taken = ask(axfr_query(kZone));
    const std::vector<std::string> records = taken.records();
    EXPECT_EQ(std::multiset<std::string>(records.begin(), records.end()),
              zone_as_text(zones_.zones[0]));
    for (const auto& message : taken.messages) {
      EXPECT_LE(message.size(), 17u << 10);
    }
  }
}

TEST_F(TransferTest, EveryMessageIsSignedOverTheOneBefore) {
  std::string rest;
  for (int i = 0; i < 20'000; ++i) {
    rest += "n" + std::to_string(i) + " A 192.0.2.9\n";
  }
  zones_ = make_text_snapshot({zone_one(7, rest)});
  const store::Device device = make_device("fw1", 1, zones_.subject("10.0.0.1")->device, kSecret);
  service_->set_devices({&device, 1}, *name::Name::from_text("merlon.internal."));
  TsigClient client("fw1.a1.merlon.internal.", kSecret);
  const Taken taken = ask(client.sign(axfr_query(kZone)));
  EXPECT_GT(taken.messages.size(), 10u);
  for (const auto& message : taken.messages) {
    ASSERT_EQ(client.check(message), 0);
  }
  EXPECT_EQ(taken.records().size(), 20'004u);
}

TEST_F(TransferTest, DeviceWithAKeyGetsNothingUnsigned) {
  const store::Device device = make_device("fw1", 1, zones_.subject("10.0.0.1")->device, kSecret);
  service_->set_devices({&device, 1}, *name::Name::from_text("merlon.internal."));
  for (const Transport transport : {Transport::tcp, Transport::udp}) {
    const Taken taken = ask(ixfr_query(kZone, 0), transport);
    EXPECT_EQ(taken.rcode(), wire::rcode::refused);
    EXPECT_EQ(ask(ixfr_query("non.example.", 0), transport).messages.at(0).size(),
              taken.messages.at(0).size());
  }
  EXPECT_EQ(ask(axfr_query(kZone)).rcode(), wire::rcode::refused);
  const auto facts = service_->facts(zones_.snapshot.get());
  ASSERT_EQ(facts.key_failures.size(), 1u);
  EXPECT_EQ(facts.key_failures[0].error, "UNSIGNED");
  // A key that cannot be used is no reason to give without one.
  store::Device broken = device;
  broken.tsig_secret = "no base64";
  EXPECT_EQ(service_->set_devices({&broken, 1}, *name::Name::from_text("merlon.internal.")).size(),
            1u);
  EXPECT_EQ(ask(axfr_query(kZone)).rcode(), wire::rcode::refused);
}

TEST_F(TransferTest, ForeignZonesAndMissingOnesAreRefusedWithTheSameBytes) {
  publish({zone_one(1, ""),
           {.apex = "her.example.", .text = zone_text(1, ""), .account = 7},
           {.apex = "ops.example.", .text = zone_text(1, ""), .tier_mask = kTierOperator},
           {.apex = "mix.example.",
            .text = zone_text(1, "high A 192.0.2.1\n"),
            .tier_mask = kTierAll,
            .tiers = {{"high", kTierOperator}}}});
  const auto bare = [&](std::string_view zone, std::string_view source, bool ixfr) {
    SpecialMessage query = ixfr ? ixfr_query(zone, 0) : axfr_query(zone, true);
    const Taken taken = ask(query, Transport::tcp, source);
    EXPECT_EQ(taken.rcode(), wire::rcode::refused) << zone << " " << source;
    std::vector<uint8_t> reply = taken.messages.at(0);
    const size_t name_size = name::Name::from_text(zone)->size();
    reply.erase(reply.begin() + 12, reply.begin() + 12 + static_cast<std::ptrdiff_t>(name_size));
    return reply;
  };
  for (const bool ixfr : {false, true}) {
    const auto missing = bare("non.example.", "10.0.0.1", ixfr);
    EXPECT_EQ(bare("her.example.", "10.0.0.1", ixfr), missing);
    EXPECT_EQ(bare("www.one.example.", "10.0.0.1", ixfr), missing);  // a name, no zone
    for (const std::string_view zone :
         {kZone, std::string_view("ops.example."), std::string_view("mix.example."),
          std::string_view("non.example.")}) {
      EXPECT_EQ(bare(zone, "192.0.2.1", ixfr), missing) << zone;
    }
  }
  // Of every tier, the source has the mixed zone whole.
  EXPECT_EQ(ask(axfr_query("mix.example.")).rcode(), 0);
  EXPECT_EQ(ask(axfr_query("her.example."), Transport::tcp, "192.0.2.1").rcode(), 0);
}

// RFC 9103 section 7.1.
TEST_F(TransferTest, OverTlsOnlyWithVersion13) {
  const auto over = [&](dns::Tls tls) {
    return take(*service_, zones_, axfr_query(kZone), {.tls = tls});
  };
  EXPECT_EQ(over(dns::Tls::v1_3).rcode(), 0);
  EXPECT_EQ(over(dns::Tls::before_1_3).rcode(), wire::rcode::refused);
  EXPECT_TRUE(over(dns::Tls::before_1_3).records().empty());
  const auto facts = service_->facts(zones_.snapshot.get());
  ASSERT_EQ(facts.key_failures.size(), 1u);
  EXPECT_EQ(facts.key_failures[0].error, "TLS_TOO_OLD");
}

TEST_F(TransferTest, AccountHasSoManyTransfersAtOnce) {
  std::vector<std::optional<dns::Response>> held;
  const auto begin = [&] {
    answer::Query parsed;
    const SpecialMessage query = axfr_query(kZone);
    return service_->answer({.snapshot = zones_.snapshot,
                             .message = query,
                             .parsed = parsed,
                             .subject = *zones_.subject("10.0.0.1"),
                             .limits = {.transport = Transport::tcp},
                             .client = {.transport = Transport::tcp}});
  };
  held.push_back(begin());
  held.push_back(begin());
  EXPECT_TRUE(held[0]->stream != nullptr && held[1]->stream != nullptr);
  EXPECT_EQ(begin()->stream, nullptr);
  held.pop_back();
  EXPECT_NE(begin()->stream, nullptr);
}

TEST_F(TransferTest, IxfrHasTheDifferencesInOneStep) {
  publish({zone_one(11, filler(20) + "a A 192.0.2.4\n")});
  publish({zone_one(12, filler(20) + "a A 192.0.2.4\nb A 192.0.2.5\n")});
  const Taken one = ask(ixfr_query(kZone, 11));
  ASSERT_EQ(one.records().size(), 5u);
  EXPECT_EQ(one.records()[0], one.records()[4]);
  EXPECT_EQ(one.records()[2], one.records()[0]);
  EXPECT_NE(one.records()[1], one.records()[0]);
  EXPECT_NE(one.records()[3].find("192.0.2.5"), std::string::npos);
  // What came goes again, and something stays.
  publish({zone_one(13, filler(20) + "a A 192.0.2.4\nc TXT x\n")});
  publish({zone_one(14, filler(20) + "c TXT x\n")});
  const std::vector<std::string> all = ask(ixfr_query(kZone, 11)).records();
  ASSERT_EQ(all.size(), 6u);  // SOA 14, SOA 11, -a, SOA 14, +c, SOA 14
  EXPECT_NE(all[2].find("192.0.2.4"), std::string::npos);
  EXPECT_NE(all[4].find("TXT"), std::string::npos);
  EXPECT_EQ(all[0], all[5]);
  EXPECT_EQ(ask(ixfr_query(kZone, 13)).records().size(), 5u);
  const auto facts = service_->facts(zones_.snapshot.get());
  ASSERT_EQ(facts.secondaries.size(), 1u);
  EXPECT_EQ(facts.secondaries[0].kind, "IXFR");
  EXPECT_EQ(facts.secondaries[0].serial_given, 14u);
  EXPECT_EQ(facts.secondaries[0].transfers, 3u);
}

TEST_F(TransferTest, IxfrOfWhoIsUpToDateIsTheSoa) {
  for (const Transport transport : {Transport::tcp, Transport::udp}) {
    for (const uint32_t serial : {1u, 2u, 0x7fffffffu}) {
      EXPECT_EQ(ask(ixfr_query(kZone, serial), transport).records().size(), 1u);
    }
  }
}

TEST_F(TransferTest, IxfrWithoutAChainIsTheWholeZone) {
  const auto whole = ask(axfr_query(kZone)).records();
  EXPECT_EQ(ask(ixfr_query(kZone, 0)).records(), whole);
  publish({zone_one(2, "b A 192.0.2.5\n")});
  const auto facts = service_->facts(zones_.snapshot.get());
  EXPECT_EQ(facts.secondaries.at(0).kind, "AXFR");
  // The journal of another life ends before what is in force.
  zones_ = make_text_snapshot({zone_one(3, "b A 192.0.2.5\n")});
  EXPECT_EQ(ask(ixfr_query(kZone, 1)).records(), ask(axfr_query(kZone)).records());
}

TEST_F(TransferTest, IxfrLongerThanTheZoneIsTheWholeZone) {
  std::string rest;
  for (int i = 0; i < 600; ++i) {
    rest += "n" + std::to_string(i) + ".some.where A 192.0.2.9\n";
  }
  publish({zone_one(2, rest)});
  publish({zone_one(3, "a A 192.0.2.4\n")});
  EXPECT_EQ(ask(ixfr_query(kZone, 2)).records(), ask(axfr_query(kZone)).records());
}

TEST_F(TransferTest, IxfrOverUdpIsWhatFits) {
  publish({zone_one(2, filler(50))});
  publish({zone_one(3, filler(50) + "b A 192.0.2.5\n")});
  EXPECT_EQ(ask(ixfr_query(kZone, 2), Transport::udp).records().size(), 5u);
  std::string rest = filler(50) + "b A 192.0.2.5\n";
  for (int i = 0; i < 100; ++i) {
    rest += "n" + std::to_string(i) + " A 192.0.2.9\n";
  }
  publish({zone_one(4, rest)});
  const Taken large = ask(ixfr_query(kZone, 3), Transport::udp);
  ASSERT_EQ(large.records().size(), 1u);
  EXPECT_NE(large.records()[0].find(" 4 "), std::string::npos);
}

TEST_F(TransferTest, DifferencesTooManyToCondenseComeStepByStep) {
  std::string rest = filler(25'000);
  for (uint32_t serial = 2; serial < 6; ++serial) {
    for (int i = 0; i < 2000; ++i) {
      rest += "s" + std::to_string(serial) + "n" + std::to_string(i) + " TXT " +
              std::string(200, 'x') + std::to_string(i) + "\n";
    }
    publish({zone_one(serial, rest)});
  }
  const std::vector<std::string> records = ask(ixfr_query(kZone, 2)).records();
  EXPECT_EQ(records.size(), 2u + 3u * (2000 + 2));
  EXPECT_EQ(records.front(), records.back());
  EXPECT_EQ(std::ranges::count_if(
                records,
                [](const std::string& record) { return record.find("SOA") != std::string::npos; }),
            8);
}

TEST_F(TransferTest, MalformedTransfersAreFormatErrors) {
  EXPECT_EQ(ask(make_query({.name = kZone, .type = kTypeIxfr})).rcode(), wire::rcode::formerr);
  EXPECT_EQ(ask(make_query({.name = kZone, .type = kTypeAxfr, .qclass = 3})).rcode(),
            wire::rcode::refused);
  EXPECT_FALSE(ask(axfr_query(kZone), Transport::udp).response);  // not defined there
  const SpecialMessage good = ixfr_query(kZone, 0);
  for (size_t size = wire::kHeaderSize; size < good.size(); ++size) {
    const SpecialMessage cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(ask(cut).response) << size;
  }
}

}  // namespace
}  // namespace merlon::tests
