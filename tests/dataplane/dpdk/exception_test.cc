// SPDX-License-Identifier: Apache-2.0
// The exception path with a real TAP, in a network namespace of the test's own (it needs root).
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <chrono>
#include <cstring>

#include "tests/dataplane/dpdk/port_fixture.h"

namespace merlon::dpdk {
namespace {

using stats::IoCounter;

class ExceptionPathTest : public PortFixture {
 protected:
  void SetUp() override {
    PortFixture::SetUp();
    if (::access("/dev/net/tun", R_OK | W_OK) != 0 || ::unshare(CLONE_NEWNET) != 0) {
      GTEST_SKIP() << "TAP interfaces need CAP_NET_ADMIN: " << std::strerror(errno);
    }
    settings_.exception = dataplane::Exception::tap;
    settings_.exception_name = "mrltest";
  }
  void give_address(const std::string& interface, const char* address) {
    ifreq request{};
    interface.copy(request.ifr_name, IFNAMSIZ - 1);
    sockaddr_in own{};
    own.sin_family = AF_INET;
    ::inet_pton(AF_INET, address, &own.sin_addr);
    std::memcpy(&request.ifr_addr, &own, sizeof own);
    const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(::ioctl(fd, SIOCSIFADDR, &request), 0) << std::strerror(errno);
    ::close(fd);
  }
  bool has_arp_reply() const {
    for (const tests::FrameBytes& frame : sent(0)) {
      if (frame.size() >= 42 && load_be16(&frame[12]) == 0x0806 && load_be16(&frame[20]) == 2) {
        return true;
      }
    }
    return false;
  }
};

TEST_F(ExceptionPathTest, TheKernelAnswersArpWhileWeAnswerQueries) {
  add_pcap_port({tests::make_frame({.payload = {1, 2, 3}}),
                 tests::make_arp_request("192.0.2.10", "192.0.2.1"),
                 tests::make_frame({.payload = {4, 5, 6}})});
  enter();
  EXPECT_EQ(ports_->report()[0].exception, "mrltest0");
  give_address("mrltest0", "192.0.2.1");
  EXPECT_EQ(echo(), 2u);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!has_arp_reply() && std::chrono::steady_clock::now() < deadline) {
    EXPECT_EQ(echo(), 0u);
    ::usleep(1000);
  }
  EXPECT_TRUE(has_arp_reply());
  EXPECT_EQ(count(IoCounter::to_kernel), 1u);
  EXPECT_EQ(count(IoCounter::drop_to_kernel), 0u);
  EXPECT_GE(count(IoCounter::from_kernel), 1u);
  EXPECT_EQ(count(IoCounter::drop_from_kernel), 0u);
  EXPECT_EQ(count(IoCounter::drop_not_ours), 0u);
  EXPECT_EQ(port_counter(0, "exception_to_kernel"), 1u);
  EXPECT_GE(port_counter(0, "exception_from_kernel"), 1u);
}

TEST_F(ExceptionPathTest, TheTapHasThePortsAddressAndGoesWithThePort) {
  add_pcap_port({});
  enter();
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request{};
  std::strcpy(request.ifr_name, "mrltest0");
  ASSERT_EQ(::ioctl(fd, SIOCGIFHWADDR, &request), 0);
  const auto* mac = reinterpret_cast<const uint8_t*>(request.ifr_hwaddr.sa_data);
  EXPECT_EQ(fmt::format("{:02X}:{:02X}:{:02X}:{:02X}:{:02X}:{:02X}", mac[0], mac[1], mac[2], mac[3],
                        mac[4], mac[5]),
            ports_->report()[0].mac);
  ASSERT_EQ(::ioctl(fd, SIOCGIFMTU, &request), 0);
  EXPECT_EQ(request.ifr_mtu, 1500);
  ::close(fd);
  EXPECT_NE(::if_nametoindex("mrltest0"), 0u);
  leave();
  EXPECT_EQ(::if_nametoindex("mrltest0"), 0u);
}

TEST_F(ExceptionPathTest, AFloodForTheKernelIsDroppedAndCountedAndQueriesAreAnswered) {
  std::vector<tests::FrameBytes> frames;
  for (int i = 0; i < 20000; ++i) {
    frames.push_back(tests::make_frame(
        {.destination_port = static_cast<uint16_t>(i % 10 == 0 ? 53 : 54), .payload = {1, 2, 3}}));
  }
  add_pcap_port(frames);
  enter();
  size_t answered = 0;
  for (int empty = 0; empty < 100;) {
    const size_t count = echo();
    answered += count;
    empty = count == 0 ? empty + 1 : 0;
  }
  EXPECT_EQ(answered, 2000u);
  EXPECT_EQ(count(IoCounter::tx_packets), 2000u);
  EXPECT_EQ(count(IoCounter::to_kernel) + count(IoCounter::drop_to_kernel), 18000u);
  EXPECT_EQ(count(IoCounter::drop_send_failed), 0u);
}

TEST_F(ExceptionPathTest, VirtioUserSaysWhatItNeeds) {
  if (::access("/dev/vhost-net", R_OK | W_OK) == 0) {
    GTEST_SKIP() << "this machine has vhost-net";
  }
  settings_.exception = dataplane::Exception::virtio_user;
  add_ring_port();
  const auto ports = Ports::open(settings_, std::span(&counters_, 1));
  ASSERT_FALSE(ports.has_value());
  EXPECT_EQ(ports.error().code, ErrorCode::unsupported);
  EXPECT_NE(ports.error().message.find("/dev/vhost-net"), std::string::npos)
      << ports.error().message;
}

}  // namespace
}  // namespace merlon::dpdk
