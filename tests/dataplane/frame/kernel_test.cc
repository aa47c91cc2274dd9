// SPDX-License-Identifier: Apache-2.0
// The same frames to Linux and to the parser: a TAP device in a network namespace of the test's
// own, a real UDP socket of each family on its other side. What the parser calls a query the socket
// must have received, with the same bytes from the same sender, and nothing else may it have
// received; the exceptions are rows of frame_rows.cc, each with its reason, and hold strictly too.
//
// A frame that was written to the device goes up the stack at once; a good frame behind it tells
// that there is nothing more to come.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/if_vlan.h>
#include <linux/ipv6.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <map>
#include <random>
#include <thread>

#include "dataplane/frame/frame.h"
#include "tests/support/frame_rows.h"
#include "tests/support/reference_frame.h"
#include "tests/support/seed.h"

namespace merlon::frame {
namespace {

using Buffer = std::vector<uint8_t>;

constexpr const char* kDevice = "mfr0";
constexpr uint16_t kMarkerPort = 7;  // as source; no row and no damage makes it with kMarker

const Buffer kMarker = {'m', 'a', 'r', 'k', 'e', 'r'};

struct Received {
  Buffer message;
  address::Address source;
  uint16_t port = 0;
  bool operator==(const Received&) const = default;
};

bool write_file(const std::string& path, std::string_view text) {
  std::ofstream stream(path);
  stream << text << std::flush;
  return stream.good();
}

bool set_sysctls(const std::string& family, const std::map<std::string, std::string>& values) {
  bool good = true;
  for (const std::string_view device : {"all", "default"}) {
    for (const auto& [name, value] : values) {
      const std::string path =
          "/proc/sys/net/" + family + "/conf/" + std::string(device) + "/" + name;
      good = write_file(path, value) && good;
    }
  }
  return good;
}

// In the namespace that the process has entered.
class Kernel {
 public:
  // "" when it stands, else what could not be made.
  std::string start() {
    tap_ = ::open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (tap_ < 0) {
      return std::string("/dev/net/tun: ") + std::strerror(errno);
    }
    if (!set_sysctls("ipv4", {{"rp_filter", "0"}, {"accept_source_route", "0"}})) {
      return "/proc/sys/net cannot be written";
    }
    if (!set_sysctls("ipv6", {{"accept_dad", "0"}, {"disable_ipv6", "0"}})) {
      return "no IPv6";
    }
    ifreq request = named(kDevice);
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    if (::ioctl(tap_, TUNSETIFF, &request) != 0) {
      return std::string("TAP device: ") + std::strerror(errno);
    }
    v4_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    v6_ = ::socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (!configure_device() || !bind_sockets()) {
      return std::string("addresses of the device: ") + std::strerror(errno);
    }
    has_vlans_ = add_vlan(kDevice, 100) && add_vlan("mfr0.100", 7);
    return settle() ? "" : "good frames do not arrive";
  }

  ~Kernel() {
    for (const int fd : {tap_, v4_, v6_}) {
      if (fd >= 0) {
        ::close(fd);
      }
    }
  }

  // What the sockets received of these frames.
  std::vector<Received> inject(std::initializer_list<Bytes> frames) {
    for (const Bytes frame : frames) {
      put(frame);
    }
    put(tests::build_frame({.source_port = kMarkerPort, .message = kMarker}));
    put(tests::build_frame({.is_v6 = true, .source_port = kMarkerPort, .message = kMarker}));
    std::vector<Received> received;
    EXPECT_TRUE(receive_until_marker(v4_, received));
    EXPECT_TRUE(receive_until_marker(v6_, received));
    return received;
  }

  bool has_vlans() const { return has_vlans_; }

 private:
  static ifreq named(const char* device) {
    ifreq request{};
    std::strncpy(request.ifr_name, device, IFNAMSIZ - 1);
    return request;
  }

  static bool bring_up(int fd, const char* device) {
    ifreq request = named(device);
    request.ifr_flags = IFF_UP;
    return ::ioctl(fd, SIOCSIFFLAGS, &request) == 0;
  }

