// SPDX-License-Identifier: Apache-2.0
// Who fetches zones, as it was seen since the start. Plain values; times are Unix seconds, 0 never.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace merlon::api {

// One source that fetches one zone.
struct Secondary {
  uint32_t account = 0;  // numbers, as of the access entry
  uint32_t device = 0;
  std::string source{};  // address
  std::string apex{};
  std::string kind{};           // the last transfer: "AXFR", "IXFR" or "file"; "": only asked
  uint32_t serial_given = 0;    // of the last transfer that was sent whole
  uint32_t serial_current = 0;  // in force
  int64_t given = 0;
  int64_t asked = 0;         // its last question for SOA, IXFR or AXFR
  int64_t behind_since = 0;  // a newer serial than it was given is in force since; 0: it has that
  uint64_t transfers = 0;
  uint64_t refused = 0;
};

// One address that is told of changes of one zone.
struct Notified {
  std::string device{};
  std::string target{};  // address:port
  std::string apex{};
  uint32_t serial = 0;
  int64_t sent = 0;
  int64_t acknowledged = 0;  // 0: not yet, or never
  uint32_t tries = 0;
  std::string error{};  // "" or why it was given up
};

// Signed messages that were turned away, by key and source.
struct KeyFailure {
  std::string key{};  // as it was sent
  std::string source{};
  // "BADKEY", "BADSIG", "BADTIME", "BADTRUNC", "NOT_ITS_OWN", "UNSIGNED", "TLS_TOO_OLD"
  std::string error{};
  int64_t clock_skew_s = 0;  // of the last BADTIME: theirs less ours
  uint64_t count = 0;
  int64_t last = 0;
};

struct Transfers {
  std::vector<Secondary> secondaries{};
  std::vector<Notified> notified{};
  std::vector<KeyFailure> key_failures{};
};

}  // namespace merlon::api
