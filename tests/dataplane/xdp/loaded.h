// SPDX-License-Identifier: Apache-2.0
// The filter, configured and loaded into the kernel, to be run on frames without any interface.
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/xdp/attached.h"
#include "dataplane/xdp/filter.h"
#include "dataplane/xdp/host.h"
#include "dataplane/xdp/trial.h"
#include "tests/dataplane/xdp/frames.h"
#include "tests/support/snapshot_fixture.h"
#include "zones/base/file.h"

namespace merlon::xdp::tests {

inline bool may_load_programs() {
  const Capabilities has = examine_host().capabilities;
  return has.sys_admin && has.net_admin && has.net_raw;
}

#define MERLON_SKIP_WITHOUT_BPF()                                                         \
  if (!::merlon::xdp::tests::may_load_programs()) {                                       \
    GTEST_SKIP() << "needs root (CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_NET_RAW) to load BPF"; \
  }

inline std::vector<address::Address> addresses_of(const std::vector<std::string>& texts) {
  std::vector<address::Address> result;
  for (const std::string& text : texts) {
    result.push_back(address::parse_address(text).value());
  }
  return result;
}

enum class Queue : uint8_t { without_socket, with_socket };

class LoadedFilter {
 public:
  struct Ran {
    uint32_t action = 0;
    std::optional<uint32_t> reason;  // the one counter that went up by one
  };

  LoadedFilter(uint16_t port, const std::vector<std::string>& addresses, Queue queue) {
    auto bytes = read_file(MERLON_XDP_FILTER, 1 << 20).value();
    EXPECT_TRUE(patch_object(bytes, make_config(port, addresses_of(addresses)).value()));
    object_ = bpf_object__open_mem(bytes.data(), bytes.size(), nullptr);
    if (object_ == nullptr || bpf_object__load(object_) != 0) {
      ADD_FAILURE() << "the kernel refused the filter: " << std::strerror(errno);
      return;
    }
    program_ = bpf_program__fd(bpf_object__next_program(object_, nullptr));
    counters_ = bpf_object__find_map_fd_by_name(object_, MERLON_FILTER_COUNTERS_NAME);
    if (queue == Queue::with_socket) {
      socket_.emplace(TrialSocket::create().value());
      const uint32_t key = 0;  // frames run without an interface come from queue 0 of loopback
      const int fd = socket_->fd();
      const int map = bpf_object__find_map_fd_by_name(object_, MERLON_FILTER_SOCKETS_NAME);
      EXPECT_EQ(bpf_map_update_elem(map, &key, &fd, BPF_ANY), 0) << std::strerror(errno);
    }
  }
  LoadedFilter(const LoadedFilter&) = delete;
  LoadedFilter& operator=(const LoadedFilter&) = delete;
  ~LoadedFilter() { bpf_object__close(object_); }

  Ran run(const Frame& frame) {
    LIBBPF_OPTS(bpf_test_run_opts, options);
    std::vector<uint8_t> out(frame.size() + 256);
    options.data_in = frame.data();
    options.data_size_in = static_cast<uint32_t>(frame.size());
    options.data_out = out.data();
    options.data_size_out = static_cast<uint32_t>(out.size());
    options.repeat = 1;
    const std::vector<uint64_t> before = counters();
    if (bpf_prog_test_run_opts(program_, &options) != 0) {
      ADD_FAILURE() << "test run of " << frame.size() << " bytes: " << std::strerror(errno);
      return {};
    }
    out.resize(options.data_size_out);
    EXPECT_EQ(out, frame) << "the filter changed a frame";
    Ran ran{options.retval, std::nullopt};
    const std::vector<uint64_t> after = counters();
    for (uint32_t i = 0; i < merlon_reason_count; ++i) {
      if (after[i] != before[i]) {
        EXPECT_EQ(after[i], before[i] + 1);
        EXPECT_FALSE(ran.reason.has_value()) << "two counters went up";
        ran.reason = i;
      }
    }
    return ran;
  }

  std::vector<uint64_t> counters() const {
    const auto cpus = static_cast<size_t>(libbpf_num_possible_cpus());
    std::vector<uint64_t> per_cpu(cpus);
    std::vector<uint64_t> sums(merlon_reason_count);
    for (uint32_t i = 0; i < merlon_reason_count; ++i) {
      EXPECT_EQ(bpf_map_lookup_elem(counters_, &i, per_cpu.data()), 0);
      for (const uint64_t value : per_cpu) {
        sums[i] += value;
      }
    }
    return sums;
  }

 private:
  bpf_object* object_ = nullptr;
  int program_ = -1;
  int counters_ = -1;
  std::optional<TrialSocket> socket_;
};

}  // namespace merlon::xdp::tests
