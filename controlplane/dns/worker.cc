// SPDX-License-Identifier: Apache-2.0
#include "controlplane/dns/worker.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace merlon::dns {
namespace {

constexpr int kEventsPerWait = 256;
constexpr int kAcceptsPerTurn = 64;
// A handshake takes up to a millisecond.
constexpr unsigned kHandshakesPerRound = 8;
// An idle worker looks up this often, to let go of a snapshot that was replaced.
constexpr int kIdleWaitMs = 1000;
// After an accept that failed for want of descriptors or memory.
constexpr uint64_t kAcceptPauseMs = 100;

uint64_t read_clock_ms() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1'000'000;
}

// The connection was lost before it was accepted (accept(2)): take the next one.
bool concerns_one_connection(int error_number) {
  switch (error_number) {
    case ECONNABORTED:
    case EINTR:
    case EPROTO:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
    case EPERM:
      return true;
    default:
      return false;
  }
}

}  // namespace

Worker::Worker(const ServerOptions& options, const Shared& shared) : context_(options, shared) {}

// Who still looks something up for it, keeps the inbox and drops the answer there.
Worker::~Worker() {
  context_.inbox->close();
}

Result<std::unique_ptr<Worker>> Worker::make(const ServerOptions& options, const Shared& shared,
                                             std::vector<ListeningSocket> listeners) {
  std::unique_ptr<Worker> worker(new Worker(options, shared));
  worker->epoll_ = Fd(epoll_create1(EPOLL_CLOEXEC));
  worker->wake_ = Fd(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!worker->epoll_.valid() || !worker->wake_.valid() || !worker->context_.inbox->valid()) {
    return fail_errno("start a DNS worker", errno);
  }
  if (auto watched = worker->watch(worker->wake_.get(), EPOLLIN); !watched) {
    return std::unexpected(watched.error());
  }
  if (auto watched = worker->watch(worker->context_.inbox->fd(), EPOLLIN); !watched) {
    return std::unexpected(watched.error());
  }
  for (ListeningSocket& listener : listeners) {
    if (auto watched = worker->watch(listener.fd.get(), EPOLLIN); !watched) {
      return std::unexpected(watched.error());
    }
    worker->listeners_.push_back({std::move(listener), 0});
  }
  return worker;
}

Status Worker::watch(int fd, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return fail_errno("watch a DNS socket", errno);
  }
  return {};
}

void Worker::stop() {
  stop_.store(true, std::memory_order_release);
  const uint64_t one = 1;
  // It fails only when the counter is full, and then the worker wakes up anyway.
  [[maybe_unused]] const ssize_t n = write(wake_.get(), &one, sizeof one);
}

void Worker::run() {
  std::array<epoll_event, kEventsPerWait> events;
  while (!stop_.load(std::memory_order_acquire)) {
    const int count = epoll_wait(epoll_.get(), events.data(), kEventsPerWait, wait_ms());
    context_.now_ms = read_clock_ms();
    context_.handshakes_left = kHandshakesPerRound;
    if (context_.shared.tls != nullptr) {
      context_.shared.tls->look(context_.now_ms);
    }
    if (context_.snapshots.refresh()) {
      context_.counters.add(Counter::snapshot_changes);
    }
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      handle_event(event.data.fd, event.events);
    }
    std::vector<Connection*> line;
    line.swap(line_);
    for (Connection* connection : line) {
      connection->in_line = false;
      give_turn(*connection);
    }
    timers_.advance(context_.now_ms,
                    [this](TimerNode& node) { look_at(static_cast<Connection&>(node)); });
    resume_listeners();
  }
  for (const auto& connection : by_fd_) {
    if (connection != nullptr) {
      close(*connection, CloseReason::server_stopped);
    }
  }
}

int Worker::wait_ms() const {
  if (!line_.empty()) {
    return 0;
  }
  return timers_.empty() && !listener_paused_ ? kIdleWaitMs : static_cast<int>(TimerWheel::kTickMs);
}

void Worker::handle_event(int fd, uint32_t events) {
  const size_t index = static_cast<size_t>(fd);
  if (index < by_fd_.size() && by_fd_[index] != nullptr) {
    Connection& connection = *by_fd_[index];
    connection.note_events(events);
    if (!connection.in_line) {
      give_turn(connection);
    }
    return;
  }
  if (fd == context_.inbox->fd()) {
    take_late_answers();
    return;
  }
  for (Listener& listener : listeners_) {
    if (listener.socket.fd.get() == fd) {
      accept_some(listener);
    }
  }
}

void Worker::take_late_answers() {
  for (const LateAnswer& late : context_.inbox->take()) {
    const size_t index = static_cast<size_t>(late.fd);
    Connection* const connection = index < by_fd_.size() ? by_fd_[index].get() : nullptr;
    if (connection == nullptr || connection->number() != late.number) {
      context_.counters.add(Counter::answers_too_late);
      continue;
    }
    connection->take_late(context_, late);
    if (!connection->in_line) {
      give_turn(*connection);
    }
  }
}