  // Two addresses of each family: the one of the filter, and another.
  bool configure_device() {
    ifreq request = named(kDevice);
    request.ifr_hwaddr.sa_family = 1;  // ARPHRD_ETHER
    std::memcpy(request.ifr_hwaddr.sa_data, tests::kServerMac.data(), tests::kServerMac.size());
    if (::ioctl(v4_, SIOCSIFHWADDR, &request) != 0 || !bring_up(v4_, kDevice) ||
        !bring_up(v4_, "lo")) {
      return false;
    }
    return add_v4(kDevice, "192.0.2.53") && add_v4("mfr0:1", "192.0.2.99") &&
           add_v6("2001:db8::53") && add_v6("2001:db8::99");
  }

  bool add_v4(const char* label, const char* text) {
    ifreq request = named(label);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    ::inet_pton(AF_INET, text, &address.sin_addr);
    std::memcpy(&request.ifr_addr, &address, sizeof address);
    if (::ioctl(v4_, SIOCSIFADDR, &request) != 0) {
      return false;
    }
    ::inet_pton(AF_INET, "255.255.255.0", &address.sin_addr);
    std::memcpy(&request.ifr_netmask, &address, sizeof address);
    return ::ioctl(v4_, SIOCSIFNETMASK, &request) == 0;
  }

  bool add_v6(const char* text) {
    ifreq device = named(kDevice);
    if (::ioctl(v6_, SIOCGIFINDEX, &device) != 0) {
      return false;
    }
    in6_ifreq request{};
    ::inet_pton(AF_INET6, text, &request.ifr6_addr);
    request.ifr6_prefixlen = 64;
    request.ifr6_ifindex = device.ifr_ifindex;
    return ::ioctl(v6_, SIOCSIFADDR, &request) == 0;
  }

  bool add_vlan(const std::string& device, int id) {
    vlan_ioctl_args request{};
    request.cmd = SET_VLAN_NAME_TYPE_CMD;
    request.u.name_type = VLAN_NAME_TYPE_RAW_PLUS_VID_NO_PAD;
    if (::ioctl(v4_, SIOCSIFVLAN, &request) != 0) {
      return false;
    }
    request = {};
    request.cmd = ADD_VLAN_CMD;
    std::strncpy(request.device1, device.c_str(), sizeof request.device1 - 1);
    request.u.VID = id;
    return ::ioctl(v4_, SIOCSIFVLAN, &request) == 0 &&
           bring_up(v4_, (device + "." + std::to_string(id)).c_str());
  }

