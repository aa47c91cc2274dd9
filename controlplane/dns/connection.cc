// SPDX-License-Identifier: Apache-2.0
#include "controlplane/dns/connection.h"

#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
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

// In 100 ms, rounded down: who believes it is not surprised.
uint16_t keepalive_of(ServerOptions::Milliseconds idle_timeout) {
  return static_cast<uint16_t>(std::min<int64_t>(idle_timeout.count() / 100, UINT16_MAX));
}

}  // namespace

WorkerContext::WorkerContext(const ServerOptions& the_options, const Shared& the_shared)
    : options(the_options),
      shared(the_shared),
      limits{.transport = answer::Transport::tcp,
             .identity = &the_options.identity,
             .keepalive = keepalive_of(the_options.idle_timeout)},
      input_bytes_max(the_options.input_bytes_max / the_options.threads),
      snapshots(the_shared.snapshots),
      subjects(SubjectQueries::kNamesMax / the_options.threads),
      scratch(kScratchSize),
      assembly(wire::kMessageSizeMax),
      record(TlsSession::kRecordSize) {}

bool Connection::Input::has_frame() const {
  const size_t size = end - at;
  return size >= OutputQueue::kPrefixSize &&
         size - OutputQueue::kPrefixSize >= load_be16(room.data() + at);
}

Connection::Connection(Fd fd, const Endpoint& peer, std::unique_ptr<TlsSession> tls,
                       WorkerContext& context)
    : fd_(std::move(fd)),
      number_(++context.connection_count),
      peer_(peer),
      tls_(std::move(tls)),
      active_ms_(context.now_ms) {}

