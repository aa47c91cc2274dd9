// SPDX-License-Identifier: Apache-2.0
#include "dataplane/xdp/host.h"

#include <linux/capability.h>
#include <linux/io_uring.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <thread>

#include "dataplane/xdp/descriptor.h"

namespace merlon::xdp {
namespace {

constexpr long kBpfFilesystem = 0xcafe4a11;
// Newer than some kernels' headers.
constexpr int kCapabilityBpf = 39;

template <class T>
std::optional<T> read_number(const std::string& path) {
  std::ifstream file(path);
  T value{};
  return file >> value ? std::optional<T>(value) : std::nullopt;
}

Capabilities read_capabilities() {
  __user_cap_header_struct header{};
  header.version = _LINUX_CAPABILITY_VERSION_3;
  __user_cap_data_struct data[2] = {};
  if (::syscall(SYS_capget, &header, data) != 0) {
    return {};
  }
  const auto has = [&data](int number) {
    return (data[number / 32].effective >> (number % 32) & 1) != 0;
  };
  return {.net_admin = has(CAP_NET_ADMIN),
          .net_raw = has(CAP_NET_RAW),
          .bpf = has(kCapabilityBpf),
          .sys_admin = has(CAP_SYS_ADMIN),
          .ipc_lock = has(CAP_IPC_LOCK),
          .net_bind_service = has(CAP_NET_BIND_SERVICE)};
}

void read_huge_pages(HugePageCounts& counts) {
  const std::string folder =
      "/sys/kernel/mm/hugepages/hugepages-" + std::to_string(counts.size_kib) + "kB/";
  counts.total = read_number<uint64_t>(folder + "nr_hugepages").value_or(0);
  counts.free = read_number<uint64_t>(folder + "free_hugepages").value_or(0);
}

void read_memory(HostFacts& facts) {
  std::ifstream file("/proc/meminfo");
  std::string name;
  uint64_t kib = 0;
  std::string unit;
  while (file >> name >> kib && std::getline(file, unit)) {
    if (name == "MemTotal:") {
      facts.memory_total_kib = kib;
    } else if (name == "MemAvailable:") {
      facts.memory_available_kib = kib;
    }
  }
}

// Seccomp profiles refuse io_uring without a word in any sysctl.
void try_io_uring(HostFacts& facts) {
  io_uring_params parameters{};
  const Descriptor ring(static_cast<int>(::syscall(SYS_io_uring_setup, 1, &parameters)));
  facts.io_uring_works = ring.is_open();
  if (!ring.is_open()) {
    facts.io_uring_error = std::strerror(errno);
  }
}

CpuFeatures read_cpu() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  return {.sse42 = __builtin_cpu_supports("sse4.2") != 0,
          .avx2 = __builtin_cpu_supports("avx2") != 0,
          .aes = __builtin_cpu_supports("aes") != 0,
          .bmi2 = __builtin_cpu_supports("bmi2") != 0};
#else
  return {};
#endif
}

}  // namespace

HostFacts examine_host() {
  HostFacts facts;
  utsname name{};
  if (::uname(&name) == 0) {
    facts.kernel = name.release;
    facts.machine = name.machine;
  }
  facts.capabilities = read_capabilities();
  rlimit limit{};
  if (::getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
    facts.memlock_limit_bytes = limit.rlim_cur;
  }
  read_huge_pages(facts.huge_2m);
  read_huge_pages(facts.huge_1g);
  read_memory(facts);
  facts.cpu_count = std::thread::hardware_concurrency();
  struct statfs filesystem{};
  facts.has_bpf_filesystem = ::statfs("/sys/fs/bpf", &filesystem) == 0 &&
                             static_cast<long>(filesystem.f_type) == kBpfFilesystem;
  facts.bpf_jit = read_number<int>("/proc/sys/net/core/bpf_jit_enable");
  facts.io_uring_disabled = read_number<int>("/proc/sys/kernel/io_uring_disabled");
  facts.unprivileged_port_min =
      read_number<uint32_t>("/proc/sys/net/ipv4/ip_unprivileged_port_start").value_or(1024);
  try_io_uring(facts);
  facts.cpu = read_cpu();
  return facts;
}

}  // namespace merlon::xdp
