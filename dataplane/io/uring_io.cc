// SPDX-License-Identifier: Apache-2.0
#include "dataplane/io/uring_io.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>

namespace merlon::io {
namespace {

constexpr int kBufferGroup = 0;
constexpr uint64_t kIsSend = uint64_t{1} << 32;  // user data; else it is the receiver's number
constexpr long kWaitNs = 100'000'000;

// The flags that make completions cheap came one kernel after the other; older kernels take less.
constexpr unsigned kSetupFlags[] = {
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL |
        IORING_SETUP_CQSIZE,
    IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE,
};

std::unexpected<Error> refused(std::string_view what, int error_number) {
  const auto error = fail_errno(what, error_number);
  return fail(ErrorCode::unsupported, "{}", error.error().message);
}

}  // namespace

Result<std::unique_ptr<UringIo>> UringIo::create(std::span<const UdpSocket> sockets,
                                                 stats::WorkerCounters& counters) {
  std::unique_ptr<UringIo> io(new UringIo(sockets, counters));  // tidy: start-up only
  if (auto done = io->set_up_ring(); !done) {
    return std::unexpected(done.error());
  }
  if (auto done = io->set_up_buffers(); !done) {
    return std::unexpected(done.error());
  }
  if (auto done = io->add_receivers(sockets); !done) {
    return std::unexpected(done.error());
  }
  if (auto done = io->probe_multishot(); !done) {
    return std::unexpected(done.error());
  }
  return io;
}

UringIo::~UringIo() {
  if (ring_ready_) {
    submit();  // the last replies
    // The kernel takes a ring apart some time after it is closed. What the ring holds of the
    // sockets is given back here and now: as long as they lived on, they would go on taking their
    // share of the queries of this port, to nobody's answer.
    io_uring_sync_cancel_reg everything{};
    everything.fd = -1;
    everything.flags = IORING_ASYNC_CANCEL_ANY;
    everything.timeout = {-1, -1};
    io_uring_register_sync_cancel(&ring_, &everything);
    io_uring_unregister_files(&ring_);
    io_uring_queue_exit(&ring_);
  }
  if (buffer_ring_ != nullptr) {
    ::munmap(buffer_ring_, buffer_ring_size_);
  }
  if (buffers_ != nullptr) {
    ::munmap(buffers_, size_t{kBufferCount} * kBufferSize);
  }
}

Status UringIo::set_up_ring() {
  int result = -EINVAL;
  for (const unsigned flags : kSetupFlags) {
    io_uring_params params{};
    params.flags = flags;
    params.cq_entries = kCompletionCount;
    result = io_uring_queue_init_params(kSubmissionCount, &ring_, &params);
    if (result != -EINVAL) {
      break;
    }
  }
  if (result < 0) {
    return refused("io_uring_setup", -result);
  }
  ring_ready_ = true;
  return {};
}

Status UringIo::set_up_buffers() {
  const auto map = [](size_t size) {
    return ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE,
                  -1, 0);
  };
  void* memory = map(size_t{kBufferCount} * kBufferSize);
  if (memory == MAP_FAILED) {
    return fail_errno("allocate receive buffers", errno);
  }
  buffers_ = static_cast<uint8_t*>(memory);
  buffer_ring_size_ = kBufferCount * sizeof(io_uring_buf);
  memory = map(buffer_ring_size_);
  if (memory == MAP_FAILED) {
    return fail_errno("allocate the buffer ring", errno);
  }
  buffer_ring_ = static_cast<io_uring_buf_ring*>(memory);
  io_uring_buf_ring_init(buffer_ring_);
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<uintptr_t>(buffer_ring_);
  registration.ring_entries = kBufferCount;
  registration.bgid = kBufferGroup;
  if (const int result = io_uring_register_buf_ring(&ring_, &registration, 0); result < 0) {
    return refused("register a buffer ring with io_uring (Linux 5.19)", -result);
  }
  senders_.resize(kBufferCount);
  leaving_.resize(kBufferCount);
  for (uint32_t i = 0; i < kBufferCount; ++i) {
    recycle(i);
  }
  publish_recycled();
  return {};
}

