// SPDX-License-Identifier: Apache-2.0
// The dpdk engine over drivers that need nothing: frames in, replies and counters out.
#include <gmock/gmock.h>
#include <rte_errno.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "tests/dataplane/dpdk/port_fixture.h"

namespace merlon::dpdk {
namespace {

using stats::IoCounter;
using testing::HasSubstr;
using tests::Datagram;
using tests::FrameBytes;
using tests::make_frame;

FrameBytes numbered(uint32_t number, size_t size = 40) {
  FrameBytes payload(size);
  std::memcpy(payload.data(), &number, sizeof number);
  return payload;
}

FrameBytes inverted(FrameBytes bytes) {
  for (uint8_t& byte : bytes) {
    byte = static_cast<uint8_t>(~byte);
  }
  return bytes;
}

class DpdkEngine : public PortFixture {
 protected:
  // Packets of the test's own.
  rte_mbuf* packet_of(const FrameBytes& frame) {
    if (pool_ == nullptr) {
      pool_ = ::rte_pktmbuf_pool_create("test_pool", 4095, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
                                        SOCKET_ID_ANY);
      EXPECT_NE(pool_, nullptr) << rte_strerror(rte_errno);
    }
    rte_mbuf* mbuf = ::rte_pktmbuf_alloc(pool_);
    EXPECT_NE(mbuf, nullptr);
    char* data = ::rte_pktmbuf_append(mbuf, static_cast<uint16_t>(frame.size()));
    std::memcpy(data, frame.data(), frame.size());
    return mbuf;
  }
  void TearDown() override {
    PortFixture::TearDown();
    ::rte_mempool_free(pool_);
  }
  // Takes what the engine sent on a ring port.
  std::vector<FrameBytes> take_sent(size_t port) {
    std::vector<FrameBytes> result;
    void* object = nullptr;
    while (::rte_ring_dequeue(ring(port), &object) == 0) {
      auto* mbuf = static_cast<rte_mbuf*>(object);
      const auto* data = rte_pktmbuf_mtod(mbuf, const uint8_t*);
      EXPECT_EQ(mbuf->pkt_len, mbuf->data_len);
      result.emplace_back(data, data + mbuf->data_len);
      ::rte_pktmbuf_free(mbuf);
    }
    return result;
  }

