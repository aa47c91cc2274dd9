// SPDX-License-Identifier: Apache-2.0
// The socket engines on real loopback sockets. Every test that can run with both engines does: to
// the pipeline they are one.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/udp.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <optional>
#include <set>
#include <thread>

#include "dataplane/io/mmsg_io.h"
#include "dataplane/io/uring_io.h"
#include "zones/base/bytes.h"

namespace merlon::io {
namespace {

using stats::IoCounter;
using std::chrono::steady_clock;

// A UDP client with a connected socket: it hears only replies from the address that it asked.
class Client {
 public:
  explicit Client(const Endpoint& server) {
    fd_ = ::socket(server.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0);
    EXPECT_GE(fd_, 0);
    const int size = 8 << 20;
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<const sockaddr*>(&server.storage), server.size), 0);
  }
  explicit Client(std::string_view server) : Client(*Endpoint::parse(server)) {}
  ~Client() { ::close(fd_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void send(Bytes bytes) {
    EXPECT_EQ(::send(fd_, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  }
  void send_number(uint32_t number) {
    std::array<uint8_t, 40> message{};
    std::memcpy(message.data(), &number, sizeof number);
    send(message);
  }
  std::optional<std::vector<uint8_t>> receive() {
    std::vector<uint8_t> reply(4096);
    const ssize_t n = ::recv(fd_, reply.data(), reply.size(), MSG_DONTWAIT);
    if (n < 0) {
      return std::nullopt;
    }
    reply.resize(static_cast<size_t>(n));
    return reply;
  }
  Endpoint local() const {
    Endpoint endpoint;
    endpoint.size = sizeof endpoint.storage;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&endpoint.storage), &endpoint.size);
    return endpoint;
  }

 private:
  int fd_ = -1;
};

// Queries numbered up to `total`, the next burst when the one before is answered.
void ask_in_bursts(const Endpoint& target, uint32_t total, std::set<uint32_t>& answered) {
  Client client(target);
  for (uint32_t next = 0; next < total;) {
    const uint32_t burst = std::min(1 + next % 199, total - next);
    for (uint32_t i = 0; i < burst; ++i) {
      client.send_number(next++ << 8);
    }
    const auto deadline = steady_clock::now() + std::chrono::seconds(5);
    while (answered.size() < next) {
      const auto reply = client.receive();
      if (!reply) {
        ASSERT_LT(steady_clock::now(), deadline) << "no reply for query " << answered.size();
        std::this_thread::yield();
        continue;
      }
      ASSERT_EQ(reply->size(), 40u);
      ASSERT_EQ((*reply)[0], 0xff);
      uint32_t number = 0;
      std::memcpy(&number, reply->data(), sizeof number);
      answered.insert(number >> 8);
    }
  }
}

template <class Engine>
std::unique_ptr<Engine> make_engine(std::span<const UdpSocket> sockets,
                                    stats::WorkerCounters& counters) {
  if constexpr (std::is_same_v<Engine, UringIo>) {
    auto engine = UringIo::create(sockets, counters);
    return engine ? std::move(*engine) : nullptr;
  } else {
    return MmsgIo::create(sockets, counters);
  }
}

template <class Engine>
class SocketEngine : public testing::Test {
 protected:
  void listen(const std::vector<std::string>& endpoints) {
    for (const std::string& text : endpoints) {
      auto socket = UdpSocket::bind(*Endpoint::parse(text));
      ASSERT_TRUE(socket.has_value()) << socket.error().message;
      sockets_.push_back(std::move(*socket));
    }
  }
  // REQUIRES: listen().
  bool start() {
    engine_ = make_engine<Engine>(sockets_, counters_);
    return engine_ != nullptr;
  }
  uint16_t port(size_t socket = 0) const {
    address::Address address;
    uint16_t port = 0;
    const Endpoint local = sockets_[socket].local();
    read_source(&local.storage, address, port);
    return port;
  }
  // One burst, every message sent back with its first byte inverted.
  size_t echo() {
    const size_t count = engine_->receive(packets_);
    for (Packet& packet : std::span(packets_).first(count)) {
      packet.reply_size = packet.size;
      if (packet.size != 0) {
        packet.message[0] = static_cast<uint8_t>(~packet.message[0]);
      }
    }
    engine_->send(std::span(packets_).first(count));
    return count;
  }
  // Until `count` packets have come, or nothing more does.
  size_t echo_all(size_t count) {
    size_t total = 0;
    const auto deadline = steady_clock::now() + std::chrono::seconds(10);
    while (total < count && steady_clock::now() < deadline) {
      total += echo();
    }
    flush();
    return total;
  }
  // Sends what is queued; there is nothing to receive, so this takes a wait.
  void flush() {
    const size_t count = engine_->receive(packets_);
    engine_->send(std::span(packets_).first(count));
  }
  uint64_t count(IoCounter counter) const { return counters_.get(counter); }

  std::vector<UdpSocket> sockets_;
  stats::WorkerCounters counters_;
  std::unique_ptr<Engine> engine_;
  std::array<Packet, kBurstMax> packets_;
};

using Engines = testing::Types<UringIo, MmsgIo>;
TYPED_TEST_SUITE(SocketEngine, Engines);

#define START_ENGINE()  \
  if (!this->start()) { \
    GTEST_SKIP() << "this machine refuses io_uring; see dataplane_process_test for \
the fallback";          \
  }

TYPED_TEST(SocketEngine, AnswersFromTheAddressThatWasAsked) {
  this->listen({"0.0.0.0:0", "[::]:0", "127.0.0.3:0", "[::1]:0"});
  START_ENGINE();
  const std::string targets[] = {
      fmt::format("127.0.0.1:{}", this->port(0)), fmt::format("127.0.0.2:{}", this->port(0)),
      fmt::format("[::1]:{}", this->port(1)), fmt::format("127.0.0.3:{}", this->port(2)),
      fmt::format("[::1]:{}", this->port(3))};
  for (const std::string& target : targets) {
    Client client(target);
    client.send(std::array<uint8_t, 3>{0x0f, 2, 3});
    ASSERT_EQ(this->echo_all(1), 1u) << target;
    // The packet says who asked.
    const auto reply = client.receive();
    ASSERT_TRUE(reply.has_value()) << target << ": no reply from the address asked";
    EXPECT_EQ(*reply, (std::vector<uint8_t>{0xf0, 2, 3})) << target;
  }
  EXPECT_EQ(this->count(IoCounter::rx_packets), 5u);
  EXPECT_EQ(this->count(IoCounter::tx_packets), 5u);
  EXPECT_EQ(this->count(IoCounter::rx_bytes), 15u);
  EXPECT_EQ(this->count(IoCounter::tx_bytes), 15u);
  EXPECT_EQ(this->count(IoCounter::drop_send_failed), 0u);
}

TYPED_TEST(SocketEngine, PacketsCarryTheirSource) {
  this->listen({"127.0.0.1:0", "[::1]:0"});
  START_ENGINE();
  for (size_t i = 0; i < 2; ++i) {
    Client client(this->sockets_[i].local());
    client.send_number(1);
    ASSERT_EQ(this->engine_->receive(this->packets_), 1u);
    EXPECT_EQ(address::to_text(this->packets_[0].source), i == 0 ? "127.0.0.1" : "::1");
    EXPECT_EQ(this->packets_[0].size, 40u);
    EXPECT_GE(this->packets_[0].capacity, 2048u);
    this->packets_[0].reply_size = 0;
    this->engine_->send(std::span(this->packets_).first(1));
  }
}

// Answers that come after their burst, in another order, from another thread: each reaches its
// asker from the address that was asked.
TYPED_TEST(SocketEngine, LateRepliesFindTheirWay) {
  this->listen({"0.0.0.0:0", "[::]:0", "127.0.0.3:0", "[::1]:0"});
  START_ENGINE();
  struct Row {
    std::string host;
    size_t socket;
  };
  const Row rows[] = {{"127.0.0.1", 0}, {"127.0.0.2", 0}, {"::1", 1}, {"127.0.0.3", 2}, {"::1", 3}};
  std::vector<std::unique_ptr<Client>> clients;
  std::vector<Path> paths;
  for (const Row& row : rows) {
    const bool v6 = row.host == "::1";
    const uint16_t port = this->port(row.socket);
    clients.push_back(std::make_unique<Client>(v6 ? fmt::format("[::1]:{}", port)
                                                  : fmt::format("{}:{}", row.host, port)));
    clients.back()->send_number(static_cast<uint32_t>(clients.size()));
    ASSERT_EQ(this->engine_->receive(this->packets_), 1u) << row.host;
    const Path path = this->engine_->path_of(this->packets_[0]);
    this->packets_[0].reply_size = 0;  // nothing now
    this->engine_->send(std::span(this->packets_).first(1));
    address::Address address;
    uint16_t client_port = 0;
    const Endpoint local = clients.back()->local();
    read_source(&local.storage, address, client_port);
    EXPECT_EQ(path.source, address);
    EXPECT_EQ(path.source_port, client_port);
    EXPECT_EQ(address::to_text(path.destination), row.host);
    EXPECT_EQ(path.destination_port, port);
    paths.push_back(path);
  }
  this->flush();
  std::thread late([&] {
    for (size_t i = paths.size(); i > 0; --i) {
      const std::array<uint8_t, 2> reply{static_cast<uint8_t>(i), 0x55};
      EXPECT_TRUE(this->engine_->send_late(paths[i - 1], reply));
    }
  });
  late.join();
  for (size_t i = 0; i < clients.size(); ++i) {
    const auto reply = clients[i]->receive();
    ASSERT_TRUE(reply.has_value()) << rows[i].host << ": no reply from the address asked";
    EXPECT_EQ(*reply, (std::vector<uint8_t>{static_cast<uint8_t>(i + 1), 0x55}));
    EXPECT_FALSE(clients[i]->receive().has_value());
  }
}

TYPED_TEST(SocketEngine, LateRepliesWithAPathOfNobodyAreRefused) {
  this->listen({"127.0.0.1:0"});
  START_ENGINE();
  Path path{};
  EXPECT_FALSE(this->engine_->send_late(path, std::array<uint8_t, 1>{1}));
  path.return_data.fill(0xff);
  for (uint16_t size = 0; size <= Path::kReturnSizeMax; ++size) {
    path.return_size = size;
    EXPECT_FALSE(this->engine_->send_late(path, std::array<uint8_t, 1>{1}));
  }
}

TYPED_TEST(SocketEngine, TruncatedDatagramsAreCountedNotDelivered) {
  this->listen({"127.0.0.1:0"});
  START_ENGINE();
  Client client(this->sockets_[0].local());
  client.send(std::vector<uint8_t>(4000));
  client.send(std::vector<uint8_t>(60000));
  client.send_number(7);
  EXPECT_EQ(this->echo_all(1), 1u);
  EXPECT_EQ(this->count(IoCounter::drop_receive_truncated), 2u);
  EXPECT_EQ(this->count(IoCounter::rx_packets), 3u);
  EXPECT_EQ(this->count(IoCounter::tx_packets), 1u);
  EXPECT_TRUE(client.receive().has_value());
  EXPECT_FALSE(client.receive().has_value());
}

TYPED_TEST(SocketEngine, EmptyDatagramsDoNotStopTheSocket) {
  this->listen({"127.0.0.1:0"});
  START_ENGINE();
  Client client(this->sockets_[0].local());
  size_t delivered = 0;
  for (int i = 0; i < 50; ++i) {
    client.send({});
    client.send_number(static_cast<uint32_t>(i));
  }
  while (delivered < 100) {
    const size_t count = this->engine_->receive(this->packets_);
    ASSERT_NE(count, 0u);
    for (size_t i = 0; i < count; ++i) {
      EXPECT_TRUE(this->packets_[i].size == 0 || this->packets_[i].size == 40);
      this->packets_[i].reply_size = 0;
    }
    this->engine_->send(std::span(this->packets_).first(count));
    delivered += count;
  }
  EXPECT_EQ(this->count(IoCounter::tx_packets), 0u);
}

TYPED_TEST(SocketEngine, TwentyThousandQueriesWithoutLoss) {
  this->listen({"127.0.0.1:0"});
  START_ENGINE();
  constexpr uint32_t kTotal = 20000;
  std::set<uint32_t> answered;
  std::atomic<bool> done{false};
  std::thread client([&, target = this->sockets_[0].local()] {
    ask_in_bursts(target, kTotal, answered);
    done.store(true);
  });
  while (!done.load()) {
    this->echo();
  }
  client.join();
  EXPECT_EQ(answered.size(), kTotal);
  EXPECT_EQ(this->count(IoCounter::rx_packets), kTotal);
  EXPECT_EQ(this->count(IoCounter::tx_packets), kTotal);
  EXPECT_EQ(this->count(IoCounter::drop_send_failed), 0u);
}

TYPED_TEST(SocketEngine, MoreWaitingThanBuffersAreAllServed) {
  this->listen({"127.0.0.1:0"});
  START_ENGINE();
  Client client(this->sockets_[0].local());
  for (int round = 0; round < 3; ++round) {
    for (uint32_t i = 0; i < 3000; ++i) {
      client.send_number(i);
    }
    EXPECT_EQ(this->echo_all(3000), 3000u);
    size_t replies = 0;
    while (client.receive()) {
      ++replies;
    }
    EXPECT_EQ(replies, 3000u);
  }
}

TYPED_TEST(SocketEngine, ABusySocketDoesNotStarveAnother) {
  this->listen({"127.0.0.1:0", "127.0.0.1:0"});
  START_ENGINE();
  Client busy(this->sockets_[0].local());
  Client quiet(this->sockets_[1].local());
  for (uint32_t i = 0; i < 500; ++i) {
    busy.send_number(i);
  }
  this->echo();
  quiet.send_number(1);
  int bursts = 0;
  while (!quiet.receive()) {
    for (uint32_t i = 0; i < 64; ++i) {  // as many as a burst takes: never empty
      busy.send_number(i);
    }
    this->echo();
    ASSERT_LT(++bursts, 40);
  }
}

TYPED_TEST(SocketEngine, RefusedRepliesAreCounted) {
  this->listen({"127.0.0.1:0"});
  START_ENGINE();
  Client client(this->sockets_[0].local());
  client.send_number(1);
  const Endpoint peer = client.local();
  ASSERT_EQ(::connect(this->sockets_[0].fd(), reinterpret_cast<const sockaddr*>(&peer.storage),
                      peer.size),
            0);
  ASSERT_EQ(::shutdown(this->sockets_[0].fd(), SHUT_WR), 0);
  EXPECT_EQ(this->echo_all(1), 1u);
  this->flush();
  EXPECT_EQ(this->count(IoCounter::tx_packets), 1u);
  EXPECT_EQ(this->count(IoCounter::drop_send_failed), 1u);
  EXPECT_FALSE(client.receive().has_value());
}

TYPED_TEST(SocketEngine, AFailedReceiveIsCountedAndTheSocketGoesOn) {
  this->listen({"127.0.0.1:0"});
  Endpoint closed;
  {
    const auto socket = UdpSocket::bind(*Endpoint::parse("127.0.0.1:0"));
    closed = socket->local();
  }
  const int fd = this->sockets_[0].fd();
  const Endpoint own = this->sockets_[0].local();
  ASSERT_EQ(::connect(fd, reinterpret_cast<const sockaddr*>(&closed.storage), closed.size), 0);
  START_ENGINE();
  ASSERT_EQ(::send(fd, "x", 1, 0), 1);  // nobody listens: ICMP makes an error of the next receive
  for (int i = 0; i < 5 && this->count(IoCounter::receive_errors) == 0; ++i) {
    EXPECT_EQ(this->engine_->receive(this->packets_), 0u);
  }
  EXPECT_GE(this->count(IoCounter::receive_errors), 1u);
  sockaddr nobody{};
  nobody.sa_family = AF_UNSPEC;
  ASSERT_EQ(::connect(fd, &nobody, sizeof nobody), 0);  // disconnected, and unbound by that
  ASSERT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&own.storage), own.size), 0);
  Client client(own);
  client.send_number(1);
  EXPECT_EQ(this->echo_all(1), 1u);
  EXPECT_TRUE(client.receive().has_value());
}

