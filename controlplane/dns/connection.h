// SPDX-License-Identifier: Apache-2.0
// One client: bytes in, frames, queries, answers, bytes out, in order. Written for edge-triggered
// epoll: what the socket said last is remembered (may_read_, may_write_) until a call comes back
// short, so that no system call is spent on changing what epoll watches.
//
// Back-pressure: while pipeline_max answers or unsent_bytes_max bytes wait for the client, nothing
// more is read or answered. One turn does a bounded amount of work; who has more to do goes to the
// end of the line, so that no client delays the others.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "controlplane/dns/inbox.h"
#include "controlplane/dns/output.h"
#include "controlplane/dns/server.h"
#include "controlplane/dns/socket.h"
#include "controlplane/dns/source_table.h"
#include "controlplane/dns/statistics.h"
#include "controlplane/dns/subject_queries.h"
#include "controlplane/dns/timer_wheel.h"
#include "controlplane/dns/tls.h"
#include "zones/answer/answer.h"

namespace merlon::dns {

// The subject of a source, or nullptr when it belongs to no device.
const snapshot::Subject* find_subject(const snapshot::Snapshot& snapshot,
                                      const address::Address& source);

// Gives a query with a cookie a server cookie to send back (into `check`, which outlives the reply)
// and says whether its own is good. Without secrets nothing changes.
void check_cookie(const std::optional<cookie::Secrets>& secrets, const address::Address& source,
                  cookie::Check& check, answer::Query& query);

// An answer that was looked up elsewhere. The number tells its connection from a later one of the
// same descriptor.
struct LateAnswer {
  int fd = -1;
  uint64_t number = 0;
  std::vector<uint8_t> message{};  // empty: there is none
};

// What the workers share.
struct Shared {
  const SnapshotSlot& snapshots;
  SourceTable& sources;
  DeviceCertificates& certificates;
  TlsCertificates* tls = nullptr;  // nullptr: nobody listens for TLS
};

// What the connections of a worker share. Not thread-safe.
struct WorkerContext {
  WorkerContext(const ServerOptions& the_options, const Shared& the_shared);

  const ServerOptions& options;
  const Shared& shared;
  const answer::Limits limits;
  const size_t input_bytes_max;  // this worker's part
  SnapshotReader snapshots;
  WorkerCounters counters;
  SubjectQueries subjects;
  OutputPool outputs;
  std::vector<uint8_t> scratch;   // where bytes are received
  std::vector<uint8_t> assembly;  // answers that are more than one body
  std::vector<uint8_t> record;    // small pieces on their way into one TLS record
  unsigned handshakes_left = 0;   // in this round of the worker
  answer::Query query;
  cookie::Check cookie;  // of the query
  uint64_t now_ms = 0;
  size_t input_bytes = 0;         // kept by connections
  uint64_t connection_count = 0;  // accepted; numbers them
  std::shared_ptr<Inbox<LateAnswer>> inbox = std::make_shared<Inbox<LateAnswer>>();
};

class Connection : public TimerNode {
 public:
  enum class Next : uint8_t {
    wait,   // for epoll or the deadline
    again,  // there is more to do, after the others had their turn
    close,  // for reason()
  };

  // `tls`: nullptr for a plain one.
  Connection(Fd fd, const Endpoint& peer, std::unique_ptr<TlsSession> tls, WorkerContext& context);

  // What epoll reported (EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLHUP, EPOLLERR).
  void note_events(uint32_t events);
  // A bounded piece of work.
  Next run(WorkerContext& context);
  // Queues what was looked up for it. REQUIRES: late.number == number().
  void take_late(WorkerContext& context, const LateAnswer& late);
  // When to give up if nothing happens, and why.
  uint64_t deadline_ms(const WorkerContext& context) const;
  CloseReason deadline_reason(const WorkerContext& context) const;
  // Of a connection that looks idle: what becomes of the answers that the kernel still holds for
  // it.
  enum class Delivery : uint8_t { done, moves, stalled };
  Delivery look_at_delivery(const WorkerContext& context);
  // Gives back what it holds of the context and counts the reason. A client that does not read is
  // reset, so that the kernel drops what it queued; for others it delivers what it took.
  void release(WorkerContext& context, CloseReason why);

  int fd() const { return fd_.get(); }
  uint64_t number() const { return number_; }
  const address::Address& source() const { return peer_.address; }
  CloseReason reason() const { return reason_; }

  bool in_line = false;  // the worker's: waits for another turn

 private:
  // The received bytes of a turn, in the scratch buffer.
  struct Input {
    MutableBytes room;
    size_t at = 0;
    size_t end = 0;

    Bytes rest() const { return {room.data() + at, end - at}; }
    bool has_frame() const;
  };

  // What a read or a write came to.
  struct Moved {
    enum class State : uint8_t { some, wait, end, failed } state = State::failed;
    size_t count = 0;
    bool is_short = false;  // the socket has no more, or takes no more
  };

  Next shake_hands(WorkerContext& context);
  Next turn(WorkerContext& context, Input& input);
  void answer_frames(WorkerContext& context, Input& input);
  void answer_message(WorkerContext& context, Bytes message);
  void answer_in_own_memory(WorkerContext& context, Bytes message, answer::Reply& reply);
  void answer_special_message(WorkerContext& context, Bytes message,
                              const snapshot::Subject& subject, answer::Reply& reply);
  // These say whether the answer is queued, or begun; else it comes by take_late().
  bool answer_plainly(WorkerContext& context, Bytes message, answer::Reply& reply);
  bool answer_by_service(WorkerContext& context, Bytes message, const snapshot::Subject& subject,
                         answer::Reply& reply);
  void take_response(WorkerContext& context, Response response, answer::Reply& reply);
  Next continue_stream(WorkerContext& context);
  const snapshot::Subject* subject(WorkerContext& context);
  // False when the connection failed; reason() says why.
  bool receive(WorkerContext& context, Input& input);
  Moved read_some(MutableBytes room);
  bool flush(WorkerContext& context);
  Moved write_some(WorkerContext& context);
  Moved write_record(WorkerContext& context, std::span<const iovec> pieces);
  Moved fail_with(int error_number);
  Next wait_or_close() const;
  void finish(CloseReason reason);
  bool full(const WorkerContext& context) const;
  bool owes_nothing() const { return output_ == nullptr && !stream_ && forwards_ == 0; }
  bool keep_input(WorkerContext& context, const Input& input);
  bool has_partial_message() const { return !kept_.empty() && !kept_frame_; }

  Fd fd_;
  uint16_t forwards_ = 0;  // queries that are looked up elsewhere
  uint64_t number_;
  Endpoint peer_;
  std::unique_ptr<TlsSession> tls_;  // nullptr: plain
  bool may_read_ = false;
  bool may_write_ = true;
  bool hang_up_seen_ = false;  // a short read is not the end: read until the end of input
  bool end_of_input_ = false;
  bool finishing_ = false;   // close for reason_ when the answers are sent
  bool kept_frame_ = false;  // kept_ begins with a whole message
  CloseReason reason_ = CloseReason::client_closed;
  std::unique_ptr<OutputQueue> output_;    // only while it holds something
  std::unique_ptr<MessageStream> stream_;  // other queries wait for its end
  std::vector<uint8_t> kept_;              // received, not answered
  uint64_t active_ms_;                     // last query or last progress in writing
  uint64_t message_started_ms_ = 0;
  int undelivered_ = 0;                    // bytes in the kernel when it last looked idle
  uint64_t subject_version_ = UINT64_MAX;  // the snapshot that subject_ is of
  const snapshot::Subject* subject_ = nullptr;
};

}  // namespace merlon::dns
