// SPDX-License-Identifier: Apache-2.0
#include "controlplane/transfer/tsig.h"

#include <gtest/gtest.h>

#include "tests/controlplane/transfer/lab.h"

namespace merlon::tests {
namespace {

using answer::Transport;

constexpr std::string_view kKey = "fw1.a1.merlon.internal.";

class TsigTest : public testing::Test {
 protected:
  TsigTest() {
    std::vector<store::Device> devices = {make_device("fw1", 1, 1, kSecret),
                                          make_device("fw7", 7, 7, kOtherSecret)};
    // The numbers of devices in the access table of make_text_snapshot().
    devices[0].number = zones_.subject("10.0.0.1")->device;
    devices[1].number = zones_.subject("192.0.2.1")->device;
    EXPECT_TRUE(service_->set_devices(devices, *name::Name::from_text("merlon.internal.")).empty());
  }
  Taken ask(const SpecialMessage& message, Transport transport = Transport::udp,
            std::string_view source = "10.0.0.1") {
    return take(*service_, zones_, message, {.source = source, .transport = transport});
  }
  api::Transfers facts() { return service_->facts(zones_.snapshot.get()); }
  SpecialMessage soa_query(bool edns = false) {
    return make_query({.name = "one.example.", .type = wire::type::soa, .edns = edns});
  }

