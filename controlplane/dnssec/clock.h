// SPDX-License-Identifier: Apache-2.0
// Signatures made under a wrong clock are bogus to the world: dated in the future, or expired as
// soon as they are made. So the time of the last signing is remembered (in a file of the key
// directory, not in the cache, which may be thrown away), and a clock that is more than a day off
// what it should be stops signing until the operator says that it is right.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>

#include "zones/base/error.h"

namespace merlon::dnssec {

// Seconds. `steady` counts on while the machine sleeps and cannot be set.
struct Clock {
  std::function<int64_t()> wall;
  std::function<int64_t()> steady;
  static Clock system();
};

// Thread-safe.
class ClockGuard {
 public:
  ClockGuard(std::string file, Clock clock, int64_t jump_max_s);

  // Unix seconds. Errors: conflict when the clock has jumped; corruption (the file); io.
  Result<int64_t> now();
  // The operator says that the clock is right now.
  Status confirm();

 private:
  Status remember(int64_t wall, int64_t steady);
  Status read_file_once();

  const std::string file_;
  const Clock clock_;
  const int64_t jump_max_s_;
  std::mutex mutex_;
  bool read_ = false;
  int64_t stored_ = 0;  // what the file says; 0: nothing
  int64_t wall_ = 0;    // the last good time of this process; 0: none yet
  int64_t steady_ = 0;
};

std::string time_text(int64_t unix_seconds);  // 2026-03-01T12:00:00Z

}  // namespace merlon::dnssec
