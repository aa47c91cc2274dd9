// SPDX-License-Identifier: Apache-2.0
// An upstream resolver that does what a test tells it, over UDP and TCP on one port of the
// loopback: answers, lies, truncates, keeps silent, spoofs.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "zones/base/bytes.h"

namespace merlon::tests {

struct FakeRecord {
  std::string owner;  // presentation form
  uint16_t type = 1;
  std::vector<uint8_t> data;
  uint32_t ttl = 300;
  int section = 0;  // answer, authority, additional
};

struct FakeReply {
  uint16_t flags = 0x8180;  // QR, RD, RA
  std::vector<FakeRecord> records{};
};

// The query's id and question, then these records, owners uncompressed.
std::vector<uint8_t> make_fake_reply(Bytes query, const FakeReply& reply);
std::vector<uint8_t> wire_name(std::string_view text);
// With this serial and minimum.
FakeRecord fake_soa(std::string_view owner, uint32_t minimum = 60);
// The question's name in a query, folded, in presentation form, and its type.
std::string question_name(Bytes query);
uint16_t question_type(Bytes query);

class FakeUpstream {
 public:
  enum class Over : uint8_t { udp, tcp };
  // The messages to send back, in this order.
  using Messages = std::vector<std::vector<uint8_t>>;
  using Handler = std::function<Messages(Bytes query, Over over)>;

  explicit FakeUpstream(Handler handler);
  ~FakeUpstream();
  FakeUpstream(const FakeUpstream&) = delete;
  FakeUpstream& operator=(const FakeUpstream&) = delete;

  std::string address() const;  // "127.0.0.1:port"
  void set_handler(Handler handler);
  size_t query_count() const { return ports().size(); }
  size_t count_of(std::string_view name) const;  // queries for it
  std::vector<uint16_t> ports() const;           // where queries came from, in order
  std::vector<std::vector<uint8_t>> queries() const;

 private:
  void run();
  void serve_udp();
  void serve_tcp(int fd);
  Messages handle(Bytes query, Over over, uint16_t port);

  int udp_ = -1;
  int listener_ = -1;
  uint16_t port_ = 0;
  mutable std::mutex mutex_;
  Handler handler_;
  std::vector<uint16_t> ports_;
  std::vector<std::vector<uint8_t>> queries_;
  std::vector<int> clients_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace merlon::tests
