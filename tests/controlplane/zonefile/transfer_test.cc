// SPDX-License-Identifier: Apache-2.0
// Transfers from a primary of the test's own, which says what a row wants it to say, and from NSD.
#include "controlplane/zonefile/transfer.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <thread>

#include "tests/controlplane/zonefile/zones.h"
#include "tests/support/nsd.h"
#include "tests/support/snapshot_fixture.h"
#include "zones/wire/wire.h"

namespace merlon::zonefile {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

using Message = std::vector<uint8_t>;

// Answers each query on one connection with the messages that `answer` makes of it.
class Server {
 public:
  explicit Server(std::function<std::vector<Message>(const Message&)> answer)
      : answer_(std::move(answer)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_, 1), 0);
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~Server() {
    thread_.join();
    ::close(listener_);
  }
  uint16_t port() const { return port_; }

 private:
  static bool read_all(int fd, uint8_t* to, size_t size) {
    while (size > 0) {
      const ssize_t got = ::recv(fd, to, size, 0);
      if (got <= 0) {
        return false;
      }
      to += got;
      size -= static_cast<size_t>(got);
    }
    return true;
  }
  void run() {
    const int fd = ::accept(listener_, nullptr, nullptr);
    uint8_t head[2];
    while (read_all(fd, head, 2)) {
      Message query(load_be16(head));
      if (!read_all(fd, query.data(), query.size())) {
        break;
      }
      for (const Message& message : answer_(query)) {
        Message framed(2);
        store_be16(framed.data(), static_cast<uint16_t>(message.size()));
        framed.insert(framed.end(), message.begin(), message.end());
        if (::send(fd, framed.data(), framed.size(), MSG_NOSIGNAL) < 0) {
          break;
        }
      }
    }
    ::close(fd);
  }

  std::function<std::vector<Message>(const Message&)> answer_;
  int listener_ = -1;
  uint16_t port_ = 0;
  std::thread thread_;
};

struct Rr {
  std::string owner;
  uint16_t type;
  std::string data;  // hex
};

const std::string kSoa1 =
    "026e73c00c"
    "04686f7374c00c"
    "00000001"
    "00000e10"
    "00000258"
    "00015180"
    "0000012c";
const Rr kSoa{"example.", 6, kSoa1};
const Rr kNs{"example.", 2, "026e73c00c"};
const Rr kA{"a.example.", 1, "c0000201"};

Message message(const Message& query, const std::vector<Rr>& records, uint16_t rcode = 0) {
  Message out = query;
  store_be16(out.data() + 2, static_cast<uint16_t>(0x8400 | rcode));
  store_be16(out.data() + 6, static_cast<uint16_t>(records.size()));
  for (const Rr& record : records) {
    const name::Name owner = name_of(record.owner);
    out.insert(out.end(), owner.wire().begin(), owner.wire().end());
    Message fixed(10);
    store_be16(fixed.data(), record.type);
    store_be16(fixed.data() + 2, 1);
    store_be32(fixed.data() + 4, 60);
    store_be16(fixed.data() + 8, static_cast<uint16_t>(record.data.size() / 2));
    out.insert(out.end(), fixed.begin(), fixed.end());
    for (size_t i = 0; i < record.data.size(); i += 2) {
      out.push_back(static_cast<uint8_t>(std::stoi(record.data.substr(i, 2), nullptr, 16)));
    }
  }
  return out;
}

Result<std::optional<ZoneData>> ask(std::function<std::vector<Message>(const Message&)> answer,
                                    std::optional<uint32_t> serial = std::nullopt,
                                    uint64_t size_max = 1 << 20) {
  const Server server(std::move(answer));
  const auto address = address::parse_address("127.0.0.1");
  return transfer_in({.primary = {.address = *address, .port = server.port()},
                      .apex = name_of("example."),
                      .serial = serial,
                      .timeout_ms = 2000,
                      .size_max = size_max});
}

