// SPDX-License-Identifier: Apache-2.0
#include "dataplane/xdp/trial.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <linux/if_xdp.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#ifndef SOL_XDP
#define SOL_XDP 283
#endif

namespace merlon::xdp {
namespace {

constexpr size_t kFrameSize = 4096;
constexpr size_t kFrameCount = 64;
constexpr auto kQueueRelease = std::chrono::milliseconds(300);

// A descriptor, or the errno that the kernel gave instead.
struct Opened {
  explicit Opened(int result) : error(result < 0 ? errno : 0), fd(result) {}
  int error;
  Descriptor fd;

  Finding finding(std::string_view what) const {
    if (error == 0) {
      return {Answer::yes, "", 0};
    }
    const bool may_not = error == EPERM || error == EACCES;
    return {may_not ? Answer::unknown : Answer::no,
            fmt::format("{}: {}", what, std::strerror(error)), error};
  }
};

// r0 = XDP_PASS; exit
Opened load_pass_program() {
  bpf_insn program[2] = {};
  program[0].code = BPF_ALU64 | BPF_MOV | BPF_K;
  program[0].dst_reg = BPF_REG_0;
  program[0].imm = XDP_PASS;
  program[1].code = BPF_JMP | BPF_EXIT;
  return Opened(
      bpf_prog_load(BPF_PROG_TYPE_XDP, "merlon_trial", "Apache-2.0", program, 2, nullptr));
}

// Attached while the descriptor is open.
Opened attach(const Descriptor& program, uint32_t interface_index, uint32_t flags) {
  LIBBPF_OPTS(bpf_link_create_opts, options);
  options.flags = flags;
  return Opened(
      bpf_link_create(program.get(), static_cast<int>(interface_index), BPF_XDP, &options));
}

bool set_option(int fd, int option, const void* value, size_t size) {
  return ::setsockopt(fd, SOL_XDP, option, value, static_cast<socklen_t>(size)) == 0;
}

// Copying works with every driver, so it takes no more than the kernel's socket.
Finding try_socket() {
  const auto socket = TrialSocket::create();
  if (socket) {
    return {Answer::yes, "", 0};
  }
  const bool lacks = socket.error().code == ErrorCode::unsupported;
  return {lacks ? Answer::no : Answer::unknown, socket.error().message, 0};
}

Finding try_zero_copy(uint32_t interface_index, uint32_t queue) {
  Finding finding{Answer::unknown, "", 0};
  {
    auto socket = TrialSocket::create();
    if (!socket) {
      finding.why = socket.error().message;
      return finding;
    }
    const auto bound = socket->bind({interface_index, queue, XDP_ZEROCOPY});
    if (bound) {
      finding.answer = Answer::yes;
    } else {
      const bool is_taken = bound.error().code == ErrorCode::busy;
      finding = {is_taken ? Answer::unknown : Answer::no, bound.error().message, 0};
    }
  }
  // The kernel frees the queue of a closed socket later; the data plane may want it next.
  std::this_thread::sleep_for(kQueueRelease);
  return finding;
}

}  // namespace

std::string_view to_string(Answer answer) {
  constexpr std::string_view kNames[] = {"unknown", "no", "yes"};
  return kNames[static_cast<size_t>(answer)];
}

Result<TrialSocket> TrialSocket::create() {
  Descriptor fd(::socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0));
  if (!fd.is_open()) {
    if (errno == EAFNOSUPPORT) {
      return fail(ErrorCode::unsupported, "this kernel has no AF_XDP (CONFIG_XDP_SOCKETS)");
    }
    return fail_errno("open an AF_XDP socket", errno);
  }
  constexpr size_t kSize = kFrameSize * kFrameCount;
  void* memory = ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    return fail_errno("memory for an AF_XDP socket", errno);
  }
  TrialSocket socket(std::move(fd), {static_cast<uint8_t*>(memory), kSize});
  xdp_umem_reg umem{};
  umem.addr = reinterpret_cast<uintptr_t>(memory);
  umem.len = kSize;
  umem.chunk_size = kFrameSize;
  const int entries = kFrameCount;
  if (!set_option(socket.fd(), XDP_UMEM_REG, &umem, sizeof umem)) {
    return fail_errno("register memory of an AF_XDP socket (CAP_NET_RAW, RLIMIT_MEMLOCK)", errno);
  }
  for (const int ring : {XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING, XDP_RX_RING, XDP_TX_RING}) {
    if (!set_option(socket.fd(), ring, &entries, sizeof entries)) {
      return fail_errno("make a ring of an AF_XDP socket", errno);
    }
  }
  return socket;
}

TrialSocket::~TrialSocket() {
  fd_ = Descriptor();
  if (!memory_.empty()) {
    ::munmap(memory_.data(), memory_.size());
  }
}

Status TrialSocket::bind(const Binding& binding) {
  sockaddr_xdp address{};
  address.sxdp_family = AF_XDP;
  address.sxdp_ifindex = binding.interface_index;
  address.sxdp_queue_id = binding.queue;
  address.sxdp_flags = binding.flags;
  if (::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int error = errno;
    if (error == EBUSY) {
      return fail(ErrorCode::busy, "queue {} has an AF_XDP socket already", binding.queue);
    }
    return fail_errno(fmt::format("bind an AF_XDP socket to queue {}", binding.queue), error);
  }
  return {};
}

Result<uint64_t> TrialSocket::received() const {
  xdp_statistics statistics{};
  socklen_t size = sizeof statistics;
  if (::getsockopt(fd_.get(), SOL_XDP, XDP_STATISTICS, &statistics, &size) != 0) {
    return fail_errno("statistics of an AF_XDP socket", errno);
  }
  return statistics.rx_dropped + statistics.rx_ring_full;
}

Support try_out(const TrialOptions& options) {
  Support support;
  const Opened program = load_pass_program();
  if (program.error != 0) {
    support.native = support.generic = program.finding("load a BPF program");
  } else {
    const Opened native = attach(program.fd, options.interface_index, XDP_FLAGS_DRV_MODE);
    support.native = native.finding("attach in native mode");
    if (native.error == 0) {
      // Not tried: generic mode switches receive offloads off, and not on again.
      support.generic = {Answer::yes, "", 0};
      if (options.zero_copy == ZeroCopyTrial::yes) {
        support.zero_copy = try_zero_copy(options.interface_index, options.queue);
      }
    } else {
      support.generic = attach(program.fd, options.interface_index, XDP_FLAGS_SKB_MODE)
                            .finding("attach in generic mode");
      support.zero_copy = {Answer::no, "only native mode has zero copy", 0};
    }
  }
  support.copy = try_socket();
  return support;
}

}  // namespace merlon::xdp
