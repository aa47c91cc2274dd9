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

enum class Engine : uint8_t { automatic, io_uring, mmsg };

struct Settings {
  std::vector<io::Endpoint> listen;
  Engine engine = Engine::automatic;
  size_t worker_count = 1;
  std::vector<int> cores;  // worker i runs on cores[i]; empty: the scheduler decides
  std::string snapshot_directory;
  std::string manifest_key_file;
  std::string control_socket;
  uint16_t udp_size_max = 1232;
};

// Errors: invalid_argument with file and line.
Result<Settings> load_settings(const std::string& path);
// The section with defaults and explanations.
std::string example_settings();

}  // namespace merlon::dataplane
