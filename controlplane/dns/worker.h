// SPDX-License-Identifier: Apache-2.0
// One thread of the server: accepts, waits in epoll, gives connections their turns, closes who is
// late.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "controlplane/dns/connection.h"
#include "controlplane/dns/socket.h"
#include "controlplane/dns/timer_wheel.h"

namespace merlon::dns {

enum class Security : uint8_t { plain, tls };

struct ListeningSocket {
  Fd fd;
  Security security = Security::plain;
};

class Worker {
 public:
  // Errors: io.
  static Result<std::unique_ptr<Worker>> make(const ServerOptions& options, const Shared& shared,
                                              std::vector<ListeningSocket> listeners);
  ~Worker();

  void run();   // until stop(); closes all connections before it returns
  void stop();  // from any thread
  const WorkerCounters& counters() const { return context_.counters; }
  const SubjectQueries& subjects() const { return context_.subjects; }

 private:
  struct Listener {
    ListeningSocket socket;
    uint64_t paused_until_ms = 0;  // 0: not paused
  };

  Worker(const ServerOptions& options, const Shared& shared);
  Status watch(int fd, uint32_t events);
  int wait_ms() const;
  void handle_event(int fd, uint32_t events);
  void accept_some(Listener& listener);
  void pause(Listener& listener);
  void resume_listeners();
  void adopt(Fd fd, const Endpoint& peer, Security security);
  void take_late_answers();
  void give_turn(Connection& connection);
  void look_at(Connection& connection);
  void close(Connection& connection, CloseReason reason);

  WorkerContext context_;
  Fd epoll_;
  Fd wake_;
  std::atomic<bool> stop_{false};
  std::vector<Listener> listeners_;
  bool listener_paused_ = false;
  std::vector<std::unique_ptr<Connection>> by_fd_;
  std::vector<Connection*> line_;  // who has more to do
  TimerWheel timers_;
};

}  // namespace merlon::dns
