// SPDX-License-Identifier: Apache-2.0
// A listening Unix socket that keeps messages apart (SOCK_SEQPACKET), at a path.
#pragma once

#include <sys/types.h>

#include <string>

#include "controlplane/dns/socket.h"
#include "zones/base/error.h"

namespace merlon::dns {

class PacketListener {
 public:
  // A socket file that nobody answers on is left over from a killed process and is replaced. Nobody
  // can connect before the file has its `mode`. Errors: conflict (somebody answers there, or the
  // file is no socket), invalid_argument (the path is too long), io.
  static Result<PacketListener> open(const std::string& path, mode_t mode);
  PacketListener(PacketListener&& other) noexcept;
  PacketListener& operator=(PacketListener&& other) = delete;
  ~PacketListener();  // removes the file if it is still ours

  int fd() const { return fd_.get(); }
  Fd accept() const;  // non-blocking; not valid when nobody waits

 private:
  PacketListener(Fd fd, std::string path);

  Fd fd_;
  std::string path_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace merlon::dns