// Only sockets of another family have such senders: one takes the place of the UDP socket.
TYPED_TEST(SocketEngine, SendersWithoutAnIpAddressAreMalformed) {
  this->listen({"127.0.0.1:0"});
  std::array<int, 2> pair{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair.data()), 0);
  ASSERT_GE(::dup2(pair[0], this->sockets_[0].fd()), 0);
  START_ENGINE();
  ASSERT_EQ(::send(pair[1], "abc", 3, 0), 3);
  EXPECT_EQ(this->engine_->receive(this->packets_), 0u);
  EXPECT_EQ(this->count(IoCounter::drop_receive_malformed), 1u);
  EXPECT_EQ(this->count(IoCounter::rx_packets), 0u);
  ::close(pair[0]);
  ::close(pair[1]);
}

// No UDP socket has port 0; only a raw socket can write such a header.
TYPED_TEST(SocketEngine, SourcePortZeroIsDropped) {
  this->listen({"127.0.0.1:0"});
  const int raw = ::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP);
  if (raw < 0) {
    GTEST_SKIP() << "raw sockets need CAP_NET_RAW: " << std::strerror(errno);
  }
  START_ENGINE();
  std::array<uint8_t, sizeof(udphdr) + 12> datagram{};
  udphdr header{};
  header.uh_dport = htons(this->port());
  header.uh_ulen = htons(datagram.size());
  std::memcpy(datagram.data(), &header, sizeof header);  // checksum 0: none
  sockaddr_in target{};
  target.sin_family = AF_INET;
  target.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::sendto(raw, datagram.data(), datagram.size(), 0,
                     reinterpret_cast<const sockaddr*>(&target), sizeof target),
            static_cast<ssize_t>(datagram.size()));
  ::close(raw);
  EXPECT_EQ(this->engine_->receive(this->packets_), 0u);
  EXPECT_EQ(this->count(IoCounter::drop_source_port_zero), 1u);
  EXPECT_EQ(this->count(IoCounter::rx_packets), 1u);
}

