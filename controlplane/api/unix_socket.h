// SPDX-License-Identifier: Apache-2.0
// A listening Unix socket at a path, and nobody else's.
#pragma once

#include <sys/types.h>

#include <string>

#include "zones/base/error.h"

namespace merlon::api {

// Move-only owner of the listening descriptor and of the file at the path.
class UnixListener {
 public:
  // A socket file that nobody answers on is left over from a killed process and is replaced.
  // Nobody can connect before the file has its `mode`. Errors: conflict (somebody answers there, or
  // the path is not a socket), invalid_argument (path too long), io.
  static Result<UnixListener> open(const std::string& path, unsigned mode);

  UnixListener(UnixListener&& other) noexcept;
  UnixListener& operator=(UnixListener&& other) = delete;
  ~UnixListener();  // closes a descriptor that was not released; removes the file if still ours

  // Hands the descriptor to the caller, who closes it.
  int release();

 private:
  UnixListener(std::string path, int descriptor);

  std::string path_;  // "" when moved from
  int descriptor_ = -1;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

// Ends reading on all connections that this process has accepted at the path, so that nobody goes
// on waiting for a client's next byte. Answers can still be written.
void end_reading_of_clients(const std::string& path);

}  // namespace merlon::api
