// SPDX-License-Identifier: Apache-2.0
// What the machine and this process have of what the engines need.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace merlon::xdp {

struct Capabilities {
  bool net_admin = false;         // attach programs
  bool net_raw = false;           // AF_XDP sockets
  bool bpf = false;               // load programs (or sys_admin)
  bool sys_admin = false;         // look at attached programs
  bool ipc_lock = false;          // packet memory beyond RLIMIT_MEMLOCK
  bool net_bind_service = false;  // ports below 1024
};

struct HugePageCounts {
  uint64_t size_kib = 0;
  uint64_t total = 0;
  uint64_t free = 0;
};

struct CpuFeatures {
  bool sse42 = false;
  bool avx2 = false;
  bool aes = false;
  bool bmi2 = false;
};

struct HostFacts {
  std::string kernel;   // "6.1.0-18-amd64"
  std::string machine;  // "x86_64"
  Capabilities capabilities;
  std::optional<uint64_t> memlock_limit_bytes;  // nothing: unlimited
  HugePageCounts huge_2m{.size_kib = 2048};
  HugePageCounts huge_1g{.size_kib = 1048576};
  uint64_t memory_total_kib = 0;
  uint64_t memory_available_kib = 0;
  uint64_t cpu_count = 0;
  bool has_bpf_filesystem = false;
  std::optional<int> bpf_jit;            // net.core.bpf_jit_enable
  std::optional<int> io_uring_disabled;  // kernel.io_uring_disabled (since 6.6)
  bool io_uring_works = false;           // a ring was made
  std::string io_uring_error;
  uint32_t unprivileged_port_min = 1024;  // net.ipv4.ip_unprivileged_port_start
  CpuFeatures cpu;
};

HostFacts examine_host();

}  // namespace merlon::xdp
