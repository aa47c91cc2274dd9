// SPDX-License-Identifier: Apache-2.0
// xsk-sink OBJECT PORT INTERFACE RUNTIME_DIRECTORY [ADDRESS..]
// Attaches the filter as a DPDK port does (and as the data plane does, takes away what was left
// behind before), serves queue 0 with a socket that swallows everything, and says "ready". At
// SIGTERM it prints the filter's counters, one "name number" a line, and detaches.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <signal.h>

#include <cstdlib>

#include "dataplane/xdp/attached.h"
#include "dataplane/xdp/filter.h"
#include "dataplane/xdp/trial.h"

namespace merlon::xdp {
namespace {

[[noreturn]] void give_up(std::string_view what) {
  fmt::print(stderr, "xsk-sink: {}\n", what);
  std::exit(1);
}

template <class T>
T need(Result<T> result) {
  if (!result) {
    give_up(result.error().message);
  }
  if constexpr (!std::is_void_v<T>) {
    return std::move(*result);
  }
}

int run(std::span<char*> arguments) {
  if (arguments.size() < 5) {
    give_up("usage: xsk-sink OBJECT PORT INTERFACE RUNTIME_DIRECTORY [ADDRESS..]");
  }
  FilterOptions options{.object_path = arguments[1],
                        .port = static_cast<uint16_t>(std::atoi(arguments[2])),
                        .addresses = {},
                        .runtime_directory = arguments[4]};
  for (const char* text : arguments.subspan(5)) {
    options.addresses.push_back(address::parse_address(text).value());
  }
  const std::string interface = arguments[3];
  const uint32_t index = ::if_nametoindex(interface.c_str());
  need(detach_stale(interface));
  const std::string path = need(prepare_filter(options));
  bpf_object* object = bpf_object__open_file(path.c_str(), nullptr);
  if (object == nullptr || bpf_object__load(object) != 0) {
    give_up("the kernel refused the filter");
  }
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  const int program = bpf_program__fd(bpf_object__next_program(object, nullptr));
  if (bpf_xdp_attach(static_cast<int>(index), program, XDP_FLAGS_UPDATE_IF_NOEXIST, nullptr) != 0) {
    give_up("attach");
  }
  TrialSocket socket = need(TrialSocket::create());
  Status bound;
  for (int i = 0; i < 1000; ++i) {  // the kernel frees the queue of a killed process a moment later
    bound = socket.bind({.interface_index = index, .queue = 0, .flags = 0});
    if (bound || bound.error().code != ErrorCode::busy) {
      break;
    }
    ::usleep(10000);
  }
  need(bound);
  const uint32_t queue = 0;
  const int fd = socket.fd();
  const int map = bpf_object__find_map_fd_by_name(object, MERLON_FILTER_SOCKETS_NAME);
  if (bpf_map_update_elem(map, &queue, &fd, BPF_ANY) != 0) {
    give_up("put the socket into the map");
  }
  fmt::print("ready\n");
  std::fflush(stdout);
  int received = 0;
  sigwait(&signals, &received);
  const FilterCounters counters = need(read_counters(index));
  for (uint32_t reason = 0; reason < merlon_reason_count; ++reason) {
    fmt::print("{} {}\n", reason_name(reason), counters.frames[reason]);
  }
  bpf_xdp_detach(static_cast<int>(index), 0, nullptr);
  bpf_object__close(object);
  return 0;
}

}  // namespace
}  // namespace merlon::xdp

int main(int argc, char** argv) {
  return merlon::xdp::run({argv, static_cast<size_t>(argc)});
}