  rte_mempool* pool_ = nullptr;
};

TEST_F(DpdkEngine, TurnsFramesAroundInPlace) {
  const std::vector<Datagram> queries = {
      {.payload = numbered(1)},
      {.source = "2001:db8::10", .destination = "2001:db8::1", .payload = numbered(2, 33)},
      {.source = "198.51.100.7", .source_port = 65535, .vlans = {42}, .payload = numbered(3)},
      {.source = "2001:db8::11",
       .destination = "2001:db8::1",
       .vlans = {7, 8},
       .payload = numbered(4)}};
  std::vector<FrameBytes> frames;
  for (const Datagram& query : queries) {
    frames.push_back(make_frame(query));
  }
  add_pcap_port(frames);
  enter();
  ASSERT_EQ(echo_all(), queries.size());
  const auto replies = sent(0);
  ASSERT_EQ(replies.size(), queries.size());
  for (size_t i = 0; i < queries.size(); ++i) {
    const auto reply = tests::take_apart(replies[i]);
    ASSERT_TRUE(reply.has_value()) << i;  // lengths and checksums are right
    EXPECT_EQ(reply->source, queries[i].destination);
    EXPECT_EQ(reply->destination, queries[i].source);
    EXPECT_EQ(reply->source_port, 53);
    EXPECT_EQ(reply->destination_port, queries[i].source_port);
    EXPECT_EQ(reply->vlans, queries[i].vlans);
    EXPECT_EQ(reply->source_mac, queries[i].destination_mac);
    EXPECT_EQ(reply->destination_mac, queries[i].source_mac);
    EXPECT_EQ(reply->payload, inverted(queries[i].payload));
  }
  EXPECT_EQ(count(IoCounter::rx_packets), 4u);
  EXPECT_EQ(count(IoCounter::rx_bytes), 153u);
  EXPECT_EQ(count(IoCounter::tx_packets), 4u);
  EXPECT_EQ(count(IoCounter::tx_bytes), 153u);
  EXPECT_EQ(port_counter(0, "rx_packets"), 4u);
  EXPECT_EQ(port_counter(0, "tx_packets"), 4u);
}

TEST_F(DpdkEngine, RepliesMayFillTheMtu) {
  add_pcap_port(
      {make_frame({.payload = numbered(1)}), make_frame({.vlans = {1}, .payload = numbered(1)}),
       make_frame(
           {.source = "2001:db8::10", .destination = "2001:db8::1", .payload = numbered(1)})});
  enter();
  ASSERT_EQ(io_->receive(packets_), 3u);
  EXPECT_EQ(packets_[0].capacity, 1472u);
  EXPECT_EQ(packets_[1].capacity, 1472u);
  EXPECT_EQ(packets_[2].capacity, 1452u);
  EXPECT_EQ(address::to_text(packets_[0].source), "192.0.2.10");
  for (io::Packet& packet : std::span(packets_).first(3)) {
    std::memset(packet.message, 0x5a, packet.capacity);
    reply_with(packet, packet.capacity);
  }
  io_->send(std::span(packets_).first(3));
  const auto replies = sent(0);
  ASSERT_EQ(replies.size(), 3u);
  EXPECT_EQ(replies[0].size(), 1514u);
  EXPECT_EQ(replies[1].size(), 1518u);
  EXPECT_EQ(replies[2].size(), 1514u);
  for (const FrameBytes& reply : replies) {
    EXPECT_TRUE(tests::take_apart(reply).has_value());
  }
}

TEST_F(DpdkEngine, CountsWhatIsNotOursAndWhatIsDropped) {
  const Datagram good{.payload = numbered(1)};
  const auto damaged = [&](size_t at, uint8_t value) {
    FrameBytes frame = make_frame(good);
    frame[at] = value;
    return frame;
  };
  constexpr size_t kIp = 14;
  FrameBytes truncated = make_frame(good);
  truncated.resize(truncated.size() - 5);
  add_pcap_port({
      make_frame(good),
      tests::make_arp_request("192.0.2.10", "192.0.2.1"),
      make_frame({.destination_port = 54, .payload = numbered(1)}),
      truncated,                                      // drop_frame_truncated
      damaged(kIp + 10, 0xaa),                        // drop_frame_ip_checksum
      damaged(kIp + 20 + 5, 7),                       // drop_frame_udp_length
      damaged(kIp + 20 + 8, 0xaa),                    // drop_frame_udp_checksum
      make_frame({.source_port = 0, .payload = {}}),  // drop_source_port_zero
      make_frame({.source = "224.0.0.1", .payload = numbered(1)}),
      make_frame({.source = "127.0.0.1", .payload = numbered(1)}),  // drop_frame_source_address
      make_frame({.source = "192.0.2.11", .payload = numbered(2)}),
  });
  enter();
  EXPECT_EQ(echo_all(), 2u);
  EXPECT_EQ(sent(0).size(), 2u);
  EXPECT_EQ(count(IoCounter::drop_not_ours), 2u);
  EXPECT_EQ(count(IoCounter::drop_frame_truncated), 1u);
  EXPECT_EQ(count(IoCounter::drop_frame_ip_checksum), 1u);
  EXPECT_EQ(count(IoCounter::drop_frame_udp_length), 1u);
  EXPECT_EQ(count(IoCounter::drop_frame_udp_checksum), 1u);
  EXPECT_EQ(count(IoCounter::drop_source_port_zero), 1u);
  EXPECT_EQ(count(IoCounter::drop_frame_source_address), 2u);
  EXPECT_EQ(count(IoCounter::drop_frame_ip_header), 0u);
  EXPECT_EQ(count(IoCounter::drop_frame_ip_options), 0u);
  EXPECT_EQ(count(IoCounter::drop_receive_malformed), 0u);
  EXPECT_EQ(count(IoCounter::rx_packets), 2u);
}

TEST_F(DpdkEngine, AnswersOnlyOnItsAddressesAndPort) {
  settings_.addresses = {*address::parse_address("192.0.2.1"),
                         *address::parse_address("2001:db8::1")};
  settings_.port = 5353;
  const auto frame = [](const std::string& destination, uint16_t port) {
    return make_frame({.source = destination.contains(':') ? "2001:db8::10" : "192.0.2.10",
                       .destination = destination,
                       .destination_port = port,
                       .payload = numbered(1)});
  };
  add_pcap_port({frame("192.0.2.1", 5353), frame("192.0.2.2", 5353), frame("192.0.2.1", 53),
                 frame("2001:db8::1", 5353), frame("2001:db8::2", 5353)});
  enter();
  EXPECT_EQ(echo_all(), 2u);
  EXPECT_EQ(count(IoCounter::drop_not_ours), 3u);
}

TEST_F(DpdkEngine, MixedBurstsAnswerEveryQueryOnceAndLeakNothing) {
  std::vector<FrameBytes> frames;
  size_t queries = 0;
  for (uint32_t i = 0; i < 5000; ++i) {
    switch (i * 2654435761u >> 30) {  // a quarter of each kind, without a pattern
      case 0:
        frames.push_back(tests::make_arp_request("192.0.2.10", "192.0.2.1"));
        break;
      case 1:
        frames.push_back(make_frame({.source_port = 0, .payload = numbered(i)}));
        break;
      default:
        frames.push_back(make_frame({.payload = numbered(i)}));
        ++queries;
    }
  }
  add_pcap_port(frames);
  enter();
  const uint64_t free_before = port_counter(0, "buffers_free_queue0");
  std::vector<uint32_t> answered;
  size_t dropped = 0;
  for (int empty = 0; empty < 3;) {
    const size_t count = io_->receive(packets_);
    for (io::Packet& packet : std::span(packets_).first(count)) {
      uint32_t number = 0;
      std::memcpy(&number, packet.message, sizeof number);
      if (number % 5 == 0) {
        ++dropped;  // reply_size stays 0
      } else {
        answered.push_back(number);
        invert(packet, 1);
      }
    }
    io_->send(std::span(packets_).first(count));
    empty = count == 0 ? empty + 1 : 0;
  }
  EXPECT_EQ(answered.size() + dropped, queries);
  const auto replies = sent(0);
  ASSERT_EQ(replies.size(), answered.size());
  for (size_t i = 0; i < replies.size(); ++i) {
    const auto reply = tests::take_apart(replies[i]);
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->payload, inverted(numbered(answered[i])));
  }
  EXPECT_EQ(port_counter(0, "buffers_free_queue0"), free_before);
}

TEST_F(DpdkEngine, PortsTakeTurnsAndRepliesGoBackWhereTheQueryCameFrom) {
  std::vector<FrameBytes> first;
  std::vector<FrameBytes> second;
  for (uint32_t i = 0; i < 200; ++i) {
    first.push_back(make_frame({.source = "192.0.2.10", .payload = numbered(i)}));
    second.push_back(make_frame({.source = "192.0.2.20", .payload = numbered(i)}));
  }
  add_pcap_port(first);
  add_pcap_port(second);
  enter();
  ASSERT_GT(echo(), 0u);
  const address::Address before = packets_[0].source;
  ASSERT_GT(echo(), 0u);
  EXPECT_NE(packets_[0].source, before) << "one port starves the other";
  echo_all();
  for (size_t port = 0; port < 2; ++port) {
    const auto replies = sent(port);
    EXPECT_EQ(replies.size(), 200u);
    for (const FrameBytes& frame : replies) {
      EXPECT_EQ(tests::take_apart(frame)->destination, port == 0 ? "192.0.2.10" : "192.0.2.20");
    }
  }
}

TEST_F(DpdkEngine, LateRepliesFollowTheirQuerysPath) {
  const Datagram query{
      .source = "198.51.100.9", .source_port = 4711, .vlans = {12}, .payload = numbered(1)};
  add_pcap_port({});
  add_pcap_port({make_frame(query), make_frame({.source = "2001:db8::10",
                                                .destination = "2001:db8::1",
                                                .payload = numbered(2)})});
  enter();
  size_t received = 0;
  for (int i = 0; i < 4 && received == 0; ++i) {
    received = io_->receive(packets_);
  }
  ASSERT_EQ(received, 2u);
  const io::Path path = io_->path_of(packets_[0]);
  const io::Path path6 = io_->path_of(packets_[1]);
  EXPECT_EQ(address::to_text(path.source), "198.51.100.9");
  EXPECT_EQ(address::to_text(path.destination), "192.0.2.1");
  EXPECT_EQ(path.source_port, 4711);
  EXPECT_EQ(path.destination_port, 53);
  EXPECT_EQ(address::to_text(path6.destination), "2001:db8::1");
  io_->send(std::span(packets_).first(2));  // no reply now
  EXPECT_EQ(sent(1).size(), 0u);
  const FrameBytes answer = numbered(77, 201);
  io::LateReplies& late = *io_;
  EXPECT_TRUE(late.send_late(path, answer));
  EXPECT_TRUE(late.send_late(path6, answer));
  EXPECT_FALSE(late.send_late(path, FrameBytes(1480))) << "does not fit the MTU";
  EXPECT_EQ(io_->receive(packets_), 0u);
  const auto replies = sent(1);
  ASSERT_EQ(replies.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    const auto reply = tests::take_apart(replies[i]);
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->payload, answer);
    EXPECT_EQ(reply->destination, i == 0 ? "198.51.100.9" : "2001:db8::10");
  }
  EXPECT_EQ(tests::take_apart(replies[0])->destination_port, 4711);
  EXPECT_EQ(tests::take_apart(replies[0])->vlans, query.vlans);
  EXPECT_EQ(count(IoCounter::late_replies), 2u);
  EXPECT_EQ(sent(0).size(), 0u);
}

