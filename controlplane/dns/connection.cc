// SPDX-License-Identifier: Apache-2.0
#include "controlplane/dns/connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

#include "controlplane/dns/special.h"
#include "zones/wire/wire.h"

namespace merlon::dns {
namespace {

constexpr size_t kReadSize = 16 * 1024;
constexpr size_t kFrameSizeMax = OutputQueue::kPrefixSize + wire::kMessageSizeMax;
// What is kept of a turn is at most an incomplete message or what one read brought behind it.
constexpr size_t kScratchSize = kFrameSizeMax + kReadSize;
constexpr unsigned kRoundsPerTurn = 4;
constexpr size_t kPiecesPerWrite = 256;

CloseReason reason_of_drop(answer::Outcome outcome) {
  switch (outcome) {
    case answer::Outcome::drop_not_a_query:
      return CloseReason::not_a_query;
    case answer::Outcome::drop_ignored_source:
      return CloseReason::ignored_source;
    case answer::Outcome::drop_too_short:
      return CloseReason::frame_too_short;
    default:
      return CloseReason::no_room;
  }
}

bool resets_client(CloseReason reason) {
  return reason == CloseReason::write_stalled || reason == CloseReason::limit_input;
}

uint64_t milliseconds(ServerOptions::Milliseconds time) {
  return static_cast<uint64_t>(time.count());
}

}  // namespace

const snapshot::Subject* find_subject(const snapshot::Snapshot& snapshot,
                                      const address::Address& source) {
  const uint32_t index = snapshot.access()->view.find(source);
  return index == snapshot::kNoSubject ? nullptr : &snapshot.subject(index);
}

void check_cookie(const std::optional<cookie::Secrets>& secrets, const address::Address& source,
                  cookie::Check& check, answer::Query& query) {
  if (query.cookie_size == 0 || !secrets) {
    return;
  }
  std::copy_n(query.cookie.begin(), cookie::kClientSize, check.client.begin());
  std::copy_n(query.cookie.begin() + cookie::kClientSize, cookie::kServerSize,
              check.server.begin());
  check.server_size = static_cast<uint8_t>(query.cookie_size - cookie::kClientSize);
  check.source = source;
  const auto now = static_cast<uint32_t>(std::time(nullptr));
  cookie::check_burst(*secrets, now, {&check, 1});
  query.cookie_valid = check.state == cookie::State::valid;
  query.server_cookie = check.answer.data();
}

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

Connection::Connection(Fd fd, const address::Address& source, uint64_t now_ms)
    : fd_(std::move(fd)), source_(source), active_ms_(now_ms) {}

void Connection::note_events(uint32_t events) {
  constexpr uint32_t kHangUp = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
  hang_up_seen_ = hang_up_seen_ || (events & kHangUp) != 0;
  may_read_ = may_read_ || (events & (EPOLLIN | kHangUp)) != 0;
  may_write_ = may_write_ || (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0;
}

bool Connection::full(const WorkerContext& context) const {
  return output_ != nullptr &&
         (output_->answer_count() >= context.options.pipeline_max ||
          output_->unsent_bytes() >= context.options.unsent_bytes_max || !output_->has_room());
}

Connection::Next Connection::wait_or_close() const {
  return finishing_ && output_ == nullptr ? Next::close : Next::wait;
}

Connection::Next Connection::run(WorkerContext& context) {
  if (!flush(context)) {
    return Next::close;
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

void Connection::answer_frames(WorkerContext& context, Input& input) {
  while (input.has_frame() && !finishing_ && !full(context)) {
    const size_t size = load_be16(input.room.data() + input.at);
    const Bytes message = input.rest().subspan(OutputQueue::kPrefixSize, size);
    input.at += OutputQueue::kPrefixSize + size;
    if (size < wire::kHeaderSize) {
      finish(size == 0 ? CloseReason::frame_empty : CloseReason::frame_too_short);
    } else {
      answer_message(context, message);
    }
  }
}

void Connection::answer_message(WorkerContext& context, Bytes message) {
  const SnapshotPointer& snapshot = context.snapshots.snapshot();
  context.counters.add(Counter::queries);
  active_ms_ = context.now_ms;
  if (snapshot == nullptr) {
    finish(CloseReason::no_snapshot);
    return;
  }
  if (output_ == nullptr) {
    output_ = context.outputs.take();
  }
  const MutableBytes head = output_->begin(message);
  answer::Reply reply = answer::answer(*snapshot, message, subject(context), context.limits,
                                       context.query, context.assembly);
  // The handshake has proved the source: whatever the cookie, the client gets one that is good.
  // There is room for it behind every body, so that it may come after deciding.
  check_cookie(context.options.cookie_secrets, source_, context.cookie, context.query);
  std::array<uint8_t, answer::kOptSizeMax> tail;
  if (answer::is_for_slow_path(reply.outcome)) {
    answer_special_message(context, message, reply);
  } else if (answer::is_copied(reply) && reply.body.size > OutputQueue::kPatchedMax) {
    answer_in_own_memory(context, message, reply);
  } else {
    const answer::Gathered gathered =
        answer::compose_gathered(context.query, reply, context.limits, head, tail);
    if (!is_drop(reply.outcome)) {
      output_->commit(gathered, tail, snapshot);
    }
  }
  context.counters.add(reply.outcome);
  if (subject_ != nullptr) {
    context.subjects.add(
        *subject_,
        {.query = context.query, .reply = reply, .source = source_, .now = std::time(nullptr)});
  } else if (reply.outcome == answer::Outcome::refused_unregistered) {
    context.subjects.add_unknown(source_, std::time(nullptr));
  }
  if (is_drop(reply.outcome)) {
    finish(reason_of_drop(reply.outcome));
  } else {
    context.counters.add(Counter::answers);
  }
  if (output_->empty()) {
    context.outputs.give_back(std::move(output_));
  }
}

// A large body that was assembled or has places to patch: it cannot be shared, so this answer has
// memory of its own.
void Connection::answer_in_own_memory(WorkerContext& context, Bytes message, answer::Reply& reply) {
  const size_t copied = std::min(message.size(), OutputQueue::kQuestionEndMax);
  const auto framed = std::make_shared<std::vector<uint8_t>>(OutputQueue::kPrefixSize + copied +
                                                             reply.body.size + answer::kOptSizeMax);
  const MutableBytes room = MutableBytes(*framed).subspan(OutputQueue::kPrefixSize);
  std::memcpy(room.data(), message.data(), copied);
  const size_t size = answer::compose(context.query, reply, context.limits, room, copied);
  if (is_drop(reply.outcome)) {
    return;
  }
  store_be16(framed->data(), static_cast<uint16_t>(size));
  framed->resize(OutputQueue::kPrefixSize + size);
  output_->commit_whole(framed);
}

// Rare and small: memory of its own, as above.
void Connection::answer_special_message(WorkerContext& context, Bytes message,
                                        answer::Reply& reply) {
  const auto framed =
      std::make_shared<std::vector<uint8_t>>(OutputQueue::kPrefixSize + kSpecialReplySizeMax);
  const SpecialReply special =
      answer_special({.snapshot = *context.snapshots.snapshot(),
                      .message = message,
                      .parsed = context.query,
                      .subject = subject(context),
                      .limits = context.limits},
                     MutableBytes(*framed).subspan(OutputQueue::kPrefixSize));
  reply.outcome = special.outcome;
  store_be16(framed->data(), static_cast<uint16_t>(special.size));
  framed->resize(OutputQueue::kPrefixSize + special.size);
  output_->commit_whole(framed);
}

const snapshot::Subject* Connection::subject(WorkerContext& context) {
  if (subject_version_ != context.snapshots.version()) {
    subject_version_ = context.snapshots.version();
    subject_ = find_subject(*context.snapshots.snapshot(), source_);
  }
  return subject_;
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
  return in_message ? message_end : active_ms_ + milliseconds(options.idle_timeout);
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
  context.input_bytes -= kept_.size();
  kept_.clear();
  context.counters.add(why);
}

}  // namespace merlon::dns