TYPED_TEST(SocketEngine, WaitsNotLongerThanATenthOfASecond) {
  this->listen({"127.0.0.1:0"});
  START_ENGINE();
  const auto start = steady_clock::now();
  EXPECT_EQ(this->engine_->receive(this->packets_), 0u);
  const auto waited = steady_clock::now() - start;
  EXPECT_GT(waited, std::chrono::milliseconds(50));
  EXPECT_LT(waited, std::chrono::milliseconds(1000));
}

TYPED_TEST(SocketEngine, CanBeTakenApartAtAnyTime) {
  this->listen({"127.0.0.1:0"});
  Client client(this->sockets_[0].local());
  for (int round = 0; round < 20; ++round) {
    START_ENGINE();
    for (uint32_t i = 0; i < 100; ++i) {
      client.send_number(i);
    }
    const size_t served = this->echo();  // armed, with packets waiting and replies on their way
    EXPECT_GT(served, 0u);
    this->engine_.reset();
    size_t replies = 0;
    while (client.receive()) {
      ++replies;
    }
    EXPECT_EQ(replies, served) << "replies of the last burst were lost";
  }
}

class BufferRing : public SocketEngine<UringIo> {
 protected:
  // Takes packets without giving any back, as long as they come.
  std::vector<Packet> hold(size_t want) {
    std::vector<Packet> held;
    for (int empty = 0; held.size() < want && empty < 2;) {
      const size_t count = engine_->receive(packets_);
      held.insert(held.end(), packets_.begin(),
                  packets_.begin() + static_cast<std::ptrdiff_t>(count));
      empty = count == 0 ? empty + 1 : 0;
    }
    return held;
  }
  void give_back(std::vector<Packet>& held) {
    for (Packet& packet : held) {
      packet.reply_size = packet.size;
    }
    for (size_t at = 0; at < held.size(); at += kBurstMax) {
      engine_->send(std::span(held).subspan(at, std::min(kBurstMax, held.size() - at)));
    }
  }
};

