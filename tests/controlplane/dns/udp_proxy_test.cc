// SPDX-License-Identifier: Apache-2.0
// The control plane's end of the slow path over its real socket.
#include "controlplane/dns/udp_proxy.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <functional>
#include <optional>
#include <thread>

#include "controlplane/dns/socket.h"
#include "tests/controlplane/dns/fake_services.h"
#include "tests/controlplane/dns/special_queries.h"
#include "tests/support/snapshot_fixture.h"
#include "zones/answer/answer.h"
#include "zones/proxy/proxy.h"

namespace merlon::tests {
namespace {

using dns::UdpProxyCounter;
using dns::UdpProxyServer;

constexpr std::array<uint8_t, 4> kId = {9, 8, 7, 6};

bool comes_true(const std::function<bool()>& condition) {
  for (int i = 0; i < 20'000; ++i) {
    if (condition()) {
      return true;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

// What a data plane is to the server.
class DataPlane {
 public:
  explicit DataPlane(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    fd_ = dns::Fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    connected_ =
        ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  bool connected() const { return connected_; }
  bool send_raw(Bytes datagram) {
    return ::send(fd_.get(), datagram.data(), datagram.size(), MSG_NOSIGNAL) ==
           static_cast<ssize_t>(datagram.size());
  }
  bool send(Bytes message, std::string_view source, Bytes id = kId) {
    SpecialMessage datagram(proxy::kHeaderSizeMax);
    const address::Address from = *address::parse_address(source);
    datagram.resize(proxy::write({.source = from,
                                  .destination = {from.family, 0x35},
                                  .source_port = 40'000,
                                  .destination_port = 53,
                                  .unique_id = id},
                                 datagram));
    datagram.insert(datagram.end(), message.begin(), message.end());
    return send_raw(datagram);
  }
  // The next answer, whose header is checked against what send() wrote.
  std::optional<SpecialMessage> receive(std::string_view source, Bytes id = kId) {
    pollfd polled{fd_.get(), POLLIN, 0};
    SpecialMessage datagram(70'000);
    if (::poll(&polled, 1, 20'000) != 1) {
      return std::nullopt;
    }
    const ssize_t n = ::recv(fd_.get(), datagram.data(), datagram.size(), 0);
    if (n <= 0) {
      return std::nullopt;
    }
    datagram.resize(static_cast<size_t>(n));
    proxy::Header header;
    Bytes message;
    EXPECT_EQ(proxy::parse(datagram, header, message), proxy::Fault::none);
    EXPECT_EQ(header.destination, *address::parse_address(source));
    EXPECT_EQ(header.destination_port, 40'000);
    EXPECT_EQ(header.source_port, 53);
    EXPECT_TRUE(header.source.bits == 0x35);
    EXPECT_TRUE(std::ranges::equal(header.unique_id, id));
    return SpecialMessage(message.begin(), message.end());
  }
  std::optional<SpecialMessage> ask(Bytes message, std::string_view source = "192.0.2.10") {
    return send(message, source) ? receive(source) : std::nullopt;
  }

 private:
  dns::Fd fd_;
  bool connected_ = false;
};

class UdpProxyTest : public testing::Test {
 protected:
  void SetUp() override {
    slot_.set(fixture_.snapshot);
    auto started = UdpProxyServer::start({.socket_path = path_}, slot_);
    ASSERT_TRUE(started.has_value()) << started.error().message;
    server_ = std::move(*started);
  }
  SpecialMessage expected(const SpecialMessage& query, std::string_view source) const {
    answer::Query parsed;
    const answer::Limits limits{.transport = answer::Transport::udp};
    std::vector<uint8_t> scratch(65535);
    answer::Reply reply = answer::answer(*fixture_.snapshot, query, fixture_.subject(source),
                                         limits, parsed, scratch);
    SpecialMessage out(4096);
    std::ranges::copy(query, out.begin());
    out.resize(answer::compose(parsed, reply, limits, out, query.size()));
    return out;
  }
  uint64_t count(UdpProxyCounter counter) const { return server_->count(counter); }

  TemporaryDirectory folder_;
  std::string path_ = folder_.path() + "/slow.sock";
  Fixture fixture_ = make_fixture();
  dns::SnapshotSlot slot_;
  std::unique_ptr<UdpProxyServer> server_;
};

TEST_F(UdpProxyTest, AnswersAsTheRealSourceMaySee) {
  DataPlane plane(path_);
  for (const std::string_view source :
       {"192.0.2.10", "198.51.100.7", "203.0.113.1", "203.0.113.2", "203.0.113.3", "8.8.8.8",
        "2001:db8:7::10", "2001:db8:9::1", "2001:4860::1"}) {
    for (const std::string_view name :
         {"small.merlon.internal.", "premium.merlon.internal.", "block.acme.merlon.internal.",
          "block.zeta.merlon.internal.", "basic.merlon.internal.", "example.org."}) {
      const SpecialMessage query = make_query({.name = name, .edns = true});
      const auto reply = plane.ask(query, source);
      ASSERT_TRUE(reply.has_value());
      EXPECT_EQ(to_hex(*reply), to_hex(expected(query, source))) << name << " " << source;
    }
  }
  EXPECT_EQ(count(UdpProxyCounter::queries), 54u);
  EXPECT_TRUE(comes_true([&] { return count(UdpProxyCounter::answers) == 54; }));
  EXPECT_EQ(count(UdpProxyCounter::special), 0u);
}

TEST_F(UdpProxyTest, AnswersTheSpecialKinds) {
  DataPlane plane(path_);
  const auto rcode_of = [&](const SpecialMessage& message, std::string_view source) {
    const auto reply = plane.ask(message, source);
    return reply ? load_be16(reply->data() + 2) & wire::flag::rcode_mask : -1;
  };
  const SpecialMessage with_tsig = signed_query({});
  EXPECT_EQ(rcode_of(with_tsig, "192.0.2.10"), wire::rcode::notauth);
  EXPECT_EQ(rcode_of(make_query({.type = wire::type::soa, .flags = 0x2000}), "192.0.2.10"),
            wire::rcode::notauth);
  EXPECT_EQ(rcode_of(make_query({.flags = 0x2800}), "192.0.2.10"), wire::rcode::notimp);
  EXPECT_EQ(rcode_of(ixfr_query("merlon.internal.", 0), "192.0.2.10"), wire::rcode::noerror);
  EXPECT_EQ(rcode_of(ixfr_query("zeta.merlon.internal.", 0), "192.0.2.10"), wire::rcode::refused);
  EXPECT_EQ(rcode_of(ixfr_query("zeta.merlon.internal.", 0), "198.51.100.7"), wire::rcode::noerror);
  EXPECT_EQ(count(UdpProxyCounter::special), 6u);
  // Who may not ask at all is told so, whatever he asks.
  EXPECT_EQ(rcode_of(with_tsig, "8.8.8.8"), wire::rcode::refused);
  EXPECT_EQ(rcode_of(ixfr_query("merlon.internal.", 0), "203.0.113.2"), wire::rcode::refused);
  EXPECT_EQ(count(UdpProxyCounter::special), 6u);
}

class UdpProxyServiceTest : public UdpProxyTest {
 protected:
  void SetUp() override {
    slot_.set(fixture_.snapshot);
    auto started =
        UdpProxyServer::start({.socket_path = path_, .services = {&special_, &forwarder_}}, slot_);
    ASSERT_TRUE(started.has_value()) << started.error().message;
    server_ = std::move(*started);
  }
  static SpecialMessage ask_for(uint16_t type, uint16_t id) {
    return make_query({.name = "merlon.internal.", .type = type, .id = id, .edns = true});
  }

  FakeSpecial special_;
  FakeForwarder forwarder_;
};

TEST_F(UdpProxyServiceTest, ServicesAnswerWhoMayAsk) {
  DataPlane plane(path_);
  EXPECT_EQ(plane.ask(ask_for(kAskWhole, 3)), FakeSpecial::whole_answer(3));
  const auto seen = special_.clients();
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].source, *address::parse_address("192.0.2.10"));
  EXPECT_EQ(seen[0].source_port, 40'000);
  EXPECT_EQ(seen[0].transport, answer::Transport::udp);
  ASSERT_TRUE(plane.ask(ask_for(kAskWhole, 3), "8.8.8.8").has_value());
  ASSERT_TRUE(plane.ask(ask_for(kAskForwarded, 3), "203.0.113.2").has_value());
  EXPECT_EQ(special_.clients().size(), 1u);
  EXPECT_EQ(forwarder_.count(), 0u);
}

TEST_F(UdpProxyServiceTest, LookedUpAnswersComeWhenTheyAreKnown) {
  DataPlane plane(path_);
  constexpr std::array<uint8_t, 1> kFirst = {1};
  constexpr std::array<uint8_t, 1> kSecond = {2};
  ASSERT_TRUE(plane.send(ask_for(kAskForwarded, 1), "192.0.2.10", kFirst));
  ASSERT_TRUE(plane.send(ask_for(kAskForwarded, 2), "2001:db8:7::10", kSecond));
  ASSERT_TRUE(forwarder_.waits_for(2));
  EXPECT_EQ(plane.ask(make_query({})), expected(make_query({}), "192.0.2.10"));
  forwarder_.finish(1, FakeSpecial::whole_answer(2));
  EXPECT_EQ(plane.receive("2001:db8:7::10", kSecond), FakeSpecial::whole_answer(2));
  forwarder_.finish(0, FakeSpecial::whole_answer(1));
  EXPECT_EQ(plane.receive("192.0.2.10", kFirst), FakeSpecial::whole_answer(1));
  // No answer ends the data plane's wait, too.
  ASSERT_TRUE(plane.send(ask_for(kAskForwarded, 3), "192.0.2.10", kFirst));
  ASSERT_TRUE(forwarder_.waits_for(3));
  forwarder_.finish(2, {});
  EXPECT_EQ(plane.receive("192.0.2.10", kFirst), SpecialMessage());
  EXPECT_EQ(count(UdpProxyCounter::forwarded), 3u);
}

TEST_F(UdpProxyServiceTest, WhatIsTooLargeForTheClientIsCut) {
  DataPlane plane(path_);
  const SpecialMessage query = ask_for(kAskLarge, 3);
  const auto direct = plane.ask(query);
  SpecialMessage large = query;
  store_be16(large.data() + 2, 0x8400);
  large.resize(FakeSpecial::kLargeSize);
  ASSERT_TRUE(plane.send(ask_for(kAskForwarded, 3), "192.0.2.10"));
  ASSERT_TRUE(forwarder_.waits_for(1));
  forwarder_.finish(0, large);
  const auto late = plane.receive("192.0.2.10");
  for (const auto& reply : {direct, late}) {
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->size(), query.size());  // header, question, OPT
    EXPECT_EQ(load_be16(reply->data() + 2), 0x8400 | wire::flag::tc);
    EXPECT_EQ(load_be16(reply->data() + 4), 1);
    EXPECT_EQ(load_be16(reply->data() + 6), 0);
    EXPECT_EQ(load_be16(reply->data() + 10), 1);
    EXPECT_TRUE(std::ranges::equal(Bytes(*reply).subspan(12, query.size() - 12 - 11),
                                   Bytes(query).subspan(12, query.size() - 12 - 11)));
  }
}

TEST_F(UdpProxyServiceTest, AStreamIsNotForUdp) {
  DataPlane plane(path_);
  const auto reply = plane.ask(ask_for(kAskStream, 3));
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(load_be16(reply->data() + 2) & wire::flag::rcode_mask, wire::rcode::notimp);
  EXPECT_EQ(special_.streams_open(), 0);
}

TEST_F(UdpProxyServiceTest, AnAnswerForADataPlaneThatIsGoneIsDropped) {
  {
    DataPlane gone(path_);
    ASSERT_TRUE(gone.send(ask_for(kAskForwarded, 1), "192.0.2.10"));
    ASSERT_TRUE(forwarder_.waits_for(1));
  }
  DataPlane plane(path_);
  ASSERT_TRUE(plane.ask(make_query({})).has_value());
  forwarder_.finish(0, FakeSpecial::whole_answer(1));
  EXPECT_TRUE(comes_true([&] { return count(UdpProxyCounter::too_late) == 1; }));
  EXPECT_TRUE(plane.ask(make_query({})).has_value());
  server_.reset();
  forwarder_.finish(0, FakeSpecial::whole_answer(1));  // after the server's end
}

TEST_F(UdpProxyTest, WhatGetsNoAnswerEndsTheWait) {
  DataPlane plane(path_);
  const auto ignored = plane.ask(make_query({}), "203.0.113.4");
  ASSERT_TRUE(ignored.has_value());
  EXPECT_TRUE(ignored->empty());
  const auto response = plane.ask(make_query({.flags = 0x8000}));
  ASSERT_TRUE(response.has_value());
  EXPECT_TRUE(response->empty());
  EXPECT_TRUE(comes_true([&] { return count(UdpProxyCounter::silent) == 2; }));
}

TEST_F(UdpProxyTest, WithoutASnapshotItIsServfail) {
  slot_.set(nullptr);
  DataPlane plane(path_);
  const auto reply = plane.ask(make_query({}));
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(load_be16(reply->data() + 2) & wire::flag::rcode_mask, wire::rcode::servfail);
  EXPECT_EQ(count(UdpProxyCounter::no_snapshot), 1u);
  slot_.set(fixture_.snapshot);
  const auto next = plane.ask(make_query({}));
  ASSERT_TRUE(next.has_value());
  EXPECT_EQ(*next, expected(make_query({}), "192.0.2.10"));
}

TEST_F(UdpProxyTest, MalformedMessagesAreCountedAndHurtNobody) {
  DataPlane plane(path_);
  const SpecialMessage query = make_query({});
  ASSERT_TRUE(plane.send_raw(query));               // no header
  ASSERT_TRUE(plane.send(query, "192.0.2.1", {}));  // no unique id
  ASSERT_TRUE(plane.send(Bytes(query).first(11), "192.0.2.1"));
  SpecialMessage large(20'000);
  ASSERT_TRUE(plane.send(large, "192.0.2.1"));
  EXPECT_TRUE(comes_true([&] { return count(UdpProxyCounter::malformed) == 4; }));
  const auto reply = plane.ask(query);
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(*reply, expected(query, "192.0.2.10"));
  EXPECT_EQ(count(UdpProxyCounter::queries), 1u);
}

TEST_F(UdpProxyTest, TwoDataPlanesGetEachItsOwn) {
  DataPlane first(path_);
  DataPlane second(path_);
  constexpr std::array<uint8_t, 2> kOne = {0, 1};
  constexpr std::array<uint8_t, 2> kTwo = {0, 2};
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(first.send(make_query({.id = 1}), "192.0.2.10", kOne));
    ASSERT_TRUE(second.send(make_query({.id = 2}), "198.51.100.7", kTwo));
  }
  for (int i = 0; i < 200; ++i) {
    const auto one = first.receive("192.0.2.10", kOne);
    const auto two = second.receive("198.51.100.7", kTwo);
    ASSERT_TRUE(one.has_value() && two.has_value());
    EXPECT_EQ(load_be16(one->data()), 1);
    EXPECT_EQ(load_be16(two->data()), 2);
  }
}

TEST_F(UdpProxyTest, ADataPlaneThatDoesNotReadStopsNobody) {
  DataPlane deaf(path_);
  std::atomic<bool> stop{false};
  std::thread flood([&] {
    while (!stop.load() && count(UdpProxyCounter::send_failed) == 0) {
      deaf.send(make_query({}), "192.0.2.10");
    }
  });
  EXPECT_TRUE(comes_true([&] { return count(UdpProxyCounter::send_failed) > 0; }));
  DataPlane other(path_);
  const auto reply = other.ask(make_query({}));
  stop.store(true);
  flood.join();
  ASSERT_TRUE(reply.has_value());
  EXPECT_EQ(*reply, expected(make_query({}), "192.0.2.10"));
}

TEST_F(UdpProxyTest, SocketIsForOwnerAndGroup) {
  struct stat info{};
  ASSERT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_TRUE(S_ISSOCK(info.st_mode));
  EXPECT_EQ(info.st_mode & 0777, 0660u);
  server_.reset();
  EXPECT_NE(::stat(path_.c_str(), &info), 0);  // it takes its file with it
}

TEST_F(UdpProxyTest, ALiveSocketIsNotTakenAndADeadOneIs) {
  const auto second = UdpProxyServer::start({.socket_path = path_}, slot_);
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().code, ErrorCode::conflict);
  EXPECT_NE(second.error().message.find(path_), std::string::npos);
  DataPlane plane(path_);
  EXPECT_TRUE(plane.ask(make_query({})).has_value());  // and the first one lives on
  // A killed process leaves its file.
  const std::string stale = folder_.path() + "/stale.sock";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, stale.data(), stale.size());
  {
    const dns::Fd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  EXPECT_TRUE(UdpProxyServer::start({.socket_path = stale}, slot_).has_value());
  const std::string file = folder_.path() + "/file";
  std::ofstream(file) << "precious";
  EXPECT_EQ(UdpProxyServer::start({.socket_path = file}, slot_).error().code, ErrorCode::conflict);
  EXPECT_EQ(UdpProxyServer::start({.socket_path = std::string(200, 'x')}, slot_).error().code,
            ErrorCode::invalid_argument);
  EXPECT_EQ(UdpProxyServer::start({.socket_path = folder_.path() + "/no/s"}, slot_).error().code,
            ErrorCode::not_found);
}

TEST(UdpProxyCounters, HaveNames) {
  EXPECT_EQ(dns::to_string(UdpProxyCounter::queries), "queries");
  EXPECT_EQ(dns::to_string(UdpProxyCounter::connections_refused), "connections_refused");
}

}  // namespace
}  // namespace merlon::tests
