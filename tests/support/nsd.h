// SPDX-License-Identifier: Apache-2.0
// A process of the test's own, NSD as one, and a client that asks over TCP, where nothing is cut.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "zones/base/bytes.h"
#include "zones/base/error.h"
#include "zones/name/name.h"

namespace merlon::tests {

struct ZoneFile {
  name::Name apex;
  std::string path;
};

// Ended by its process id when it goes.
class Process {
 public:
  static Result<Process> start(const std::vector<std::string>& command, const std::string& log);
  Process(Process&& other) noexcept;
  Process& operator=(Process&&) = delete;
  ~Process();
  bool is_running() const;

 private:
  explicit Process(pid_t pid) : pid_(pid) {}
  pid_t pid_ = -1;
};

// A port of 127.0.0.1 that nobody has, for UDP and TCP.
uint16_t free_port();

class Connection {
 public:
  // Tries for up to `wait_ms`.
  static Result<std::unique_ptr<Connection>> open(uint16_t port, int wait_ms);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Sends all queries, then reads as many answers; in the order of the queries.
  Result<std::vector<std::vector<uint8_t>>> ask(const std::vector<std::vector<uint8_t>>& queries);

 private:
  explicit Connection(int fd) : fd_(fd) {}
  bool read_all(uint8_t* to, size_t size) const;
  int fd_;
};

struct Nsd {
  Process process;
  uint16_t port = 0;
};
// `directory` is for its files. Errors: not_found (no NSD here), io.
Result<Nsd> start_nsd(const std::string& directory, const std::vector<ZoneFile>& zones);

}  // namespace merlon::tests