void Worker::accept_some(Listener& listener) {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    sockaddr_storage peer{};
    socklen_t size = sizeof peer;
    Fd fd(accept4(listener.socket.fd.get(), reinterpret_cast<sockaddr*>(&peer), &size,
                  SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (fd.valid()) {
      adopt(std::move(fd), endpoint_of(peer), listener.socket.security);
      continue;
    }
    if (errno == EAGAIN) {
      return;
    }
    context_.counters.add(Counter::accept_errors);
    if (!concerns_one_connection(errno)) {
      pause(listener);
      return;
    }
  }
}

// The client waits in the backlog meanwhile; trying at once would only spin.
void Worker::pause(Listener& listener) {
  epoll_event none{};
  none.data.fd = listener.socket.fd.get();
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, listener.socket.fd.get(), &none);
  listener.paused_until_ms = context_.now_ms + kAcceptPauseMs;
  listener_paused_ = true;
}

void Worker::resume_listeners() {
  if (!listener_paused_) {
    return;
  }
  listener_paused_ = false;
  for (Listener& listener : listeners_) {
    if (listener.paused_until_ms == 0) {
      continue;
    }
    if (listener.paused_until_ms > context_.now_ms) {
      listener_paused_ = true;
      continue;
    }
    epoll_event readable{};
    readable.events = EPOLLIN;
    readable.data.fd = listener.socket.fd.get();
    epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, listener.socket.fd.get(), &readable);
    listener.paused_until_ms = 0;
  }
}

void Worker::adopt(Fd fd, const Endpoint& peer, Security security) {
  const address::Address& source = peer.address;
  context_.counters.add(Counter::connections_accepted);
  const SnapshotPointer& snapshot = context_.snapshots.snapshot();
  if (snapshot == nullptr) {
    context_.counters.add(CloseReason::no_snapshot);
    return;
  }
  const snapshot::Subject* subject = find_subject(*snapshot, source);
  if (subject != nullptr && subject->verb == snapshot::Verb::ignore) {
    context_.counters.add(CloseReason::ignored_source);
    return;
  }
  const SourceTable::Admission admission = context_.shared.sources.admit(source);
  if (admission != SourceTable::Admission::admitted) {
    context_.counters.add(admission == SourceTable::Admission::total_full
                              ? CloseReason::limit_total
                              : CloseReason::limit_source);
    return;
  }
  const int number = fd.get();
  const size_t index = static_cast<size_t>(number);
  if (index >= by_fd_.size()) {
    by_fd_.resize(std::max(index + 1, by_fd_.size() * 2));
  }
  std::unique_ptr<TlsSession> tls;
  if (security == Security::tls) {
    tls = TlsSession::make(context_.shared.tls->current(), number);
  }
  const bool is_made = security == Security::plain || tls != nullptr;
  by_fd_[index] = std::make_unique<Connection>(std::move(fd), peer, std::move(tls), context_);
  Connection& connection = *by_fd_[index];
  if (!is_made || !watch(number, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)) {
    close(connection, CloseReason::setup_failed);
    return;
  }
  timers_.schedule(connection, context_.now_ms, connection.deadline_ms(context_));
}

void Worker::give_turn(Connection& connection) {
  switch (connection.run(context_)) {
    case Connection::Next::close:
      close(connection, connection.reason());
      return;
    case Connection::Next::again:
      connection.in_line = true;
      line_.push_back(&connection);
      break;
    case Connection::Next::wait:
      break;
  }
  timers_.schedule(connection, context_.now_ms, connection.deadline_ms(context_));
}

void Worker::look_at(Connection& connection) {
  const uint64_t deadline = connection.deadline_ms(context_);
  if (deadline > context_.now_ms || connection.in_line) {
    timers_.schedule(connection, context_.now_ms, std::max(deadline, context_.now_ms));
    return;
  }
  CloseReason reason = connection.deadline_reason(context_);
  if (reason == CloseReason::idle) {
    switch (connection.look_at_delivery(context_)) {
      case Connection::Delivery::moves:
        timers_.schedule(connection, context_.now_ms, connection.deadline_ms(context_));
        return;
      case Connection::Delivery::stalled:
        reason = CloseReason::write_stalled;
        break;
      case Connection::Delivery::done:
        break;
    }
  }
  close(connection, reason);
}

void Worker::close(Connection& connection, CloseReason reason) {
  timers_.remove(connection);
  context_.shared.sources.release(connection.source());
  connection.release(context_, reason);
  by_fd_[static_cast<size_t>(connection.fd())].reset();  // closes the descriptor, epoll forgets it
}

}  // namespace merlon::dns
