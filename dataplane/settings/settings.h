// SPDX-License-Identifier: Apache-2.0
// The [dataplane] section, as plain values fixed at start.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "dataplane/io/socket.h"
#include "zones/base/error.h"
#include "zones/snapshot/manifest.h"

namespace merlon::dataplane {

enum class Engine : uint8_t { automatic, io_uring, mmsg, dpdk };
// How ports that the kernel does not see give it what is not ours.
enum class Exception : uint8_t { none, tap, virtio_user };
enum class HugePages : uint8_t { automatic, yes, no };
enum class Idle : uint8_t { sleep, poll };

// The dpdk engine's part.
struct PortSettings {
  std::vector<std::string> ports;           // "af_xdp:eth0", a PCI address, or an EAL --vdev text
  std::vector<address::Address> addresses;  // answered on the ports; empty: any
  uint16_t port = 53;
  Exception exception = Exception::none;
  std::string exception_name = "mrl";  // the interfaces are mrl0, mrl1, .. in the ports' order
  HugePages huge_pages = HugePages::automatic;
  Idle idle = Idle::sleep;
  std::string xdp_program;                 // BPF object; empty: the one installed beside us
  std::vector<std::string> eal_arguments;  // passed on as they are
  std::string runtime_directory;           // for files of this run: where the control socket is
};

struct RateLimit {
  uint32_t per_second = 0;  // answers a second to one IPv4 address or IPv6 /64; 0: off
  uint32_t slip = 2;        // every n-th limited answer is a TC=1; 0: never
  bool dry_run = false;     // count, do not limit
};

struct Dnstap {
  std::string path;     // Frame Streams: a Unix socket, or file:/path; empty: off
  uint32_t sample = 1;  // one query of so many
};

struct Settings {
  std::vector<io::Endpoint> listen;
  Engine engine = Engine::automatic;
  size_t worker_count = 1;
  std::vector<int> cores;  // worker i runs on cores[i]; empty: the scheduler decides
  std::string snapshot_directory;
  std::string manifest_key_file;
  std::string control_socket;
  uint16_t udp_size_max = 1232;
  PortSettings dpdk;
  std::string identity;  // NSID, id.server, hostname.bind; empty: none, REFUSED
  std::string version;   // version.bind, version.server; empty: REFUSED
  bool cookies = true;
  std::string cookie_secret_file;  // hex lines: the active one, then the other staged one
  RateLimit rate_limit;
  std::string slow_path_socket;  // of the control plane; empty: no slow path
  Dnstap dnstap;
};

// Errors: invalid_argument with file and line.
Result<Settings> load_settings(const std::string& path);
// The section with defaults and explanations.
std::string example_settings();

}  // namespace merlon::dataplane