TEST_F(DpdkEngine, AFullLateRingRefusesAndServesTheOthers) {
  add_pcap_port({make_frame({.payload = numbered(1)})});
  enter();
  ASSERT_EQ(io_->receive(packets_), 1u);
  const io::Path path = io_->path_of(packets_[0]);
  io_->send(std::span(packets_).first(1));
  size_t taken = 0;
  while (io_->send_late(path, numbered(static_cast<uint32_t>(taken)))) {
    ++taken;
  }
  EXPECT_EQ(taken, LateRing::kSlotCount);
  echo_all();
  for (int i = 0; i < 32; ++i) {
    echo();
  }
  const auto replies = sent(0);
  ASSERT_EQ(replies.size(), taken);
  for (uint32_t i = 0; i < replies.size(); ++i) {
    EXPECT_EQ(tests::take_apart(replies[i])->payload, numbered(i));
  }
  EXPECT_TRUE(io_->send_late(path, numbered(0)));
  EXPECT_FALSE(io_->send_late(io::Path{}, numbered(0))) << "a path of nobody";
}

TEST_F(DpdkEngine, TrustsChecksumsThatThePortHasChecked) {
  add_ring_port();
  enter();
  FrameBytes frame = make_frame({.payload = numbered(1)});
  frame[14 + 20 + 6] ^= 0xff;
  rte_mbuf* unchecked = packet_of(frame);
  rte_mbuf* checked = packet_of(frame);
  checked->ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
  ASSERT_EQ(::rte_ring_enqueue(ring(0), unchecked), 0);
  ASSERT_EQ(::rte_ring_enqueue(ring(0), checked), 0);
  EXPECT_EQ(echo(), 1u);
  EXPECT_EQ(count(IoCounter::drop_frame_udp_checksum), 1u);
  const auto replies = take_sent(0);
  ASSERT_EQ(replies.size(), 1u);
  EXPECT_TRUE(tests::take_apart(replies[0]).has_value());
}

