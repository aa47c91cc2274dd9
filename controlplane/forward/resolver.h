// SPDX-License-Identifier: Apache-2.0
// Questions to answers: the cache, then the upstreams, one after the other until one answers or the
// time is over. Equal questions are asked once, however many wait for the answer: it saves work,
// and an attacker who makes us ask many times has no more chances than with one (the birthday
// attack). Used by one thread.
#pragma once

#include <functional>
#include <memory>
#include <queue>
#include <string>
#include <unordered_map>
#include <vector>

#include "controlplane/forward/cache.h"
#include "controlplane/forward/options.h"
#include "controlplane/forward/poller.h"
#include "controlplane/forward/statistics.h"
#include "controlplane/forward/upstream.h"

namespace merlon::forward {

struct Resolved {
  AnswerPointer answer{};  // nullptr: nobody answered; its rcode may be an upstream's error
  uint32_t age_s = 0;
  bool is_stale = false;
};

class Resolver : public ExchangeEvents {
 public:
  using Use = std::function<void(const Resolved&)>;

  Resolver(const Options& options, Poller& poller, Counters& counters);
  ~Resolver() override;
  // Errors: io (certificates).
  Status start(uint64_t now_ms);

  // `use` is called once, perhaps before this returns.
  void resolve(const Question& question, Use use, uint64_t now_ms);
  // What is due. Returns how long nothing will be, in milliseconds.
  int tick(uint64_t now_ms);

  const Cache& cache() const { return cache_; }
  const std::vector<std::unique_ptr<Upstream>>& upstreams() const { return upstreams_; }

  bool on_message(uint64_t token, Bytes message) override;
  void on_fault(uint64_t token) override;
  void on_stray() override { counters_.add(Counter::strays); }

 private:
  struct Pending {
    uint64_t id = 0;
    Question question{};
    std::string key{};
    std::vector<Use> waiting{};
    name::Name sent_name{};
    uint64_t token = 0;  // of the open exchange; 0: none
    size_t upstream = 0;
    bool over_stream = false;
    uint64_t sent_ms = 0;
    unsigned tries = 0;
    unsigned failures = 0;
    std::vector<bool> tried{};
    AnswerPointer failed{};  // the error that an upstream gave
    Resolved stale{};
    bool is_probe = false;
  };
  enum class Due : uint8_t { retry, stale, end };
  struct Timer {
    uint64_t at_ms = 0;
    uint64_t number = 0;  // of the exchange for retry, else of the pending question
    Due due = Due::end;
    bool operator>(const Timer& other) const { return at_ms > other.at_ms; }
  };

  Pending& open(const Question& question, std::string key);
  void ask(Pending& pending);
  bool ask_upstream(Pending& pending, size_t upstream, bool over_stream);
  size_t choose(Pending& pending);
  void close_exchange(Pending& pending);
  void finish(Pending& pending, const Resolved& resolved);
  void give_up(Pending& pending);
  void on_due(const Timer& timer);
  void on_failure(Pending& pending);
  void probe(size_t upstream);
  Pending* by_token(uint64_t token);

  const Options& options_;
  Poller& poller_;
  Counters& counters_;
  Random random_;
  Cache cache_;
  std::vector<std::unique_ptr<Upstream>> upstreams_;
  std::unordered_map<std::string, std::unique_ptr<Pending>> pending_;
  std::unordered_map<uint64_t, Pending*> by_id_;
  std::unordered_map<uint64_t, Pending*> by_token_;
  std::unordered_map<std::string, std::pair<uint64_t, AnswerPointer>> failures_;  // until when
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers_;
  uint64_t now_ms_ = 0;
  uint64_t swept_ms_ = 0;
  uint64_t last_number_ = 0;
};

}  // namespace merlon::forward
