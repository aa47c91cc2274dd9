// SPDX-License-Identifier: Apache-2.0
#include "zones/cookie/cookie.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "tests/support/seed.h"

namespace merlon::cookie {
namespace {

template <size_t N>
std::array<uint8_t, N> hex(std::string_view text) {
  std::array<uint8_t, N> bytes{};
  EXPECT_TRUE(from_hex(text, bytes)) << text;
  return bytes;
}

Check asked(std::string_view address, std::string_view client, std::string_view server) {
  Check check;
  check.source = address::parse_address(address).value();
  check.client = hex<8>(client);
  if (!server.empty()) {
    check.server = hex<16>(server);
    check.server_size = 16;
  }
  return check;
}

Check checked(const Secrets& secrets, uint32_t now, Check check) {
  check_burst(secrets, now, {&check, 1});
  return check;
}

Secrets one(std::string_view secret) {
  return {.active = hex<16>(secret), .other = {}, .has_other = false};
}

// The hash by the plain function over the bytes that RFC 9018 section 4.4 lists.
std::array<uint8_t, 16> reference_cookie(const Secret& secret, const Check& check,
                                         std::span<const uint8_t, 8> prefix) {
  std::vector<uint8_t> data(check.client.begin(), check.client.end());
  data.insert(data.end(), prefix.begin(), prefix.end());
  const size_t size = check.source.family == address::Family::v4 ? 4 : 16;
  for (size_t i = size; i-- > 0;) {
    data.push_back(static_cast<uint8_t>(check.source.bits >> (8 * i)));
  }
  const uint64_t hash = siphash(secret, data);
  std::array<uint8_t, 16> cookie;
  std::copy(prefix.begin(), prefix.end(), cookie.begin());
  for (size_t i = 0; i < 8; ++i) {
    cookie[8 + i] = static_cast<uint8_t>(hash >> (8 * i));
  }
  return cookie;
}

// The vectors of the SipHash paper (appendix A) and its reference implementation.
TEST(SipHash, GivesThePublishedValues) {
  Secret secret;
  std::vector<uint8_t> data;
  for (uint8_t i = 0; i < 16; ++i) {
    secret[i] = i;
  }
  EXPECT_EQ(siphash(secret, data), 0x726fdb47dd0e0e31u);
  for (uint8_t i = 0; i < 15; ++i) {
    data.push_back(i);
  }
  EXPECT_EQ(siphash(secret, data), 0xa129ca6149be45e5u);
  EXPECT_EQ(siphash(secret, Bytes{data}.first(8)), 0x93f5f5799a932462u);
}

TEST(Cookie, Rfc9018AppendixA1LearnsANewServerCookie) {
  const Check check = checked(one("e5e973e5a6b2a43f48e7dc849e37bfcf"), 0x5cf79f11,
                              asked("198.51.100.100", "2464c4abcf10c957", ""));
  EXPECT_EQ(check.state, State::unverified);
  EXPECT_EQ(to_hex(check.answer), "010000005cf79f111f8130c3eee29480");
}

TEST(Cookie, Rfc9018AppendixA2RenewsAnOldOne) {
  const Check check =
      checked(one("e5e973e5a6b2a43f48e7dc849e37bfcf"), 0x5cf7a871,
              asked("198.51.100.100", "2464c4abcf10c957", "010000005cf79f111f8130c3eee29480"));
  EXPECT_EQ(check.state, State::valid);
  EXPECT_EQ(to_hex(check.answer), "010000005cf7a871d4a564a1442aca77");
}

TEST(Cookie, Rfc9018AppendixA3HashesReservedBytesAsSent) {
  const Secrets secrets = one("e5e973e5a6b2a43f48e7dc849e37bfcf");
  const Check sent = asked("203.0.113.203", "fc93fc62807ddb86", "01abcdef5cf78f71a314227b6679ebf5");
  EXPECT_EQ(checked(secrets, 0x5cf78f71 + 600, sent).state, State::valid);
  const Check late = checked(secrets, 0x5cf7a9ac, sent);
  EXPECT_EQ(late.state, State::invalid);  // older than an hour
  EXPECT_EQ(to_hex(late.answer), "010000005cf7a9acf73a7810aca2381e");
}

TEST(Cookie, Rfc9018AppendixA4AcceptsTheOtherSecretAndAnswersWithTheActiveOne) {
  Secrets secrets = one("445536bcd2513298075a5d379663c962");
  const Check sent = asked("2001:db8:220:1:59de:d0f4:8769:82b8", "22681ab97d52c298",
                           "010000005cf7c57926556bd0934c72f8");
  EXPECT_EQ(checked(secrets, 0x5cf7c609, sent).state, State::invalid);
  secrets.other = hex<16>("dd3bdf9344b678b185a6f5cb60fca715");
  secrets.has_other = true;
  const Check check = checked(secrets, 0x5cf7c609, sent);
  EXPECT_EQ(check.state, State::valid);
  EXPECT_EQ(to_hex(check.answer), "010000005cf7c609a6bb79d16625507a");
}

TEST(Cookie, TimeWindowIsAnHourBackAndFiveMinutesAhead) {
  const Secrets secrets = one("e5e973e5a6b2a43f48e7dc849e37bfcf");
  const Check first = checked(secrets, 1'000'000, asked("192.0.2.1", "0102030405060708", ""));
  Check sent = first;
  sent.server = first.answer;
  sent.server_size = 16;
  const auto state = [&](uint32_t now) { return checked(secrets, now, sent).state; };
  EXPECT_EQ(state(1'000'000 + kPastMax), State::valid);
  EXPECT_EQ(state(1'000'000 + kPastMax + 1), State::invalid);
  EXPECT_EQ(state(1'000'000 - kFutureMax), State::valid);
  EXPECT_EQ(state(1'000'000 - kFutureMax - 1), State::invalid);
  // A young cookie comes back as it is; an older one is renewed.
  EXPECT_EQ(checked(secrets, 1'000'000 + kRenewAfter, sent).answer, sent.server);
  EXPECT_NE(checked(secrets, 1'000'000 + kRenewAfter + 1, sent).answer, sent.server);
  // Serial arithmetic: the clock may wrap.
  const Check before = checked(secrets, 0xFFFF'FFFE, asked("192.0.2.1", "0102030405060708", ""));
  sent.server = before.answer;
  EXPECT_EQ(state(5), State::valid);
}

TEST(Cookie, EveryBitAndTheAddressCount) {
  const Secrets secrets = one("e5e973e5a6b2a43f48e7dc849e37bfcf");
  const Check good =
      asked("198.51.100.100", "2464c4abcf10c957", "010000005cf79f111f8130c3eee29480");
  const uint32_t now = 0x5cf79f11;
  ASSERT_EQ(checked(secrets, now, good).state, State::valid);
  for (size_t bit = 0; bit < 64; ++bit) {
    Check other = good;
    other.client[bit / 8] ^= static_cast<uint8_t>(1u << (bit % 8));
    EXPECT_EQ(checked(secrets, now, other).state, State::invalid) << bit;
  }
  for (size_t bit = 0; bit < 128; ++bit) {
    Check other = good;
    other.server[bit / 8] ^= static_cast<uint8_t>(1u << (bit % 8));
    EXPECT_EQ(checked(secrets, now, other).state, State::invalid) << bit;
  }
  for (unsigned bit = 0; bit < 32; ++bit) {
    Check other = good;
    other.source.bits ^= address::Bits6{1} << bit;
    EXPECT_EQ(checked(secrets, now, other).state, State::invalid) << bit;
  }
  for (const int size : {8, 15, 17, 32}) {
    Check other = good;
    other.server_size = static_cast<uint8_t>(size);
    EXPECT_EQ(checked(secrets, now, other).state, State::invalid) << size;
  }
}

// Any mixture in one burst gives what each check gives alone, and what the plain function gives.
TEST(Cookie, BurstsEqualTheReference) {
  std::mt19937_64 random(test::seed_for("Cookie.BurstsEqualTheReference"));
  Secrets secrets = Secrets::random();
  secrets.other = Secrets::random().active;
  secrets.has_other = true;
  const Secrets before{.active = secrets.other, .other = {}, .has_other = false};
  const uint32_t now = 1'800'000'000;
  for (int turn = 0; turn < 2000; ++turn) {
    std::vector<Check> burst(random() % (kBurstMax + 1));
    std::vector<State> expected;
    for (Check& check : burst) {
      check.source = random() % 2 == 0
                         ? address::Address::v4(static_cast<uint32_t>(random()))
                         : address::Address::v6(address::Bits6{random()} << 64 | random());
      for (uint8_t& byte : check.client) {
        byte = static_cast<uint8_t>(random());
      }
      const auto kind = random() % 5;
      if (kind == 0) {
        expected.push_back(State::unverified);
        continue;
      }
      const bool stale = kind == 4;
      Check made = checked(kind == 2 ? before : secrets,
                           now - (stale ? 4000 : static_cast<uint32_t>(random() % 3600)), check);
      check.server = made.answer;
      check.server_size = 16;
      if (kind == 3) {
        check.server[8 + random() % 8] ^= 1;
      }
      expected.push_back(kind == 3 || stale ? State::invalid : State::valid);
    }
    check_burst(secrets, now, burst);
    for (size_t i = 0; i < burst.size(); ++i) {
      ASSERT_EQ(burst[i].state, expected[i]);
      const std::span<const uint8_t, 8> prefix{burst[i].answer.data(), 8};
      ASSERT_EQ(burst[i].answer, reference_cookie(secrets.active, burst[i], prefix));
      const uint32_t made = load_be32(burst[i].answer.data() + 4);
      ASSERT_LE(now - made, kRenewAfter);
    }
  }
}

TEST(Secrets, AreReadFromLines) {
  const auto two = parse_secrets(
      "# staged\ne5e973e5a6b2a43f48e7dc849e37bfcf\n\n445536BCD2513298075a5d379663c962\r\n");
  ASSERT_TRUE(two.has_value());
  EXPECT_TRUE(two->has_other);
  EXPECT_EQ(to_hex(two->other), "445536bcd2513298075a5d379663c962");
  const auto single = parse_secrets("e5e973e5a6b2a43f48e7dc849e37bfcf");
  ASSERT_TRUE(single.has_value());
  EXPECT_FALSE(single->has_other);
}

TEST(Secrets, BadOnesAreErrorsWithTheLine) {
  const auto message = [](std::string_view text) {
    const auto secrets = parse_secrets(text);
    return secrets.has_value() ? std::string("accepted") : secrets.error().message;
  };
  EXPECT_NE(message("").find("no secret"), std::string::npos);
  EXPECT_NE(message("# none\n").find("no secret"), std::string::npos);
  EXPECT_NE(message("#\nabc\n").find("line 2"), std::string::npos);
  const std::string good = "e5e973e5a6b2a43f48e7dc849e37bfcf\n";
  EXPECT_NE(message(good + good + good).find("line 3"), std::string::npos);
  EXPECT_NE(message(good + "xx" + good).find("line 2"), std::string::npos);
}

}  // namespace
}  // namespace merlon::cookie
