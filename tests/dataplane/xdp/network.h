// SPDX-License-Identifier: Apache-2.0
// A network namespace of the test process's own with a pair of interfaces in it, gone with the
// process; and the filter attached to one of them as a DPDK port does it.
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <sys/socket.h>

#include <cstdlib>
#include <string>

#include "tests/dataplane/xdp/loaded.h"

namespace merlon::xdp::tests {

inline int shell(const std::string& command) {
  return std::system(command.c_str());
}

// REQUIRES: one thread. Interfaces: mer0 and its peer mer1, two receive queues each, and lo.
inline void enter_own_network() {
  static const bool done = [] {
    return ::unshare(CLONE_NEWNET) == 0 && shell("ip link set lo up") == 0;
  }();
  ASSERT_TRUE(done) << "unshare(CLONE_NEWNET), ip";
  shell("ip link del mer0 2>/dev/null");
  ASSERT_EQ(shell("ip link add mer0 numrxqueues 2 numtxqueues 2 type veth "
                  "peer name mer1 numrxqueues 2 numtxqueues 2 && "
                  "ip link set mer0 up && ip link set mer1 up"),
            0);
}

#define MERLON_ENTER_OWN_NETWORK() \
  MERLON_SKIP_WITHOUT_BPF()        \
  ASSERT_NO_FATAL_FAILURE(::merlon::xdp::tests::enter_own_network())

class AttachedFilter {
 public:
  AttachedFilter(const std::string& path, const std::string& interface, uint32_t mode)
      : object_(bpf_object__open_file(path.c_str(), nullptr)) {
    if (object_ == nullptr || bpf_object__load(object_) != 0) {
      ADD_FAILURE() << path << ": " << std::strerror(errno);
      return;
    }
    const int fd = bpf_program__fd(bpf_object__next_program(object_, nullptr));
    error_ = bpf_xdp_attach(static_cast<int>(::if_nametoindex(interface.c_str())), fd,
                            XDP_FLAGS_UPDATE_IF_NOEXIST | mode, nullptr);
  }
  AttachedFilter(const AttachedFilter&) = delete;
  AttachedFilter& operator=(const AttachedFilter&) = delete;
  // The program stays attached, as that of a process that was killed.
  ~AttachedFilter() { bpf_object__close(object_); }

  int error() const { return error_; }
  bool serve(uint32_t queue, int socket) const {
    const int map = bpf_object__find_map_fd_by_name(object_, MERLON_FILTER_SOCKETS_NAME);
    return bpf_map_update_elem(map, &queue, &socket, BPF_ANY) == 0;
  }

 private:
  bpf_object* object_;
  int error_ = 0;
};

// A socket on a queue of mer0. The kernel gives back the queue of a closed one a moment later.
inline TrialSocket bound_socket(uint32_t queue) {
  TrialSocket socket = TrialSocket::create().value();
  Status done;
  for (int i = 0; i < 1000; ++i) {
    done = socket.bind({.interface_index = ::if_nametoindex("mer0"), .queue = queue, .flags = 0});
    if (done || done.error().code != ErrorCode::busy) {
      break;
    }
    ::usleep(10000);
  }
  EXPECT_TRUE(done) << done.error().message;
  return socket;
}

// Puts a frame on the wire at an interface, so that its peer receives it.
inline void send_frame(const std::string& interface, const Frame& frame) {
  const Descriptor socket(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_ifindex = static_cast<int>(::if_nametoindex(interface.c_str()));
  to.sll_halen = ETH_ALEN;
  ASSERT_EQ(::sendto(socket.get(), frame.data(), frame.size(), 0,
                     reinterpret_cast<const sockaddr*>(&to), sizeof to),
            static_cast<ssize_t>(frame.size()))
      << std::strerror(errno);
}

}  // namespace merlon::xdp::tests
