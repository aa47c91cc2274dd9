// SPDX-License-Identifier: Apache-2.0
// Bytes that end, or begin, where a page ends that may not be touched: one read outside is a crash
// in any build.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "zones/base/bytes.h"

namespace merlon::test {

class Guarded {
 public:
  Guarded()
      : page_(static_cast<size_t>(::sysconf(_SC_PAGESIZE))),
        memory_(static_cast<uint8_t*>(
            ::mmap(nullptr, 3 * page_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {
    if (memory_ == MAP_FAILED || ::mprotect(memory_ + page_, page_, PROT_READ | PROT_WRITE) != 0) {
      std::abort();
    }
  }
  ~Guarded() { ::munmap(memory_, 3 * page_); }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  // REQUIRES: at most a page. Valid until the next call.
  uint8_t* at_end(Bytes bytes) {
    return std::copy(bytes.begin(), bytes.end(), memory_ + 2 * page_ - bytes.size()) - bytes.size();
  }
  uint8_t* at_start(Bytes bytes) {
    std::copy(bytes.begin(), bytes.end(), memory_ + page_);
    return memory_ + page_;
  }

 private:
  size_t page_;
  uint8_t* memory_;
};

}  // namespace merlon::test