TEST(TransferIn, ZoneComesInOneMessageOrMany) {
  const auto one = ask([](const Message& query) {
    return std::vector<Message>{message(query, {kSoa, kNs, kA, kSoa})};
  });
  ASSERT_TRUE(one.has_value()) << one.error().message;
  ASSERT_TRUE(one->has_value());
  EXPECT_EQ((*one)->serial(), 1u);
  EXPECT_EQ(data_of(**one, "example.", "NS"), "026e73076578616d706c6500");  // written out
  const auto many = ask([](const Message& query) {
    return std::vector<Message>{message(query, {kSoa}), message(query, {kA, kNs}),
                                message(query, {kSoa})};
  });
  ASSERT_TRUE(many.has_value()) << many.error().message;
  EXPECT_EQ(lines_of(**one), lines_of(**many));
}

TEST(TransferIn, WhatIsNotNewerStays) {
  const auto answer = [](const Message& query) {
    const bool is_soa = query[query.size() - 3] == 6;
    return std::vector<Message>{is_soa ? message(query, {kSoa})
                                       : message(query, {kSoa, kNs, kSoa})};
  };
  for (const uint32_t serial : {1u, 2u, 0x7fffffffu}) {
    const auto same = ask(answer, serial);
    ASSERT_TRUE(same.has_value()) << same.error().message;
    EXPECT_FALSE(same->has_value()) << serial;
  }
  for (const uint32_t serial : {0u, 0xffffffffu}) {
    const auto newer = ask(answer, serial);
    ASSERT_TRUE(newer.has_value()) << newer.error().message;
    EXPECT_TRUE(newer->has_value()) << serial;
  }
}

TEST(TransferIn, RefusesWhatIsNoZone) {
  struct Row {
    std::vector<std::vector<Rr>> messages;
    const char* error;
  };
  const Rr other{"other.test.", 1, "c0000201"};
  const Rr later{"example.", 6, "0161000162000000000200000e1000000258000151800000012c"};
  const Row rows[] = {
      {{{kNs, kSoa}}, "the first record is not the SOA record"},
      {{{kSoa, kA, kSoa}}, "the transfer: no NS record of example."},
      {{{kSoa, kNs, kSoa, kA}}, "records behind the SOA record that ends the zone"},
      {{{kSoa, kNs, later}}, "the zone changed while it was transferred"},
      {{{kSoa, kNs, other, kSoa}}, "record 3: other.test. is not in zone example."},
      {{{kSoa, kNs}, {}, {kSoa}}, "a message without records in the middle"},
      {{{kSoa, {"example.", 2, "c0ff"}}}, "malformed, or not of class IN"},
      {{{kSoa, kNs, {"example.", 51, "0100009700"}, kSoa}},
       "record 3: example. NSEC3PARAM: 151 iterations; more than 150 are insecure to validators, "
       "sign the zone with 0"},
      {{{kSoa, {"a.example.", 1, "c00002"}}}, "a.example. A: data that is no A record"},
      {{{kSoa, {"a.example.", 2, "026e73c00c00"}}}, "malformed, or not of class IN"},
  };
  for (const Row& row : rows) {
    const auto zone = ask([&](const Message& query) {
      std::vector<Message> messages;
      for (const auto& records : row.messages) {
        messages.push_back(message(query, records));
      }
      return messages;
    });
    ASSERT_FALSE(zone.has_value()) << row.error;
    EXPECT_THAT(zone.error().message, HasSubstr("transfer of example. from 127.0.0.1:"));
    EXPECT_THAT(zone.error().message, EndsWith(row.error));
  }
}

TEST(TransferIn, SaysWhatThePrimarySays) {
  const auto refused =
      ask([](const Message& query) { return std::vector<Message>{message(query, {}, 5)}; });
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().message, EndsWith(": the primary says REFUSED"));
  const auto foreign = ask([](const Message& query) {
    Message answer = message(query, {kSoa, kNs, kSoa});
    answer[0] = static_cast<uint8_t>(answer[0] + 1);
    return std::vector<Message>{answer};
  });
  ASSERT_FALSE(foreign.has_value());
  EXPECT_THAT(foreign.error().message, EndsWith(": what is no answer to our query"));
}

