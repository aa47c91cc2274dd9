// SPDX-License-Identifier: Apache-2.0
// An interface as raw as it gets: whole frames out, many in one system call and past the queueing
// discipline; whole frames in from a ring shared with the kernel.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "tests/soak/seeds.h"
#include "zones/base/bytes.h"
#include "zones/base/error.h"

namespace merlon::soak {

class Link {
 public:
  // Errors: io.
  static Result<std::unique_ptr<Link>> open(const std::string& interface);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // Returns how many the interface took; the others are gone.
  size_t send(std::span<const Buffer> frames);
  // Calls `take` with each frame that has come, its tag put back in. Returns how many.
  size_t receive(const std::function<void(Bytes)>& take);
  // Frames that came while the ring was full.
  uint64_t missed();

 private:
  Link() = default;
  Status open_sender(int index);
  Status open_receiver(int index);

  int sender_ = -1;
  int receiver_ = -1;
  uint8_t* ring_ = nullptr;
  size_t next_ = 0;
  uint64_t missed_ = 0;
  Buffer frame_;
};

}  // namespace merlon::soak