  bool bind_sockets() {
    sockaddr_in any4{};
    any4.sin_family = AF_INET;
    any4.sin_port = htons(tests::kServerPort);
    sockaddr_in6 any6{};
    any6.sin6_family = AF_INET6;
    any6.sin6_port = htons(tests::kServerPort);
    const int on = 1;
    return ::setsockopt(v6_, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0 &&
           ::bind(v4_, reinterpret_cast<const sockaddr*>(&any4), sizeof any4) == 0 &&
           ::bind(v6_, reinterpret_cast<const sockaddr*>(&any6), sizeof any6) == 0;
  }

  // Until the device has its carrier and its addresses: as long as a marker of either family is
  // missing.
  bool settle() {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    bool v4 = false;
    bool v6 = false;
    std::vector<Received> received;
    while (!(v4 && v6) && std::chrono::steady_clock::now() < until) {
      put(tests::build_frame({.source_port = kMarkerPort, .message = kMarker}));
      put(tests::build_frame({.is_v6 = true, .source_port = kMarkerPort, .message = kMarker}));
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      v4 = receive_one(v4_).has_value() || v4;
      v6 = receive_one(v6_).has_value() || v6;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    while (receive_one(v4_) || receive_one(v6_)) {
    }
    return v4 && v6;
  }

  // A device refuses what is shorter than an Ethernet header; then nothing is received.
  void put(Bytes frame) {
    const ssize_t written = ::write(tap_, frame.data(), frame.size());
    EXPECT_TRUE(written == static_cast<ssize_t>(frame.size()) || (frame.size() < 14 && written < 0))
        << std::strerror(errno);
    std::array<uint8_t, 2048> answer;  // ICMP, ARP: nobody reads them
    while (::read(tap_, answer.data(), answer.size()) > 0) {
    }
  }

  static std::optional<Received> receive_one(int fd) {
    Buffer room(65536);
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    const ssize_t got =
        ::recvfrom(fd, room.data(), room.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (got < 0) {
      return {};
    }
    room.resize(static_cast<size_t>(got));
    Received received{.message = std::move(room), .source = {}};
    if (from.ss_family == AF_INET) {
      sockaddr_in address;
      std::memcpy(&address, &from, sizeof address);
      received.source = address::Address::v4(ntohl(address.sin_addr.s_addr));
      received.port = ntohs(address.sin_port);
    } else {
      sockaddr_in6 address;
      std::memcpy(&address, &from, sizeof address);
      received.source = address::Address::v6(address::load_network_v6(address.sin6_addr.s6_addr));
      received.port = ntohs(address.sin6_port);
    }
    return received;
  }

  static bool receive_until_marker(int fd, std::vector<Received>& all) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (std::chrono::steady_clock::now() < until) {
      auto one = receive_one(fd);
      if (!one) {
        std::this_thread::yield();
      } else if (one->port == kMarkerPort && one->message == kMarker) {
        return true;
      } else {
        all.push_back(*std::move(one));
      }
    }
    return false;
  }

  int tap_ = -1;
  int v4_ = -1;
  int v6_ = -1;
  bool has_vlans_ = false;
};

// A namespace once entered is kept: one for the process, made by the first test.
bool enter_namespace() {
  static const bool entered =
      ::unshare(CLONE_NEWNET) == 0 || ::unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0;
  return entered;
}

class AgainstKernel : public testing::Test {
 protected:
  void SetUp() override {
    if (!enter_namespace()) {
      GTEST_SKIP() << "no network namespace can be made: " << std::strerror(errno);
    }
    const std::string fault = kernel_.start();
    if (fault == "/proc/sys/net cannot be written" || fault.starts_with("/dev/net/tun") ||
        fault == "no IPv6") {
      GTEST_SKIP() << fault;
    }
    ASSERT_EQ(fault, "");
  }

  Kernel kernel_;
  const Filter filter_ = tests::frame_filter();
};

std::string text_of(const std::vector<Received>& all) {
  std::string text;
  for (const Received& one : all) {
    text += " [" + to_text(one.source) + " " + std::to_string(one.port) + " " +
            to_hex(one.message) + "]";
  }
  return text.empty() ? "nothing" : text;
}

std::vector<Received> expected(Bytes frame, const Layout& layout, const address::Address& source) {
  const Bytes message = frame.subspan(layout.message, layout.message_size);
  return {{Buffer(message.begin(), message.end()), source, layout.source_port}};
}

TEST_F(AgainstKernel, OddFramesAreReceivedWhenTheyAreQueries) {
  size_t compared = 0;
  size_t exceptions = 0;
  for (const tests::FrameRow& row : tests::frame_rows()) {
    const std::vector<Received> received =
        row.before.empty() ? kernel_.inject({row.frame}) : kernel_.inject({row.before, row.frame});
    Layout layout;
    address::Address source;
    const Verdict verdict = parse(row.frame, filter_, {}, layout, source);
    const bool is_query = verdict == Verdict::query;
    ++compared;
    if (row.wants_vlan_device && !kernel_.has_vlans()) {
      EXPECT_TRUE(received.empty()) << row.name;
      ++exceptions;
    } else if (!row.exception.empty()) {
      EXPECT_EQ(received.empty(), is_query)
          << row.name << " is no exception any more: " << row.exception;
      ++exceptions;
    } else if (is_query) {
      const std::vector<Received> wanted = expected(row.frame, layout, source);
      EXPECT_TRUE(received == wanted)
          << row.name << ": kernel " << text_of(received) << ", parser " << text_of(wanted);
    } else {
      EXPECT_TRUE(received.empty()) << row.name << ": kernel " << text_of(received);
    }
  }
  std::printf("%zu frames compared, %zu of them named exceptions\n", compared, exceptions);
}

}  // namespace
}  // namespace merlon::frame
