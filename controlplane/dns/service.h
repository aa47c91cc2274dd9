// SPDX-License-Identifier: Apache-2.0
// What the servers of this folder (TCP, TLS, the slow path's end) hand to others: signed messages
// and transfers, and queries that are forwarded. The servers know these interfaces and nothing
// behind them; who implements them knows no socket. Both are asked only after the access entry let
// the source pass.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "controlplane/dns/snapshot_slot.h"
#include "zones/address/address.h"
#include "zones/answer/answer.h"
#include "zones/base/bytes.h"

namespace merlon::dns {

enum class Tls : uint8_t { none, before_1_3, v1_3 };

// Who asks, and over what.
struct Client {
  address::Address source{};
  uint16_t source_port = 0;
  answer::Transport transport = answer::Transport::udp;
  Tls tls = Tls::none;
  std::string_view certificate = {};  // SHA-256 of the client's own, lower-case hex; "": none
};

struct Request {
  const SnapshotPointer& snapshot;   // not null
  Bytes message;                     // at least a header, QR not set; only during the call
  const answer::Query& parsed;       // as answer::parse_query() left it, cookie checked
  const snapshot::Subject& subject;  // of the snapshot; its verb is pass
  answer::Limits limits;
  Client client;
};

// An answer of many messages, made while the client takes it. One thread at a time. What it sends
// from (snapshot, journal) it keeps alive itself.
class MessageStream {
 public:
  virtual ~MessageStream() = default;
  // Whole messages, each behind its two bytes of length: about kStreamPartSize in all, so that
  // others get their turn; nullptr when all were given.
  virtual std::shared_ptr<const std::vector<uint8_t>> next() = 0;
};
inline constexpr size_t kStreamPartSize = size_t{64} << 10;

struct Response {
  answer::Outcome outcome = answer::Outcome::drop_too_short;
  std::vector<uint8_t> message{};           // whole, without length; empty: `stream`, or a drop
  std::unique_ptr<MessageStream> stream{};  // over TCP only
};

// Signed messages, transfers, NOTIFY: what answer::is_for_slow_path() names. Thread-safe; called by
// the threads that serve everybody, so it takes milliseconds at most.
class SpecialHandler {
 public:
  virtual ~SpecialHandler() = default;
  // nullopt: answer as answer_special() does for who has no such service.
  virtual std::optional<Response> answer(const Request& request) = 0;
};

// Takes a whole message; an empty one says that nothing is to be sent. It is called exactly once,
// from any thread, perhaps before forward() returned; when the client is gone it does nothing.
using Done = std::function<void(std::vector<uint8_t> message)>;

// Looks up what is not ours for sources that may recurse (Outcome::forwarded). Thread-safe; does
// not block.
class Forwarder {
 public:
  virtual ~Forwarder() = default;
  virtual void forward(const Request& request, Done done) = 0;
};

// Both outlive the servers; nullptr: there is no such service.
struct Services {
  SpecialHandler* special = nullptr;
  Forwarder* forwarder = nullptr;
};

}  // namespace merlon::dns