  TextSnapshot zones_ =
      make_text_snapshot({{.apex = "one.example.",
                           .text = "@ SOA ns h 5 1 1 1 1\n@ NS ns\nns A 192.0.2.3\nbig TXT a\n",
                           .account = 1}});
  int64_t now_ = kNow;
  std::unique_ptr<transfer::Service> service_ =
      *transfer::Service::start({.clock = [this] { return now_; }});
  TsigClient client_{kKey, kSecret};
};

TEST_F(TsigTest, SignedQueryIsAnsweredSigned) {
  for (const bool edns : {false, true}) {
    const Taken taken = ask(client_.sign(soa_query(edns)));
    ASSERT_EQ(taken.messages.size(), 1u);
    EXPECT_EQ(taken.rcode(), 0);
    EXPECT_EQ(taken.records().size(), 1u);
    EXPECT_EQ(client_.check(taken.messages[0]), 0);
    EXPECT_EQ(client_.time(), static_cast<uint64_t>(kNow));
  }
  EXPECT_TRUE(facts().key_failures.empty());
}

TEST_F(TsigTest, Sha512IsTakenFromAKeyOfThat) {
  store::Device device = make_device("fw1", 1, zones_.subject("10.0.0.1")->device, kSecret);
  device.tsig_algorithm = "hmac-sha512";
  service_->set_devices({&device, 1}, *name::Name::from_text("merlon.internal."));
  TsigClient sha512(kKey, kSecret, "hmac-sha512.");
  const Taken taken = ask(sha512.sign(soa_query()));
  EXPECT_EQ(sha512.check(taken.messages.at(0)), 0);
  EXPECT_EQ(sha512.mac_size(), 64u);
  EXPECT_FALSE(ask(client_.sign(soa_query())).response);  // left to who says BADKEY
  EXPECT_EQ(facts().key_failures.at(0).error, "BADKEY");
}

TEST_F(TsigTest, UnknownKeysAndAlgorithmsAreLeftToWhoSaysBadKey) {
  TsigClient unknown("nobody.a1.merlon.internal.", kSecret);
  EXPECT_FALSE(ask(unknown.sign(soa_query())).response);
  SpecialMessage md5 = soa_query();
  append_tsig(md5, kKey, "hmac-md5.sig-alg.reg.int.");
  EXPECT_FALSE(ask(md5).response);
  const auto failures = facts().key_failures;
  ASSERT_EQ(failures.size(), 2u);
  EXPECT_EQ(failures[0].error, "BADKEY");
  EXPECT_EQ(failures[0].source, "10.0.0.1");
}

TEST_F(TsigTest, WrongSecretIsBadSigWithoutAMac) {
  TsigClient wrong(kKey, kOtherSecret);
  const Taken taken = ask(wrong.sign(soa_query()));
  EXPECT_EQ(taken.rcode(), wire::rcode::notauth);
  EXPECT_EQ(wrong.check(taken.messages.at(0)), 16);
  EXPECT_EQ(wrong.mac_size(), 0u);
  EXPECT_TRUE(taken.records().empty());
  EXPECT_EQ(facts().key_failures.at(0).error, "BADSIG");
  EXPECT_EQ(facts().key_failures.at(0).key, kKey);
}

TEST_F(TsigTest, AnyChangedByteOfASignedMessageIsNoticed) {
  const SpecialMessage good = client_.sign(soa_query());
  size_t answered = 0;
  for (size_t i = 0; i < good.size(); ++i) {
    SpecialMessage changed = good;
    changed[i] ^= 0x04;
    const Taken taken = ask(changed);
    answered += taken.response && !taken.messages.empty() && !taken.records().empty() ? 1u : 0u;
  }
  // The id may change on the way; the original one is in the record (section 5.3).
  EXPECT_EQ(answered, 2u);
}

TEST_F(TsigTest, OldTimeIsBadTimeWithOursAndSigned) {
  for (const int64_t off : {-301, 301}) {
    const Taken taken = ask(client_.sign(soa_query(), kNow + off));
    EXPECT_EQ(taken.rcode(), wire::rcode::notauth);
    EXPECT_EQ(client_.check(taken.messages.at(0)), 18);
    EXPECT_EQ(client_.mac_size(), 32u);
    EXPECT_EQ(client_.time(), static_cast<uint64_t>(kNow + off));
    ASSERT_EQ(client_.other().size(), 6u);
    EXPECT_EQ(load_be32(client_.other().data() + 2), static_cast<uint32_t>(kNow));
    EXPECT_EQ(facts().key_failures.at(0).clock_skew_s, off);
  }
  for (const int64_t off : {-300, 300}) {
    const Taken taken = ask(client_.sign(soa_query(), kNow + off));
    EXPECT_EQ(client_.check(taken.messages.at(0)), 0);
  }
  // The sender cannot make the window as wide as it likes.
  const Taken wide = ask(client_.sign(soa_query(), kNow - 1000, 65535));
  EXPECT_EQ(client_.check(wide.messages.at(0)), 18);
}

TEST_F(TsigTest, ShortMacsAreBadTruncOrMalformed) {
  const Taken half = ask(client_.sign(soa_query(), kNow, 300, 16));
  EXPECT_EQ(half.rcode(), wire::rcode::notauth);
  EXPECT_EQ(client_.check(half.messages.at(0)), 22);
  const Taken short_one = ask(client_.sign(soa_query(), kNow, 300, 15));
  EXPECT_EQ(short_one.rcode(), wire::rcode::formerr);
  EXPECT_EQ(client_.check(short_one.messages.at(0)), -1);
}

TEST_F(TsigTest, KeyOfAnotherDeviceIsRefusedAndCounted) {
  // Its own source with the other's key, and the other way round; both keys are good.
  TsigClient other("fw7.a7.merlon.internal.", kOtherSecret);
  for (const uint16_t type : {wire::type::soa, kTypeAxfr}) {
    const SpecialMessage query = make_query({.name = "one.example.", .type = type});
    const Taken taken = ask(other.sign(query), Transport::tcp);
    EXPECT_EQ(taken.rcode(), wire::rcode::refused);
    EXPECT_TRUE(taken.records().empty());
    const Taken theirs = ask(client_.sign(query), Transport::tcp, "192.0.2.1");
    EXPECT_EQ(theirs.rcode(), wire::rcode::refused);
    EXPECT_TRUE(theirs.records().empty());
  }
  for (const api::KeyFailure& failure : facts().key_failures) {
    EXPECT_EQ(failure.error, "NOT_ITS_OWN");
    EXPECT_EQ(failure.count, 2u);
  }
}

TEST_F(TsigTest, ReplayedTransferIsBadTime) {
  const SpecialMessage query =
      client_.sign(make_query({.name = "one.example.", .type = kTypeAxfr}));
  EXPECT_FALSE(ask(query, Transport::tcp).records().empty());
  const Taken again = ask(query, Transport::tcp);
  EXPECT_EQ(again.rcode(), wire::rcode::notauth);
  EXPECT_TRUE(again.records().empty());
  now_ += 2000;  // long after, it is too old, and so it is when nothing is remembered
  EXPECT_EQ(ask(query, Transport::tcp).rcode(), wire::rcode::notauth);
}

TEST_F(TsigTest, OtherOpcodesAndTypesKeepTheirAnswersAndAreSigned) {
  const std::pair<QuerySpec, uint16_t> rows[] = {
      {{.name = "one.example.", .type = wire::type::soa, .flags = 0x2000}, wire::rcode::notauth},
      {{.name = "one.example.", .type = wire::type::soa, .flags = 0x2800}, wire::rcode::notimp},
      {{.name = "one.example.", .type = kTypeAxfr}, wire::rcode::notimp},  // over UDP
      {{.name = "foreign.example."}, wire::rcode::refused},
      {{.name = "missing.one.example."}, wire::rcode::nxdomain}};
  for (const auto& [spec, rcode] : rows) {
    const Taken taken = ask(client_.sign(make_query(spec)));
    EXPECT_EQ(taken.rcode(), rcode) << spec.name << " " << spec.type;
    EXPECT_EQ(client_.check(taken.messages.at(0)), 0);
  }
}

TEST_F(TsigTest, AnswerThatDoesNotFitWithItsSignatureIsTruncated) {
  std::string text = "@ SOA ns h 5 1 1 1 1\n@ NS ns\nns A 192.0.2.3\n";
  for (int i = 0; i < 28; ++i) {  // 28 x 16 bytes fit 512, but not beside TSIG
    text += "many A 192.0.2." + std::to_string(i) + "\n";
  }
  zones_ = make_text_snapshot({{.apex = "one.example.", .text = text, .account = 1}});
  const Taken taken = ask(client_.sign(make_query({.name = "many.one.example."})));
  EXPECT_NE(load_be16(taken.messages.at(0).data() + 2) & wire::flag::tc, 0);
  EXPECT_EQ(client_.check(taken.messages.at(0)), 0);
  EXPECT_EQ(
      ask(client_.sign(make_query({.name = "many.one.example."})), Transport::tcp).records().size(),
      28u);
}

TEST_F(TsigTest, DamagedRecordsAreNobodysFault) {
  const SpecialMessage good = client_.sign(soa_query());
  for (size_t size = wire::kHeaderSize; size < good.size(); ++size) {
    const SpecialMessage cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(ask(cut).response) << size;
  }
}

}  // namespace
}  // namespace merlon::tests
