// SPDX-License-Identifier: Apache-2.0
// Tells secondaries that a zone has a new serial (RFC 1996): over UDP, signed with the device's
// key when it has one, again after 1, 2, 4.. seconds until it is acknowledged. One thread with a
// socket per family; bounded: per address and zone there is one news at a time, the latest.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <thread>
#include <tuple>
#include <vector>

#include "controlplane/api/transfers.h"
#include "controlplane/dns/socket.h"
#include "controlplane/transfer/keys.h"
#include "zones/name/name.h"

namespace merlon::transfer {

struct News {
  std::string device{};
  Target target{};
  KeyPointer key{};  // nullptr: unsigned
  name::Name apex{};
  uint32_t serial = 0;
};

struct NotifierOptions {
  std::chrono::milliseconds first_wait{1000};  // doubled each time
  uint32_t tries_max = 6;
};

// Thread-safe.
class Notifier {
 public:
  static constexpr size_t kNewsMax = 65536;

  // Errors: io.
  static Result<std::unique_ptr<Notifier>> start(const NotifierOptions& options);
  ~Notifier();

  void tell(std::vector<News> news);
  std::vector<api::Notified> facts() const;

 private:
  using Steady = std::chrono::steady_clock;
  using Key = std::tuple<std::string, std::string, std::string>;  // device, target, apex
  struct Pending {
    News news;
    api::Notified facts;
    uint16_t id = 0;
    bool open = false;  // it is still to be told, or to be acknowledged
    Steady::time_point due{};
  };

  explicit Notifier(const NotifierOptions& options) : options_(options) {}
  Status open_sockets();
  void run();
  // Of what is due, at most so many that the answers are looked at in between.
  void send_due();
  void send(Pending& pending, int64_t now);
  void give_up(Pending& pending);
  void receive(int socket);
  void take_answer(Bytes message, const address::Address& source, uint16_t port);
  int wait_ms() const;
  void make_room();
  void forget_id(uint16_t id, const Key& key);

  const NotifierOptions options_;
  dns::Fd socket4_;
  dns::Fd socket6_;
  dns::Fd wake_;
  mutable std::mutex mutex_;
  std::map<Key, Pending> pending_;
  std::multimap<Steady::time_point, Key> due_;
  std::multimap<uint16_t, Key> by_id_;  // of those that are open
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace merlon::transfer
