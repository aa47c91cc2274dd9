// SPDX-License-Identifier: Apache-2.0
// What an interface can do, found out by trying: a program that passes everything is attached and
// taken off again, a socket is bound and closed. The trial program hangs on a link, so it goes when
// the process does, whatever ends it. On some network cards attaching one resets the queues: the
// link may be down for a moment, exactly as when the data plane starts.
#pragma once

#include <cstdint>
#include <string>

#include "dataplane/xdp/attached.h"
#include "dataplane/xdp/descriptor.h"
#include "zones/base/bytes.h"
#include "zones/base/error.h"

namespace merlon::xdp {

enum class Answer : uint8_t { unknown, no, yes };
std::string_view to_string(Answer answer);

struct Finding {
  Answer answer = Answer::unknown;
  std::string why;  // what the kernel said, for a no or unknown
  int error = 0;    // its errno
};

// An AF_XDP socket with memory and rings, which can be put into a map of sockets and bound to a
// queue. It holds no buffers, so frames that are redirected to it are dropped (and counted).
class TrialSocket {
 public:
  // Errors: unsupported (a kernel without AF_XDP), io (CAP_NET_RAW missing, no memory).
  static Result<TrialSocket> create();
  TrialSocket(TrialSocket&& other) noexcept
      : memory_(std::exchange(other.memory_, {})), fd_(std::move(other.fd_)) {}
  TrialSocket& operator=(TrialSocket&&) = delete;
  ~TrialSocket();

  struct Binding {
    uint32_t interface_index = 0;
    uint32_t queue = 0;
    uint16_t flags = 0;  // XDP_COPY, XDP_ZEROCOPY
  };
  // Errors: busy (somebody has the queue), io.
  Status bind(const Binding& binding);
  int fd() const { return fd_.get(); }
  // Frames that were redirected here and found no buffer.
  Result<uint64_t> received() const;

 private:
  TrialSocket(Descriptor fd, MutableBytes memory) : memory_(memory), fd_(std::move(fd)) {}
  MutableBytes memory_;  // unmapped after the socket is closed
  Descriptor fd_;
};

struct Support {
  Finding native;
  Finding generic;
  Finding copy;
  Finding zero_copy;
};

// Binding a socket takes the queue, and the kernel gives it back a moment after the close. So it is
// done only where the kernel does not tell otherwise whether the driver has zero copy.
enum class ZeroCopyTrial : uint8_t { no, yes };

struct TrialOptions {
  uint32_t interface_index = 0;
  uint32_t queue = 0;  // one that nobody uses
  ZeroCopyTrial zero_copy = ZeroCopyTrial::no;
};

// REQUIRES: nothing is attached to the interface.
Support try_out(const TrialOptions& options);

}  // namespace merlon::xdp
