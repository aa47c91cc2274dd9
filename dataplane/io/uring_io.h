// SPDX-License-Identifier: Apache-2.0
// The io_uring socket engine: one multishot receive per socket into a ring of provided buffers, the
// reply written over the query in that buffer and sent from it, one system call per burst. Needs
// Linux 6.0 and a process that may use io_uring (containers often may not; see mmsg_io.h).
//
// A buffer goes: kernel -> receive() -> pipeline -> send() -> kernel -> back into the ring. The
// kernel copies a reply while it takes the submission (sends are MSG_DONTWAIT, so none is put off),
// which is why a submitted buffer is free again and a good send needs no completion: only failed
// ones have one. A ring belongs to the thread that created it (IORING_SETUP_SINGLE_ISSUER).
#pragma once

#include <liburing.h>

#include <memory>
#include <span>
#include <vector>

#include "dataplane/io/packet_io.h"
#include "dataplane/io/socket.h"
#include "dataplane/io/socket_paths.h"
#include "dataplane/stats/counters.h"
#include "zones/base/error.h"

namespace merlon::io {

class UringIo : public LateReplies {
 public:
  // The sockets must outlive the engine. Errors: unsupported with the reason (no permission, kernel
  // too old, multishot refused).
  static Result<std::unique_ptr<UringIo>> create(std::span<const UdpSocket> sockets,
                                                 stats::WorkerCounters& counters);
  ~UringIo() override;
  UringIo(const UringIo&) = delete;
  UringIo& operator=(const UringIo&) = delete;

  size_t receive(std::span<Packet> burst);
  void send(std::span<Packet> burst);
  Path path_of(const Packet& packet) const;
  // By a plain system call: the ring belongs to the worker's thread.
  bool send_late(const Path& path, Bytes reply) override { return paths_.send(path, reply); }

 private:
  // Behind each buffer's kernel header come the source address, the control data (only for
  // wildcard sockets) and the message.
  static constexpr uint32_t kBufferSize = 2304;
  static constexpr uint32_t kBufferCount = 1024;  // a power of two
  static constexpr uint32_t kNameSize = 32;
  static constexpr uint32_t kSubmissionCount = 256;
  static constexpr uint32_t kCompletionCount = 4096;

  struct Receiver {
    int fixed_file = 0;
    msghdr shape{};
    bool armed = false;
  };
  struct Sender {
    msghdr message{};
    iovec payload{};
    int fixed_file = 0;  // the socket that received
  };

  UringIo(std::span<const UdpSocket> sockets, stats::WorkerCounters& counters)
      : counters_(counters), paths_(sockets) {}
  Status set_up_ring();
  Status set_up_buffers();
  Status add_receivers(std::span<const UdpSocket> sockets);
  Status probe_multishot();
  void arm(size_t receiver);
  void arm_all();
  io_uring_sqe* submission();
  void submit();
  void recycle_submitted();
  size_t reap(std::span<Packet> burst);
  bool take_received(const io_uring_cqe& completion, Packet& packet);
  void recycle(uint32_t buffer);
  void publish_recycled();
  uint8_t* buffer(uint32_t index) { return buffers_ + size_t{index} * kBufferSize; }

  stats::WorkerCounters& counters_;
  const SocketPaths paths_;
  io_uring ring_{};
  bool ring_ready_ = false;
  uint8_t* buffers_ = nullptr;
  io_uring_buf_ring* buffer_ring_ = nullptr;
  size_t buffer_ring_size_ = 0;
  int recycled_ = 0;                 // added to the ring, not yet published
  std::vector<Receiver> receivers_;  // tidy: start-up only
  std::vector<Sender> senders_;      // tidy: start-up only
  // Buffers of replies in the submission queue, the first leaving_count_ of them.
  std::vector<uint32_t> leaving_;  // tidy: start-up only
  size_t leaving_count_ = 0;
  // A send with an address costs the kernel less than a sendmsg (no msghdr to import).
  bool send_takes_address_ = true;
};
static_assert(PathIo<UringIo>);

}  // namespace merlon::io
