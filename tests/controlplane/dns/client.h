// SPDX-License-Identifier: Apache-2.0
// A DNS over TCP client that can do what clients should not, and a server over a test snapshot.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/dns/server.h"
#include "controlplane/dns/socket.h"
#include "tests/support/snapshot_fixture.h"

namespace merlon::tests {

using Message = std::vector<uint8_t>;
using Milliseconds = std::chrono::milliseconds;

inline constexpr Milliseconds kPatience{10'000};

class Client {
 public:
  // Connects from `source` when given. Aborts the test program when there is no connection.
  explicit Client(std::string_view server, std::string_view source = "");

  // A receive buffer this small (and the peer's congestion window) is all that a server gets rid
  // of when the client does not read.
  static Client with_small_buffer(std::string_view server);

  bool send_raw(Bytes bytes);  // false when the connection is gone
  bool send_message(Bytes message);
  void close_writing();
  void reset();  // the server sees an error, not an end
  // The next message without its length; nullopt when the server closes or the time is over.
  std::optional<Message> receive(Milliseconds patience = kPatience);
  std::optional<Message> ask(const QuerySpec& spec);
  // Waits for the server to close without sending anything more. False when it sends, or when the
  // time is over.
  bool sees_close(Milliseconds patience = kPatience);
  // Reads and forgets until the server closes; how many bytes came, or nullopt when time is over.
  std::optional<size_t> drain(Milliseconds patience = kPatience);

 private:
  Client() = default;
  bool read_exactly(MutableBytes out, std::chrono::steady_clock::time_point end);

  dns::Fd fd_;
};

// A connected socket, from `source` when given. Aborts when there is none.
dns::Fd connected_socket(std::string_view server, std::string_view source = "",
                         int receive_buffer = 0);

Message framed(Bytes message);
Message concatenate(const std::vector<Message>& parts);

// What the answer logic says to this query from this source, over TCP.
Message expected_answer(const snapshot::Snapshot& snapshot, Bytes query,
                        std::string_view source = "127.0.0.1");

inline constexpr uint16_t kPatchedRecords = 1500;

// The fixture's zones with an access table of loopback sources:
//   127.0.0.1, ::1  account 7, tiers basic and advanced     127.0.0.4  verb refuse
//   127.0.0.3       verb ignore                             127.0.0.5  verb empty
//   127.0.0.9       account 9, tier basic                   all others: not registered
// and, when `patched` names an apex, a zone of tier basic whose negative answer has kPatchedRecords
// records owned by the apex, so that its body has as many places to patch.
std::shared_ptr<const snapshot::Snapshot> loopback_snapshot(const FixtureOptions& options = {},
                                                            std::string_view patched = "");

// Small timeouts; listens on 127.0.0.1 and ::1 at free ports.
dns::ServerOptions quick_options();

struct RunningServer {
  explicit RunningServer(const dns::ServerOptions& options = quick_options(),
                         std::shared_ptr<const snapshot::Snapshot> first = loopback_snapshot());

  const std::string& v4() const { return server->addresses()[0]; }
  const std::string& v6() const { return server->addresses()[1]; }
  uint64_t closes(dns::CloseReason reason) const { return server->statistics().of(reason); }
  // Waits until that many connections were closed for the reason.
  bool waits_for(dns::CloseReason reason, uint64_t count) const;
  bool waits_for_open(uint64_t count) const;

  std::shared_ptr<const snapshot::Snapshot> snapshot;
  dns::SnapshotSlot slot;
  std::unique_ptr<dns::Server> server;
};

}  // namespace merlon::tests