TEST(TransferIn, EndsWhenTooLargeTooLateOrCutOff) {
  const auto large = ask(
      [](const Message& query) { return std::vector<Message>(9, message(query, {kSoa, kNs, kA})); },
      std::nullopt, 100);
  ASSERT_FALSE(large.has_value());
  EXPECT_THAT(large.error().message, HasSubstr("a zone of more than 100 bytes"));
  const auto late = ask([](const Message&) { return std::vector<Message>(); });
  ASSERT_FALSE(late.has_value());
  EXPECT_THAT(late.error().message, EndsWith(": no answer within 2000 ms"));
  const auto cut = ask([](const Message& query) {
    Message answer = message(query, {kSoa, kNs});
    answer.resize(answer.size() - 3);
    return std::vector<Message>{answer};
  });
  ASSERT_FALSE(cut.has_value());
  EXPECT_THAT(cut.error().message, EndsWith(": a message cut off in record 1"));
}

// What NSD sends of a file is what the file itself says: names compressed, in as many messages as
// NSD likes, 4,000 records.
TEST(TransferIn, RealPrimarySendsTheZoneOfItsFile) {
  const tests::TemporaryDirectory directory;
  std::string text(kHead);
  for (unsigned i = 0; i < 1000; ++i) {
    text += fmt::format(
        "h{0} A 192.0.2.{1}\nh{0} MX 10 mail.h{0}\nh{0} TXT \"{2}\"\n*.h{0} CNAME h{0}\n", i,
        i % 250, std::string(i % 200, 'x'));
  }
  const std::string path = directory.path() + "/zone";
  write_text(path, text);
  const name::Name apex = name_of("example.");
  const auto nsd = tests::start_nsd(directory.path(), {{apex, path}});
  if (!nsd && nsd.error().code == ErrorCode::not_found) {
    GTEST_SKIP() << nsd.error().message;
  }
  ASSERT_TRUE(nsd.has_value()) << nsd.error().message;
  ASSERT_TRUE(tests::Connection::open(nsd->port, 10'000).has_value());
  TransferOptions options{
      .primary = {.address = *address::parse_address("127.0.0.1"), .port = nsd->port},
      .apex = apex,
      .serial = std::nullopt,
      .timeout_ms = 5000,
      .size_max = 1 << 20};
  const auto sent = transfer_in(options);
  ASSERT_TRUE(sent.has_value()) << sent.error().message;
  ASSERT_TRUE(sent->has_value());
  const auto file = read_zone_file(path, {.apex = apex});
  ASSERT_TRUE(file.has_value()) << file.error().message;
  EXPECT_EQ((*sent)->record_count(), 4002u);
  EXPECT_EQ(lines_of(**sent), lines_of(*file));
  options.serial = 7;  // as the file has it
  const auto again = transfer_in(options);
  ASSERT_TRUE(again.has_value()) << again.error().message;
  EXPECT_FALSE(again->has_value());
  options.apex = name_of("other.test.");
  options.serial = std::nullopt;
  const auto foreign = transfer_in(options);
  ASSERT_FALSE(foreign.has_value());
  EXPECT_THAT(foreign.error().message, HasSubstr("transfer of other.test. from 127.0.0.1:"));
}

TEST(TransferIn, PrimariesAreWrittenInFourWays) {
  EXPECT_EQ(Primary::from_text("192.0.2.1")->to_text(), "192.0.2.1:53");
  EXPECT_EQ(Primary::from_text("192.0.2.1:5300")->to_text(), "192.0.2.1:5300");
  EXPECT_EQ(Primary::from_text("2001:db8::1")->to_text(), "[2001:db8::1]:53");
  EXPECT_EQ(Primary::from_text("[2001:db8::1]:54")->to_text(), "[2001:db8::1]:54");
  EXPECT_THAT(Primary::from_text("primary.example").error().message,
              HasSubstr("primary \"primary.example\": an address"));
}

}  // namespace
}  // namespace merlon::zonefile
