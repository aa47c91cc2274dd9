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
#include <linux/ipv6_route.h>
#include <linux/route.h>
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

  // The frame in which the socket's reply to what it received left the host; empty: none left.
  Buffer reply_to(const Received& query, Bytes message) {
    drain();
    sent_.clear();
    if (query.source.family == address::Family::v4) {
      sockaddr_in to{};
      to.sin_family = AF_INET;
      to.sin_port = htons(query.port);
      to.sin_addr.s_addr = htonl(static_cast<uint32_t>(query.source.bits));
      in_pktinfo from{};
      ::inet_pton(AF_INET, tests::kServer4.data(), &from.ipi_spec_dst);
      send(v4_, to, IPPROTO_IP, IP_PKTINFO, from, message);
    } else {
      sockaddr_in6 to{};
      to.sin6_family = AF_INET6;
      to.sin6_port = htons(query.port);
      address::store_network(query.source.bits, to.sin6_addr.s6_addr);
      in6_pktinfo from{};
      from.ipi6_ifindex = static_cast<unsigned>(index_);
      ::inet_pton(AF_INET6, tests::kServer6.data(), &from.ipi6_addr);
      send(v6_, to, IPPROTO_IPV6, IPV6_PKTINFO, from, message);
    }
    drain();
    const auto found = std::ranges::find_if(sent_, [&](const Buffer& frame) {
      return frame.size() >= message.size() &&
             std::ranges::equal(Bytes(frame).last(message.size()), message);
    });
    return found == sent_.end() ? Buffer{} : *found;
  }

  bool has_vlans() const { return has_vlans_; }

 private:
  // From the address that was asked, as a server with several does; whether it can is the question.
  template <class To, class From>
  static void send(int fd, To to, int level, int type, const From& from, Bytes message) {
    alignas(cmsghdr) std::array<uint8_t, CMSG_SPACE(sizeof(From))> control{};
    iovec part{const_cast<uint8_t*>(message.data()), message.size()};
    msghdr header{};
    header.msg_name = &to;
    header.msg_namelen = sizeof to;
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* const first = CMSG_FIRSTHDR(&header);
    first->cmsg_level = level;
    first->cmsg_type = type;
    first->cmsg_len = CMSG_LEN(sizeof from);
    std::memcpy(CMSG_DATA(first), &from, sizeof from);
    (void)::sendmsg(fd, &header, 0);
  }

  static ifreq named(const char* device) {
    ifreq request{};
    std::strncpy(request.ifr_name, device, IFNAMSIZ - 1);
    return request;
  }

  static bool bring_up(int fd, const char* device) {
    ifreq request = named(device);
    request.ifr_flags = IFF_UP | IFF_NOARP;  // replies leave without asking for neighbours
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
           add_v6("2001:db8::53") && add_v6("2001:db8::99") && add_routes();
  }

  // Everything is out there, behind the device.
  bool add_routes() {
    rtentry route{};
    route.rt_dst.sa_family = AF_INET;
    route.rt_gateway.sa_family = AF_INET;
    route.rt_genmask.sa_family = AF_INET;
    route.rt_flags = RTF_UP;
    std::string device = kDevice;
    route.rt_dev = device.data();
    in6_rtmsg route6{};
    ifreq index = named(kDevice);
    if (::ioctl(v6_, SIOCGIFINDEX, &index) != 0) {
      return false;
    }
    index_ = index.ifr_ifindex;
    route6.rtmsg_ifindex = index_;
    route6.rtmsg_flags = RTF_UP;
    route6.rtmsg_metric = 1;
    return ::ioctl(v4_, SIOCADDRT, &route) == 0 && ::ioctl(v6_, SIOCADDRT, &route6) == 0;
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
    drain();
    sent_.clear();
  }

  // What the host sent: replies, ICMP, ARP.
  void drain() {
    std::array<uint8_t, 2048> frame;
    for (ssize_t size = 0; (size = ::read(tap_, frame.data(), frame.size())) > 0;) {
      sent_.emplace_back(frame.begin(), frame.begin() + size);
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

  std::vector<Buffer> sent_;
  int tap_ = -1;
  int v4_ = -1;
  int v6_ = -1;
  int index_ = 0;
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

// Damaged at random, as in property_test.cc, but with a predicate for what may differ.
bool may_differ(Bytes frame, Verdict verdict, Drop drop, bool received) {
  const bool is_tagged = frame.size() >= 14 && (load_be16(frame.data() + 12) == 0x8100 ||
                                                load_be16(frame.data() + 12) == 0x88a8);
  if (!received) {
    return is_tagged;  // a VLAN without a device
  }
  if (verdict == Verdict::drop) {
    return drop == Drop::source_port_zero || drop == Drop::source_address;
  }
  if ((frame[0] & 1) != 0) {
    return true;  // group MAC address
  }
  size_t at = 12;
  while (load_be16(frame.data() + at) == 0x8100 || load_be16(frame.data() + at) == 0x88a8) {
    at += 4;
  }
  const uint8_t* const header = frame.data() + at + 2;
  if (load_be16(frame.data() + at) == 0x86dd) {
    return header[6] != 17 || header[24] == 0xff || header[39] == 0x99;
  }
  const uint32_t destination = load_be32(header + 16);
  const bool is_fragment = (load_be16(header + 6) & 0x3fff) != 0;
  const bool has_options = (header[0] & 15) > 5;  // CIPSO
  return is_fragment || has_options || destination == 0xffffffff || (destination >> 28) == 14 ||
         destination == 0xc0000200 || destination == 0xc00002ff || destination == 0xc0000263;
}

Buffer damage(Buffer frame, std::mt19937_64& random) {
  for (uint64_t steps = 1 + random() % 3; steps > 0 && !frame.empty(); --steps) {
    const size_t at = random() % std::min<size_t>(frame.size(), 70);
    switch (random() % 5) {
      case 0:
      case 1:
        frame[at] ^= static_cast<uint8_t>(1U << (random() % 8));
        break;
      case 2:
        frame[at] = static_cast<uint8_t>(random());
        break;
      case 3:
        frame.resize(frame.size() - std::min<size_t>(frame.size(), random() % 6));
        break;
      default:
        frame.insert(frame.end(), random() % 8, static_cast<uint8_t>(random()));
    }
  }
  if (random() % 4 != 0) {
    tests::fix_frame_checksums(frame);
  }
  return frame;
}

TEST_F(AgainstKernel, DamagedFramesAreReceivedWhenTheyAreQueries) {
  std::mt19937_64 random(test::seed_for("damaged frames"));
  const std::vector<tests::FrameRow> rows = tests::frame_rows();
  size_t queries = 0;
  size_t differ = 0;
  for (int i = 0; i < 20'000; ++i) {
    const Buffer frame = damage(rows[random() % rows.size()].frame, random);
    if (frame.size() > 1514) {
      continue;
    }
    const std::vector<Received> received = kernel_.inject({frame});
    Layout layout;
    address::Address source;
    const Verdict verdict = parse(frame, filter_, {}, layout, source);
    const bool is_query = verdict == Verdict::query;
    if (is_query && !received.empty()) {
      ++queries;
      const std::vector<Received> wanted = expected(frame, layout, source);
      ASSERT_TRUE(received == wanted)
          << to_hex(frame) << ": kernel " << text_of(received) << ", parser " << text_of(wanted);
    } else if (is_query == received.empty()) {
      ++differ;
      ASSERT_TRUE(may_differ(frame, verdict, layout.drop, !received.empty()))
          << to_hex(frame) << ": kernel " << text_of(received) << ", parser "
          << (is_query                   ? "query"
              : verdict == Verdict::drop ? to_string(layout.drop)
                                         : "not ours");
    }
  }
  std::printf("%zu queries with the same message, %zu that may differ\n", queries, differ);
  EXPECT_GT(queries, 2'000u);
}

// The reason that frame.h gives for dropping what a socket receives, and the control to it: to
// every other sender the socket's reply does leave, and says what turn_around's says.
TEST_F(AgainstKernel, RepliesLeaveAsTurnAroundMakesThem) {
  const Buffer message = {0xde, 0xad, 0xbe, 0xef, 0x01};
  size_t replies = 0;
  size_t none = 0;
  for (const tests::FrameRow& row : tests::frame_rows()) {
    const std::vector<Received> received = kernel_.inject({row.frame});
    if (received.size() != 1 || !row.before.empty()) {
      continue;
    }
    const Buffer sent = kernel_.reply_to(received[0], message);
    if (row.exception.find("no reply") != std::string::npos) {
      // To :: means to oneself: what left is for ::1.
      EXPECT_TRUE(sent.empty() || address::load_network_v6(sent.data() + 38) == 1)
          << row.name << ": " << to_hex(sent);
      ++none;
      continue;
    }
    Layout layout;
    address::Address source;
    if (parse(row.frame, filter_, {}, layout, source) != Verdict::query || sent.empty()) {
      // Only to the subnet's broadcast addresses a socket may not reply; it does not matter here.
      EXPECT_TRUE(row.verdict != Verdict::query || row.name == "IPv4, from 192.0.2.0" ||
                  row.name == "IPv4, from 192.0.2.255")
          << row.name << ": no reply left";
      continue;
    }
    Buffer ours = row.frame;
    ours.resize(layout.message + message.size());
    std::ranges::copy(message, ours.begin() + layout.message);
    const Reply reply =
        turn_around(ours, layout, message.size(), tests::slow_sum(message), Checksums::here);
    const Bytes turned = Bytes(ours).subspan(reply.offset, reply.size);
    // The kernel knows no VLAN here and no neighbour, and leaves UDP checksums to the device.
    const size_t addresses = layout.is_v6 ? 8 : 12;
    const size_t ip_header = layout.is_v6 ? 40 : 20;
    const Bytes our_ip = turned.subspan(layout.ip);
    const Bytes kernel_ip = Bytes(sent).subspan(14);
    ASSERT_EQ(our_ip.size(), kernel_ip.size()) << row.name;
    EXPECT_TRUE(std::ranges::equal(our_ip.subspan(addresses, ip_header - addresses + 6),
                                   kernel_ip.subspan(addresses, ip_header - addresses + 6)))
        << row.name << ": " << to_hex(turned) << " and the kernel's " << to_hex(sent);
    ++replies;
  }
  std::printf("%zu replies equal, %zu could not reach the sender\n", replies, none);
  EXPECT_GT(replies, 90u);
  EXPECT_EQ(none, 5u);
}

}  // namespace
}  // namespace merlon::frame