Status UringIo::add_receivers(std::span<const UdpSocket> sockets) {
  std::vector<int> files;  // tidy: start-up only
  for (const UdpSocket& socket : sockets) {
    Receiver receiver;
    receiver.fixed_file = static_cast<int>(files.size());
    receiver.shape.msg_namelen = kNameSize;
    receiver.shape.msg_controllen = socket.needs_packet_info() ? kControlSize : 0;
    receivers_.push_back(receiver);
    files.push_back(socket.fd());
  }
  const int result =
      io_uring_register_files(&ring_, files.data(), static_cast<unsigned>(files.size()));
  if (result < 0) {
    return refused("register sockets with io_uring", -result);
  }
  return {};
}

// A kernel without multishot recvmsg answers the first one at once with an error.
Status UringIo::probe_multishot() {
  arm_all();
  if (const int result = io_uring_submit_and_get_events(&ring_); result < 0) {
    return refused("submit to io_uring", -result);
  }
  io_uring_cqe* completion = nullptr;
  if (io_uring_peek_cqe(&ring_, &completion) == 0 && completion->res < 0 &&
      completion->res != -ENOBUFS) {
    return refused("multishot receive by io_uring (Linux 6.0)", -completion->res);
  }
  return {};
}

io_uring_sqe* UringIo::submission() {
  io_uring_sqe* entry = io_uring_get_sqe(&ring_);
  if (entry == nullptr) {
    submit();  // makes room
    entry = io_uring_get_sqe(&ring_);
  }
  return entry;
}

void UringIo::submit() {
  if (io_uring_sq_ready(&ring_) != 0) {
    io_uring_submit(&ring_);
    recycle_submitted();
  }
}

// When the kernel has taken every submission it has copied every reply.
void UringIo::recycle_submitted() {
  if (io_uring_sq_ready(&ring_) != 0) {
    return;  // it was too busy; the rest goes with the next submission
  }
  for (size_t i = 0; i < leaving_count_; ++i) {
    recycle(leaving_[i]);
  }
  leaving_count_ = 0;
}

void UringIo::arm(size_t receiver) {
  io_uring_sqe* entry = submission();
  if (entry == nullptr) {
    return;  // stays unarmed and is tried again with the next burst
  }
  Receiver& what = receivers_[receiver];
  // MSG_TRUNC: the kernel says how long a message was that did not fit.
  io_uring_prep_recvmsg_multishot(entry, what.fixed_file, &what.shape, MSG_TRUNC);
  entry->flags |= IOSQE_BUFFER_SELECT | IOSQE_FIXED_FILE;
  entry->buf_group = kBufferGroup;
  io_uring_sqe_set_data64(entry, receiver);
  what.armed = true;
}

void UringIo::arm_all() {
  for (size_t i = 0; i < receivers_.size(); ++i) {
    if (!receivers_[i].armed) {
      arm(i);
    }
  }
}

void UringIo::recycle(uint32_t index) {
  io_uring_buf_ring_add(buffer_ring_, buffer(index), kBufferSize,
                        static_cast<unsigned short>(index), io_uring_buf_ring_mask(kBufferCount),
                        recycled_);
  ++recycled_;
}

void UringIo::publish_recycled() {
  if (recycled_ != 0) {
    io_uring_buf_ring_advance(buffer_ring_, recycled_);
    recycled_ = 0;
  }
}

size_t UringIo::receive(std::span<Packet> burst) {
  publish_recycled();
  arm_all();
  if (io_uring_cq_ready(&ring_) != 0) {
    submit();  // replies leave before more is taken in
  } else {
    io_uring_cqe* completion = nullptr;
    __kernel_timespec timeout{};
    timeout.tv_nsec = kWaitNs;
    io_uring_submit_and_wait_timeout(&ring_, &completion, 1, &timeout, nullptr);
    recycle_submitted();
  }
  const size_t count = reap(burst);
  publish_recycled();
  return count;
}