TEST_F(DpdkEngine, FramesInSeveralBuffersAreJoinedOrCounted) {
  add_ring_port();
  enter();
  const FrameBytes whole = make_frame({.payload = numbered(1, 400)});
  const auto half = static_cast<std::ptrdiff_t>(whole.size() / 2);
  rte_mbuf* head = packet_of({whole.begin(), whole.begin() + half});
  ASSERT_EQ(::rte_pktmbuf_chain(head, packet_of({whole.begin() + half, whole.end()})), 0);
  rte_mbuf* large = packet_of(FrameBytes(1900));
  ASSERT_EQ(::rte_pktmbuf_chain(large, packet_of(FrameBytes(1900))), 0);
  ASSERT_EQ(::rte_ring_enqueue(ring(0), head), 0);
  ASSERT_EQ(::rte_ring_enqueue(ring(0), large), 0);
  EXPECT_EQ(echo(), 1u);
  const auto replies = take_sent(0);
  ASSERT_EQ(replies.size(), 1u);
  EXPECT_EQ(tests::take_apart(replies[0])->payload, inverted(numbered(1, 400)));
  EXPECT_EQ(count(IoCounter::drop_receive_truncated), 1u);
  EXPECT_EQ(::rte_mempool_in_use_count(pool_), 0u);
}

