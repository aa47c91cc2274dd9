// SPDX-License-Identifier: Apache-2.0
// Real resolvers on loopback with a policy zone, and a server behind them that knows every name, so
// that whatever is not answered was stopped by the policy.
#pragma once

#include <atomic>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "zones/base/bytes.h"

namespace merlon::test {

// What a resolver said. Answers are "CNAME x.y." and addresses, in their order.
struct Said {
  bool nothing = false;  // within the time, or the connection was closed
  bool truncated = false;
  unsigned rcode = 0;
  std::vector<std::string> answers;

  // "nothing", "truncated", "rcode 3", "empty", or the answers with blanks between.
  std::string text() const;
};

enum class Transport : uint8_t { udp, tcp };

// A free port, for UDP and TCP.
uint16_t free_port();

// Answers A with 203.0.113.1 and AAAA with nothing, but for the names that it is told.
class EveryNameServer {
 public:
  // By name in lower case with the final dot; addresses in wire form, 4 or 16 bytes.
  explicit EveryNameServer(std::map<std::string, std::vector<uint8_t>> addresses);
  ~EveryNameServer();
  uint16_t port() const { return port_; }

 private:
  void serve();
  std::vector<uint8_t> reply_to(Bytes query) const;

  std::map<std::string, std::vector<uint8_t>> addresses_;
  int socket_ = -1;
  uint16_t port_ = 0;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

// A resolver as a process, ended with the object.
class Resolver {
 public:
  enum class Kind : uint8_t { named, unbound };
  struct Settings {
    Kind kind = Kind::named;
    std::filesystem::path directory;
    std::string apex;       // of the policy zone
    std::string zone_file;  // its text
    uint16_t upstream_port = 0;
  };

  static bool installed(Kind kind);
  explicit Resolver(const Settings& settings);
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;
  ~Resolver();

  // Asks until the answer is what enforcement looks like. False: not within ten seconds.
  bool wait_until(const std::string& name, const std::string& said) const;
  Said ask(const std::string& name, uint16_t type, Transport transport = Transport::udp,
           int timeout_ms = 3000) const;
  std::string log() const;

 private:
  std::filesystem::path log_path_;
  uint16_t port_ = 0;
  int pid_ = -1;
};

// Runs a program to its end and returns its exit code and output.
std::pair<int, std::string> run(const std::vector<std::string>& arguments,
                                const std::filesystem::path& log);

}  // namespace merlon::test