size_t UringIo::reap(std::span<Packet> burst) {
  size_t count = 0;
  unsigned seen = 0;
  unsigned head = 0;
  io_uring_cqe* completion = nullptr;
  io_uring_for_each_cqe(&ring_, head, completion) {
    if (count == burst.size()) {
      break;
    }
    ++seen;
    if (completion->user_data == kIsSend) {  // good ones do not report
      counters_.add(stats::IoCounter::drop_send_failed);
      // What a kernel before 6.1 says to a send with an address. A reply that the stack itself
      // refuses with this error costs later ones a little time, nothing else.
      send_takes_address_ = send_takes_address_ && completion->res != -EINVAL;
      continue;
    }
    if ((completion->flags & IORING_CQE_F_MORE) == 0) {
      receivers_[completion->user_data].armed = false;
    }
    if (completion->res < 0) {
      counters_.add(completion->res == -ENOBUFS ? stats::IoCounter::buffers_exhausted
                                                : stats::IoCounter::receive_errors);
      continue;
    }
    if (take_received(*completion, burst[count])) {
      ++count;
    }
  }
  io_uring_cq_advance(&ring_, seen);
  return count;
}

bool UringIo::take_received(const io_uring_cqe& completion, Packet& packet) {
  const uint32_t index = completion.flags >> IORING_CQE_BUFFER_SHIFT;
  const Receiver& receiver = receivers_[completion.user_data];
  msghdr shape = receiver.shape;
  uint8_t* data = buffer(index);
  io_uring_recvmsg_out* out = io_uring_recvmsg_validate(data, completion.res, &shape);
  uint16_t port = 0;
  const sockaddr_storage* from = out == nullptr || out->namelen < sizeof(sockaddr_in)
                                     ? nullptr
                                     : static_cast<sockaddr_storage*>(io_uring_recvmsg_name(out));
  if (from == nullptr || !read_source(from, packet.source, port)) {
    counters_.add(stats::IoCounter::drop_receive_malformed);
    recycle(index);
    return false;
  }
  packet.message = static_cast<uint8_t*>(io_uring_recvmsg_payload(out, &shape));
  packet.size = io_uring_recvmsg_payload_length(out, completion.res, &shape);
  packet.capacity = static_cast<uint32_t>(data + kBufferSize - packet.message);
  packet.reply_size = 0;
  packet.handle = index;
  counters_.add(stats::IoCounter::rx_packets);
  counters_.add(stats::IoCounter::rx_bytes, packet.size);
  const bool truncated = (out->flags & MSG_TRUNC) != 0;
  if (truncated || port == 0) {
    counters_.add(truncated ? stats::IoCounter::drop_receive_truncated
                            : stats::IoCounter::drop_source_port_zero);
    recycle(index);
    return false;
  }
  Sender& sender = senders_[index];
  sender.fixed_file = receiver.fixed_file;
  sender.message = {};
  sender.message.msg_name = io_uring_recvmsg_name(out);
  sender.message.msg_namelen = out->namelen;
  sender.message.msg_iov = &sender.payload;
  sender.message.msg_iovlen = 1;
  sender.payload.iov_base = packet.message;
  if (shape.msg_controllen != 0) {
    sender.message.msg_control = data + sizeof(io_uring_recvmsg_out) + kNameSize;
    sender.message.msg_controllen = out->controllen;
    prepare_control_for_sending(sender.message);
  }
  return true;
}

Path UringIo::path_of(const Packet& packet) const {
  const Sender& sender = senders_[packet.handle];
  return paths_.path_of(static_cast<size_t>(sender.fixed_file), packet.source, sender.message);
}

void UringIo::send(std::span<Packet> burst) {
  for (const Packet& packet : burst) {
    if (packet.reply_size == 0) {
      recycle(packet.handle);
      continue;
    }
    io_uring_sqe* entry = submission();
    if (entry == nullptr) {
      counters_.add(stats::IoCounter::drop_send_failed);
      recycle(packet.handle);
      continue;
    }
    Sender& sender = senders_[packet.handle];
    sender.payload.iov_len = packet.reply_size;
    if (sender.message.msg_controllen == 0 && send_takes_address_) {
      io_uring_prep_send(entry, sender.fixed_file, packet.message, packet.reply_size, MSG_DONTWAIT);
      io_uring_prep_send_set_addr(entry, static_cast<const sockaddr*>(sender.message.msg_name),
                                  static_cast<uint16_t>(sender.message.msg_namelen));
    } else {
      io_uring_prep_sendmsg(entry, sender.fixed_file, &sender.message, MSG_DONTWAIT);
    }
    entry->flags |= IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(entry, kIsSend);
    leaving_[leaving_count_++] = packet.handle;
    counters_.add(stats::IoCounter::tx_packets);
    counters_.add(stats::IoCounter::tx_bytes, packet.reply_size);
  }
}

}  // namespace merlon::io
