// SPDX-License-Identifier: Apache-2.0
// What the TCP server counts: every connection ends for one named reason, every query in one
// outcome of the answer logic. Workers write their own counters, anybody reads the sum.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "zones/answer/outcome.h"

namespace merlon::dns {

// Why a connection was closed.
#define MERLON_DNS_CLOSE_REASONS(X)                                                           \
  X(client_closed, "the client closed after whole messages; its answers were sent")           \
  X(client_closed_mid_message, "the client closed inside a message")                          \
  X(client_reset, "the client reset the connection")                                          \
  X(socket_error, "reading or writing failed")                                                \
  X(idle, "no query within the idle timeout")                                                 \
  X(message_timeout, "a query was not complete within the message timeout of its first byte") \
  X(write_stalled, "the client took no byte of its answers within the write stall timeout")   \
  X(frame_empty, "a message of length zero")                                                  \
  X(frame_too_short, "a message shorter than a DNS header")                                   \
  X(not_a_query, "a message with QR set")                                                     \
  X(ignored_source, "the device's access entry says ignore")                                  \
  X(no_snapshot, "no snapshot is loaded yet")                                                 \
  X(limit_total, "connections_max connections were open")                                     \
  X(limit_source, "the source had connections_per_source_max connections open")               \
  X(limit_input, "incomplete queries of all clients together exceeded input_bytes_max")       \
  X(no_room, "an answer did not fit a message: a bug in the snapshot or the server")          \
  X(handshake_timeout, "TLS was not agreed on within the handshake timeout")                  \
  X(tls_failed, "the client spoke no TLS, or not one we speak, or broke it")                  \
  X(setup_failed, "the operating system refused to watch the connection")                     \
  X(server_stopped, "the server was stopped")

#define MERLON_DNS_COUNTERS(X)                                                             \
  X(connections_accepted, "connections accepted, with those closed at once by a limit")    \
  X(accept_errors, "connections that could not be accepted, e.g. for want of descriptors") \
  X(tls_handshakes, "TLS handshakes that were completed")                                  \
  X(tls_resumed, "of those, resumed from a ticket")                                        \
  X(tls_other_certificate, "queries of devices that did not show their certificate")       \
  X(queries, "complete messages received")                                                 \
  X(answers, "answers queued")                                                             \
  X(streams, "of the answers, those made piece by piece: transfers")                       \
  X(stream_pieces, "pieces of them")                                                       \
  X(answers_too_late, "answers from elsewhere whose client was gone")                      \
  X(bytes_received, "bytes received, length prefixes included")                            \
  X(bytes_sent, "bytes that the sockets took, length prefixes included")                   \
  X(writes, "write calls that took at least one byte")                                     \
  X(partial_writes, "write calls that took only a part")                                   \
  X(pauses, "times that reading stopped until a client took its answers")                  \
  X(snapshot_changes, "times that a worker went over to another snapshot")

enum class CloseReason : uint8_t {
#define MERLON_X(name, text) name,
  MERLON_DNS_CLOSE_REASONS(MERLON_X)
#undef MERLON_X
      count_
};
inline constexpr size_t kCloseReasonCount = static_cast<size_t>(CloseReason::count_);
std::string_view to_string(CloseReason reason);
std::string_view explain(CloseReason reason);

enum class Counter : uint8_t {
#define MERLON_X(name, text) name,
  MERLON_DNS_COUNTERS(MERLON_X)
#undef MERLON_X
      count_
};
inline constexpr size_t kCounterCount = static_cast<size_t>(Counter::count_);
std::string_view to_string(Counter counter);
std::string_view explain(Counter counter);

// Plain numbers at one moment.
struct Statistics {
  std::array<uint64_t, kCounterCount> counters{};
  std::array<uint64_t, kCloseReasonCount> closes{};
  std::array<uint64_t, answer::kOutcomeCount> outcomes{};

  uint64_t of(Counter counter) const { return counters[static_cast<size_t>(counter)]; }
  uint64_t of(CloseReason reason) const { return closes[static_cast<size_t>(reason)]; }
  uint64_t of(answer::Outcome outcome) const { return outcomes[static_cast<size_t>(outcome)]; }
  uint64_t closed() const;
  uint64_t connections_open() const { return of(Counter::connections_accepted) - closed(); }
  // {"connections_open":1,"counters":{..},"closes":{..},"outcomes":{..}}, every name present.
  std::string to_json() const;
};

// One worker's counters: one thread adds, any thread reads.
class WorkerCounters {
 public:
  void add(Counter counter, uint64_t count = 1) {
    add_to(counters_[static_cast<size_t>(counter)], count);
  }
  void add(CloseReason reason) { add_to(closes_[static_cast<size_t>(reason)], 1); }
  void add(answer::Outcome outcome) { add_to(outcomes_[static_cast<size_t>(outcome)], 1); }
  void add_into(Statistics& sum) const;

 private:
  using Number = std::atomic<uint64_t>;
  // A single writer needs no locked addition.
  static void add_to(Number& number, uint64_t count) {
    number.store(number.load(std::memory_order_relaxed) + count, std::memory_order_release);
  }

  std::array<Number, kCounterCount> counters_{};
  std::array<Number, kCloseReasonCount> closes_{};
  std::array<Number, answer::kOutcomeCount> outcomes_{};
};

}  // namespace merlon::dns
