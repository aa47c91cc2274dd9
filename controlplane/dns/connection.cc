// SPDX-License-Identifier: Apache-2.0
#include "controlplane/dns/connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

#include "zones/wire/wire.h"

namespace merlon::dns {
namespace {

constexpr size_t kReadSize = 16 * 1024;
constexpr size_t kFrameSizeMax = OutputQueue::kPrefixSize + wire::kMessageSizeMax;
// What is kept of a turn is at most an incomplete message or what one read brought behind it.
constexpr size_t kScratchSize = kFrameSizeMax + kReadSize;
constexpr unsigned kRoundsPerTurn = 4;
constexpr size_t kPiecesPerWrite = 256;

bool resets_client(CloseReason reason) {
  return reason == CloseReason::write_stalled || reason == CloseReason::limit_input;
}

uint64_t milliseconds(ServerOptions::Milliseconds time) {
  return static_cast<uint64_t>(time.count());
}

}  // namespace

WorkerContext::WorkerContext(const ServerOptions& the_options, const SnapshotSlot& slot)
    : options(the_options),
      limits{.transport = answer::Transport::tcp, .identity = &the_options.identity},
      input_bytes_max(the_options.input_bytes_max / the_options.threads),
      snapshots(slot),
      subjects(SubjectQueries::kNamesMax / the_options.threads),
      scratch(kScratchSize),
      assembly(wire::kMessageSizeMax) {}

bool Connection::Input::has_frame() const {
  const size_t size = end - at;
  return size >= OutputQueue::kPrefixSize &&
         size - OutputQueue::kPrefixSize >= load_be16(room.data() + at);
}

Connection::Connection(Fd fd, const Endpoint& peer, WorkerContext& context)
    : fd_(std::move(fd)),
      number_(++context.connection_count),
      peer_(peer),
      active_ms_(context.now_ms) {}

void Connection::note_events(uint32_t events) {
  constexpr uint32_t kHangUp = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
  hang_up_seen_ = hang_up_seen_ || (events & kHangUp) != 0;
  may_read_ = may_read_ || (events & (EPOLLIN | kHangUp)) != 0;
  may_write_ = may_write_ || (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0;
}

bool Connection::full(const WorkerContext& context) const {
  const size_t waiting = forwards_ + (output_ != nullptr ? output_->answer_count() : 0);
  return stream_ != nullptr || waiting >= context.options.pipeline_max ||
         (output_ != nullptr &&
          (output_->unsent_bytes() >= context.options.unsent_bytes_max || !output_->has_room()));
}

Connection::Next Connection::wait_or_close() const {
  return finishing_ && owes_nothing() ? Next::close : Next::wait;
}

Connection::Next Connection::run(WorkerContext& context) {
  if (!flush(context)) {
    return Next::close;
  }
  if (stream_ != nullptr) {
    return continue_stream(context);
  }
  if (finishing_ || full(context)) {
    return wait_or_close();
  }
  if (context.snapshots.refresh()) {
    context.counters.add(Counter::snapshot_changes);
  }
  Input input{context.scratch, 0, kept_.size()};
  if (!kept_.empty()) {
    std::memcpy(input.room.data(), kept_.data(), kept_.size());
  }
  const Next verdict = turn(context, input);
  return verdict == Next::close || keep_input(context, input) ? verdict : Next::close;
}

Connection::Next Connection::turn(WorkerContext& context, Input& input) {
  for (unsigned round = 0; round < kRoundsPerTurn; ++round) {
    answer_frames(context, input);
    if (!flush(context)) {
      return Next::close;
    }
    if (finishing_) {
      return wait_or_close();
    }
    if (stream_ != nullptr) {
      return Next::again;
    }
    if (full(context)) {
      context.counters.add(Counter::pauses);
      return Next::wait;
    }
    if (input.has_frame()) {
      continue;
    }
    if (end_of_input_) {
      finish(input.rest().empty() ? CloseReason::client_closed
                                  : CloseReason::client_closed_mid_message);
      return wait_or_close();
    }
    if (!may_read_) {
      return Next::wait;
    }
    if (!receive(context, input)) {
      return Next::close;
    }
  }
  return Next::again;
}

// One piece when the client has taken what was queued before it.
Connection::Next Connection::continue_stream(WorkerContext& context) {
  if (output_ != nullptr) {
    return Next::wait;  // for the socket to take more
  }
  const std::shared_ptr<const std::vector<uint8_t>> piece = stream_->next();
  if (piece == nullptr) {
    stream_.reset();
    return Next::again;
  }
  context.counters.add(Counter::stream_pieces);
  active_ms_ = context.now_ms;
  if (!piece->empty()) {
    output_ = context.outputs.take();
    output_->commit_whole(piece);
  }
  return flush(context) ? Next::again : Next::close;
}

bool Connection::receive(WorkerContext& context, Input& input) {
  if (input.at != 0) {
    std::memmove(input.room.data(), input.room.data() + input.at, input.end - input.at);
    input.end -= input.at;
    input.at = 0;
    message_started_ms_ = context.now_ms;
  }
  const size_t wanted = std::min(kReadSize, input.room.size() - input.end);
  const ssize_t n = recv(fd_.get(), input.room.data() + input.end, wanted, 0);
  if (n < 0) {
    if (errno == EAGAIN || errno == EINTR) {
      may_read_ = errno == EINTR;
      return true;
    }
    return fail_with(errno);
  }
  const size_t count = static_cast<size_t>(n);
  context.counters.add(Counter::bytes_received, count);
  if (input.end == 0) {
    message_started_ms_ = context.now_ms;
  }
  input.end += count;
  end_of_input_ = n == 0;
  may_read_ = n != 0 && (count == wanted || hang_up_seen_);
  return true;
}

bool Connection::flush(WorkerContext& context) {
  while (output_ != nullptr && may_write_) {
    std::array<iovec, kPiecesPerWrite> pieces;
    msghdr message{};
    message.msg_iov = pieces.data();
    message.msg_iovlen = output_->gather(pieces);
    size_t offered = 0;
    for (size_t i = 0; i < message.msg_iovlen; ++i) {
      offered += pieces[i].iov_len;
    }
    const ssize_t n = sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
    if (n < 0) {
      if (errno == EAGAIN || errno == EINTR) {
        may_write_ = errno == EINTR;
        continue;
      }
      return fail_with(errno);
    }
    const size_t sent = static_cast<size_t>(n);
    context.counters.add(Counter::writes);
    context.counters.add(Counter::bytes_sent, sent);
    if (sent < offered) {
      context.counters.add(Counter::partial_writes);
      may_write_ = false;
    }
    active_ms_ = context.now_ms;
    output_->consume(sent);
    if (output_->empty()) {
      context.outputs.give_back(std::move(output_));
    }
  }
  return true;
}

bool Connection::fail_with(int error_number) {
  const bool reset = error_number == ECONNRESET || error_number == EPIPE;
  reason_ = reset                       ? CloseReason::client_reset
            : error_number == ETIMEDOUT ? CloseReason::write_stalled
                                        : CloseReason::socket_error;
  return false;
}

void Connection::finish(CloseReason reason) {
  finishing_ = true;
  reason_ = reason;
}

bool Connection::keep_input(WorkerContext& context, const Input& input) {
  const Bytes rest = finishing_ ? Bytes{} : input.rest();
  if (kept_.empty() && rest.empty()) {
    return true;
  }
  if (input.at != 0 || kept_frame_) {
    message_started_ms_ = context.now_ms;
  }
  kept_frame_ = !rest.empty() && input.has_frame();
  context.input_bytes -= kept_.size();
  kept_ = std::vector<uint8_t>(rest.begin(), rest.end());
  context.input_bytes += kept_.size();
  if (context.input_bytes > context.input_bytes_max) {
    reason_ = CloseReason::limit_input;
    return false;
  }
  return true;
}

uint64_t Connection::deadline_ms(const WorkerContext& context) const {
  const ServerOptions& options = context.options;
  const uint64_t message_end = message_started_ms_ + milliseconds(options.message_timeout);
  const bool in_message = has_partial_message() && !full(context);
  if (output_ != nullptr) {
    const uint64_t stalled = active_ms_ + milliseconds(options.write_stall_timeout);
    return in_message ? std::min(stalled, message_end) : stalled;
  }
  if (in_message) {
    return message_end;
  }
  return active_ms_ + milliseconds(forwards_ == 0 ? options.idle_timeout : options.forward_timeout);
}

CloseReason Connection::deadline_reason(const WorkerContext& context) const {
  const uint64_t deadline = deadline_ms(context);
  if (has_partial_message() && !full(context) &&
      deadline == message_started_ms_ + milliseconds(context.options.message_timeout)) {
    return CloseReason::message_timeout;
  }
  return output_ != nullptr ? CloseReason::write_stalled : CloseReason::idle;
}

void Connection::release(WorkerContext& context, CloseReason why) {
  if (resets_client(why)) {
    const linger reset{.l_onoff = 1, .l_linger = 0};
    setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  }
  if (output_ != nullptr) {
    context.outputs.give_back(std::move(output_));
  }
  stream_.reset();
  context.input_bytes -= kept_.size();
  kept_.clear();
  context.counters.add(why);
}

}  // namespace merlon::dns