TEST_F(DpdkEngine, RepliesThatAFullPortDoesNotTakeAreDroppedAndCounted) {
  add_ring_port();
  enter();
  const FrameBytes frame = make_frame({.payload = numbered(1)});
  for (int i = 0; i < 40; ++i) {
    ASSERT_EQ(::rte_ring_enqueue(ring(0), packet_of(frame)), 0);
  }
  ASSERT_EQ(io_->receive(packets_), 40u);
  for (io::Packet& packet : std::span(packets_).first(40)) {
    invert(packet, 1);
  }
  while (::rte_ring_free_count(ring(0)) > 10) {
    ASSERT_EQ(::rte_ring_enqueue(ring(0), packet_of(frame)), 0);
  }
  io_->send(std::span(packets_).first(40));
  EXPECT_EQ(count(IoCounter::tx_packets), 10u);
  EXPECT_EQ(count(IoCounter::tx_bytes), 400u);
  EXPECT_EQ(count(IoCounter::drop_send_failed), 30u);
  take_sent(0);
  EXPECT_EQ(::rte_mempool_in_use_count(pool_), 0u);
}

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

TEST_F(DpdkEngine, AnIdleWorkerGivesItsCoreAwayAndWakesForTheNextPacket) {
  settings_.idle = dataplane::Idle::sleep;
  add_ring_port();
  enter();
  using std::chrono::steady_clock;
  const double cpu_before = cpu_seconds();
  const auto start = steady_clock::now();
  while (steady_clock::now() - start < std::chrono::milliseconds(500)) {
    EXPECT_EQ(echo(), 0u);
  }
  const double share = (cpu_seconds() - cpu_before) / 0.5;
  RecordProperty("idle_cpu_percent", fmt::format("{:.1f}", 100 * share));
  EXPECT_LT(share, 0.25) << "a spinning worker takes all";
  ASSERT_EQ(::rte_ring_enqueue(ring(0), packet_of(make_frame({.payload = numbered(1)}))), 0);
  EXPECT_EQ(echo(), 1u);
  EXPECT_EQ(take_sent(0).size(), 1u);
}

}  // namespace
}  // namespace merlon::dpdk