TEST_F(BufferRing, ExhaustionIsCountedAndAllBuffersComeBack) {
  listen({"127.0.0.1:0"});
  START_ENGINE();
  Client client(sockets_[0].local());
  size_t replies = 0;
  for (int round = 0; round < 4; ++round) {
    for (uint32_t i = 0; i < 1200; ++i) {
      client.send_number(i);
    }
    std::vector<Packet> held = hold(1200);
    EXPECT_EQ(held.size(), 1024u) << "buffers leaked before round " << round;
    std::set<uint8_t*> places;
    for (const Packet& packet : held) {
      places.insert(packet.message);
    }
    EXPECT_EQ(places.size(), 1024u) << "a buffer was handed out twice";
    EXPECT_GT(count(IoCounter::buffers_exhausted), 0u);
    give_back(held);
    held = hold(1200 - 1024);
    EXPECT_EQ(held.size(), 1200u - 1024u);
    give_back(held);
    flush();
    while (client.receive()) {
      ++replies;
    }
  }
  EXPECT_EQ(replies, 4u * 1200u);
  EXPECT_EQ(count(IoCounter::drop_send_failed), 0u);
}

TEST_F(BufferRing, DroppedPacketsGiveTheirBuffersBack) {
  listen({"127.0.0.1:0"});
  START_ENGINE();
  Client client(sockets_[0].local());
  for (int round = 0; round < 60; ++round) {
    for (uint32_t i = 0; i < 64; ++i) {
      client.send_number(i);
    }
    for (size_t got = 0; got < 64;) {
      const size_t count = engine_->receive(packets_);
      ASSERT_NE(count, 0u);
      for (Packet& packet : std::span(packets_).first(count)) {
        packet.reply_size = 0;
      }
      engine_->send(std::span(packets_).first(count));
      got += count;
    }
  }
  EXPECT_EQ(count(IoCounter::buffers_exhausted), 0u);
}

}  // namespace
}  // namespace merlon::io