void Connection::note_events(uint32_t events) {
  constexpr uint32_t kHangUp = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
  hang_up_seen_ = hang_up_seen_ || (events & kHangUp) != 0;
  may_read_ = may_read_ || (events & (EPOLLIN | kHangUp)) != 0;
  may_write_ = may_write_ || (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0;
  if (tls_ != nullptr) {  // either may have waited for the other
    may_read_ = may_write_ = true;
  }
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

// Agreeing costs far more than answering: so many a round, and the others get their turns.
Connection::Next Connection::shake_hands(WorkerContext& context) {
  if (context.handshakes_left == 0) {
    return Next::again;
  }
  --context.handshakes_left;
  switch (tls_->shake_hands()) {
    case TlsSession::State::done:
      context.counters.add(Counter::tls_handshakes);
      if (tls_->is_resumed()) {
        context.counters.add(Counter::tls_resumed);
      }
      active_ms_ = context.now_ms;
      may_read_ = may_write_ = true;
      return Next::again;
    case TlsSession::State::wait:
      return Next::wait;
    default:
      reason_ = CloseReason::tls_failed;
      return Next::close;
  }
}

Connection::Next Connection::run(WorkerContext& context) {
  if (tls_ != nullptr && !tls_->is_ready()) {
    return shake_hands(context);
  }
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
  const Moved moved = read_some(input.room.subspan(input.end, wanted));
  if (moved.state == Moved::State::failed) {
    return false;
  }
  if (moved.state == Moved::State::wait) {
    may_read_ = false;
    return true;
  }
  context.counters.add(Counter::bytes_received, moved.count);
  if (input.end == 0) {
    message_started_ms_ = context.now_ms;
  }
  input.end += moved.count;
  end_of_input_ = moved.state == Moved::State::end;
  may_read_ = !end_of_input_ && (!moved.is_short || hang_up_seen_);
  return true;
}

Connection::Moved Connection::read_some(MutableBytes room) {
  if (tls_ != nullptr) {
    const TlsSession::Io io = tls_->read(room);
    switch (io.state) {
      case TlsSession::State::done:
        return {Moved::State::some, io.count, false};
      case TlsSession::State::wait:
        return {Moved::State::wait, 0, true};
      case TlsSession::State::ended:
        return {Moved::State::end, 0, true};
      default:
        reason_ = CloseReason::tls_failed;
        return {};
    }
  }
  while (true) {
    const ssize_t n = recv(fd_.get(), room.data(), room.size(), 0);
    if (n >= 0) {
      const size_t count = static_cast<size_t>(n);
      return {n == 0 ? Moved::State::end : Moved::State::some, count, count < room.size()};
    }
    if (errno != EINTR) {
      return errno == EAGAIN ? Moved{Moved::State::wait, 0, true} : fail_with(errno);
    }
  }
}

bool Connection::flush(WorkerContext& context) {
  while (output_ != nullptr && may_write_) {
    const Moved moved = write_some(context);
    if (moved.state == Moved::State::failed) {
      return false;
    }
    if (moved.state == Moved::State::wait) {
      may_write_ = false;
      continue;
    }
    context.counters.add(Counter::writes);
    context.counters.add(Counter::bytes_sent, moved.count);
    if (moved.is_short) {
      context.counters.add(Counter::partial_writes);
      may_write_ = false;
    }
    active_ms_ = context.now_ms;
    undelivered_ = 0;
    output_->consume(moved.count);
    if (output_->empty()) {
      context.outputs.give_back(std::move(output_));
    }
  }
  return true;
}

Connection::Moved Connection::write_some(WorkerContext& context) {
  std::array<iovec, kPiecesPerWrite> pieces;
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = output_->gather(pieces);
  if (tls_ != nullptr) {
    return write_record(context, std::span(pieces).first(message.msg_iovlen));
  }
  size_t offered = 0;
  for (size_t i = 0; i < message.msg_iovlen; ++i) {
    offered += pieces[i].iov_len;
  }
  while (true) {
    const ssize_t n = sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
    if (n >= 0) {
      const size_t sent = static_cast<size_t>(n);
      return {Moved::State::some, sent, sent < offered};
    }
    if (errno != EINTR) {
      return errno == EAGAIN ? Moved{Moved::State::wait, 0, true} : fail_with(errno);
    }
  }
}

// A large piece goes as it lies, small ones are put together.
Connection::Moved Connection::write_record(WorkerContext& context, std::span<const iovec> pieces) {
  const auto bytes_of = [](const iovec& piece) {
    return Bytes(static_cast<const uint8_t*>(piece.iov_base), piece.iov_len);
  };
  Bytes record = bytes_of(pieces[0]);
  if (record.size() < TlsSession::kRecordSize && pieces.size() > 1) {
    size_t size = 0;
    for (const iovec& piece : pieces) {
      const Bytes bytes = bytes_of(piece);
      const size_t count = std::min(bytes.size(), context.record.size() - size);
      std::copy_n(bytes.begin(), count, context.record.begin() + static_cast<ptrdiff_t>(size));
      size += count;
    }
    record = Bytes(context.record).first(size);
  }
  const TlsSession::Io io =
      tls_->write(record.first(std::min(record.size(), TlsSession::kRecordSize)));
  if (io.state == TlsSession::State::done) {
    return {Moved::State::some, io.count, false};
  }
  reason_ = CloseReason::client_reset;
  return {io.state == TlsSession::State::wait ? Moved::State::wait : Moved::State::failed, 0, true};
}

Connection::Moved Connection::fail_with(int error_number) {
  const bool reset = error_number == ECONNRESET || error_number == EPIPE;
  reason_ = reset                       ? CloseReason::client_reset
            : error_number == ETIMEDOUT ? CloseReason::write_stalled
                                        : CloseReason::socket_error;
  return {};
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
  if (tls_ != nullptr && !tls_->is_ready()) {
    return active_ms_ + milliseconds(options.handshake_timeout);
  }
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

// A slow client may take longer for what the kernel queued than the idle timeout. Who moves within
// that time is not idle: closing would make its next query a reset, which costs it the rest.
Connection::Delivery Connection::look_at_delivery(const WorkerContext& context) {
  int queued = 0;
  if (ioctl(fd_.get(), SIOCOUTQ, &queued) != 0 || queued <= 0) {
    return Delivery::done;
  }
  if (queued == undelivered_) {
    return Delivery::stalled;
  }
  undelivered_ = queued;
  active_ms_ = context.now_ms;
  return Delivery::moves;
}

CloseReason Connection::deadline_reason(const WorkerContext& context) const {
  if (tls_ != nullptr && !tls_->is_ready()) {
    return CloseReason::handshake_timeout;
  }
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
  } else if (tls_ != nullptr && output_ == nullptr) {
    tls_->say_goodbye();
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
