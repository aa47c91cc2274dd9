// SPDX-License-Identifier: Apache-2.0
#include "controlplane/forward/resolver.h"

#include <algorithm>
#include <utility>

namespace merlon::forward {
namespace {

constexpr unsigned kTriesMax = 8;
constexpr unsigned kFailuresMax = 3;         // errors of upstreams, until the last is believed
constexpr uint64_t kFailureKept_ms = 2'000;  // RFC 9520: at least a second
constexpr size_t kFailuresKeptMax = 20'000;
constexpr uint64_t kSweepEvery_ms = 100;
constexpr uint32_t kExplorePart = 16;  // of the questions, one goes to whoever
constexpr size_t kQuietRoom = 1'000;   // beside outstanding_max: prefetches and probes

uint64_t milliseconds(Options::Milliseconds time) {
  return static_cast<uint64_t>(time.count());
}

}  // namespace

Resolver::Resolver(const Options& options, Poller& poller, Counters& counters)
    : options_(options),
      poller_(poller),
      counters_(counters),
      cache_({.bytes_max = options.cache_bytes_max, .stale_max = options.stale_max}) {}

Resolver::~Resolver() = default;

Status Resolver::start(uint64_t now_ms) {
  now_ms_ = now_ms;
  std::shared_ptr<const TlsContext> tls;
  for (const UpstreamSpec& spec : options_.upstreams) {
    if (spec.transport == Transport::tls && tls == nullptr) {
      auto made = TlsContext::make(options_.tls_ca_file);
      if (!made) {
        return std::unexpected(made.error());
      }
      tls = std::move(*made);
    }
    std::unique_ptr<Channel> first;
    if (spec.transport == Transport::udp) {
      first = std::make_unique<UdpChannel>(poller_, random_, *this, spec.endpoint);
    }
    auto stream = std::make_unique<StreamChannel>(
        poller_, random_, *this,
        StreamTarget{.endpoint = spec.endpoint,
                     .tls = spec.transport == Transport::tls ? tls : nullptr,
                     .tls_name = spec.tls_name});
    upstreams_.push_back(std::make_unique<Upstream>(spec, std::move(first), std::move(stream),
                                                    options_.failures_to_down));
    upstreams_.back()->sweep(now_ms);
  }
  return {};
}

void Resolver::resolve(const Question& question, Use use, uint64_t now_ms) {
  now_ms_ = now_ms;
  std::string key = question.key();
  const Cache::Found found = cache_.find(key, now_ms);
  if (found.answer != nullptr && !found.is_stale) {
    counters_.add(Counter::cache_hits);
    if (found.refresh && !pending_.contains(key) &&
        pending_.size() < options_.outstanding_max + kQuietRoom) {
      counters_.add(Counter::prefetches);
      ask(open(question, std::move(key)));
    }
    use({.answer = found.answer, .age_s = found.age_s});
    return;
  }
  const Resolved stale{.answer = found.answer, .age_s = found.age_s, .is_stale = true};
  if (const auto open_already = pending_.find(key); open_already != pending_.end()) {
    counters_.add(Counter::joined);
    open_already->second->waiting.push_back(std::move(use));
    return;
  }
  if (const auto failed = failures_.find(key); failed != failures_.end()) {
    if (failed->second.first > now_ms) {
      use(stale.answer != nullptr ? stale : Resolved{.answer = failed->second.second});
      return;
    }
    failures_.erase(failed);
  }
  Pending& pending = open(question, std::move(key));
  pending.waiting.push_back(std::move(use));
  pending.stale = stale;
  timers_.push({now_ms + milliseconds(options_.timeout), pending.id, Due::end});
  if (stale.answer != nullptr) {
    timers_.push({now_ms + milliseconds(options_.stale_after), pending.id, Due::stale});
  }
  ask(pending);
}

Resolver::Pending& Resolver::open(const Question& question, std::string key) {
  auto made = std::make_unique<Pending>();
  Pending& pending = *made;
  pending.id = ++last_number_;
  pending.question = question;
  pending.key = key;
  pending.tried.resize(upstreams_.size());
  by_id_.emplace(pending.id, &pending);
  pending_.emplace(std::move(key), std::move(made));
  return pending;
}

// The upstream that is up and answers fastest, of those that were not asked yet.
size_t Resolver::choose(Pending& pending) {
  std::vector<size_t> candidates;
  for (const bool only_up : {true, false}) {
    for (size_t i = 0; i < upstreams_.size() && (only_up || candidates.empty()); ++i) {
      if (!pending.tried[i] && (!only_up || upstreams_[i]->is_up())) {
        candidates.push_back(i);
      }
    }
  }
  if (candidates.empty()) {  // all were: once more
    pending.tried.assign(upstreams_.size(), false);
    for (size_t i = 0; i < upstreams_.size(); ++i) {
      candidates.push_back(i);
    }
  }
  if (candidates.size() > 1 && random_.below(kExplorePart) == 0) {
    return candidates[random_.below(static_cast<uint32_t>(candidates.size()))];
  }
  return *std::ranges::min_element(candidates, {},
                                   [this](size_t i) { return upstreams_[i]->latency_ms(); });
}

void Resolver::ask(Pending& pending) {
  while (pending.tries < kTriesMax) {
    const size_t upstream = choose(pending);
    if (ask_upstream(pending, upstream, false)) {
      return;
    }
    upstreams_[upstream]->note_failure(true);
  }
  give_up(pending);
}

bool Resolver::ask_upstream(Pending& pending, size_t upstream, bool over_stream) {
  Upstream& chosen = *upstreams_[upstream];
  if (pending.tries++ != 0) {
    counters_.add(Counter::retries);
  }
  pending.tried[upstream] = true;
  pending.upstream = upstream;
  pending.over_stream = over_stream || chosen.spec().transport != Transport::udp;
  pending.sent_name = mix_case(pending.question.name, random_);
  pending.sent_ms = now_ms_;
  pending.token = ++last_number_;
  by_token_.emplace(pending.token, &pending);
  std::vector<uint8_t> message = write_query(pending.question, pending.sent_name, chosen.padding());
  chosen.note_query();
  Channel& channel = over_stream ? chosen.stream() : chosen.first();
  if (!channel.send(pending.token, message)) {
    by_token_.erase(pending.token);
    pending.token = 0;
    return false;
  }
  // A stream may have to be opened first.
  const uint64_t patience = chosen.patience_ms() * (pending.over_stream ? 2 : 1);
  timers_.push({now_ms_ + patience, pending.token, Due::retry});
  return true;
}

Resolver::Pending* Resolver::by_token(uint64_t token) {
  const auto found = by_token_.find(token);
  return found == by_token_.end() ? nullptr : found->second;
}

void Resolver::close_exchange(Pending& pending) {
  if (pending.token != 0) {
    upstreams_[pending.upstream]->first().cancel(pending.token);
    upstreams_[pending.upstream]->stream().cancel(pending.token);
    by_token_.erase(pending.token);
    pending.token = 0;
  }
}

void Resolver::finish(Pending& pending, const Resolved& resolved) {
  close_exchange(pending);
  by_id_.erase(pending.id);
  const auto node = pending_.extract(pending.key);
  // They may ask on: nothing of this question is in use any more.
  for (Use& use : node.mapped()->waiting) {
    use(resolved);
  }
}

void Resolver::give_up(Pending& pending) {
  if (!pending.is_probe) {
    if (failures_.size() >= kFailuresKeptMax) {
      failures_.clear();
    }
    failures_[pending.key] = {now_ms_ + kFailureKept_ms, pending.failed};
  }
  const Resolved result =
      pending.stale.answer != nullptr ? pending.stale : Resolved{.answer = pending.failed};
  finish(pending, result);
}

bool Resolver::on_message(uint64_t token, Bytes message) {
  Pending* pending = by_token(token);
  if (pending == nullptr) {
    return true;
  }
  Upstream& upstream = *upstreams_[pending->upstream];
  Read read = read_answer(message, pending->question, pending->sent_name,
                          {options_.ttl_max_s, options_.negative_ttl_max_s});
  if (read.verdict == Verdict::not_ours) {
    counters_.add(Counter::wrong_answers);
    return false;
  }
  by_token_.erase(token);
  pending->token = 0;
  const bool again = read.verdict == Verdict::truncated || read.verdict == Verdict::other_case;
  if (again && !pending->over_stream) {
    counters_.add(Counter::over_stream);
    if (!ask_upstream(*pending, pending->upstream, true)) {
      on_failure(*pending);
    }
    return true;
  }
  if (read.verdict == Verdict::good) {
    upstream.note_answer(now_ms_ - pending->sent_ms);
    const auto answer = std::make_shared<const Answer>(std::move(read.answer));
    if (!pending->is_probe) {
      cache_.put(pending->key, answer, now_ms_);
    }
    finish(*pending, {.answer = answer});
    return true;
  }
  const bool is_error = read.verdict == Verdict::failed;
  if (is_error) {
    pending->failed = std::make_shared<const Answer>(std::move(read.answer));
  } else {
    counters_.add(Counter::malformed);
  }
  upstream.note_failure(!is_error);
  on_failure(*pending);
  return true;
}

void Resolver::on_fault(uint64_t token) {
  Pending* pending = by_token(token);
  if (pending == nullptr) {
    return;
  }
  by_token_.erase(token);
  pending->token = 0;
  upstreams_[pending->upstream]->note_failure(true);
  on_failure(*pending);
}

void Resolver::on_failure(Pending& pending) {
  if (pending.is_probe || ++pending.failures >= kFailuresMax) {
    give_up(pending);
  } else {
    ask(pending);
  }
}

void Resolver::on_due(const Timer& timer) {
  if (timer.due == Due::retry) {
    Pending* pending = by_token(timer.number);
    if (pending == nullptr) {
      return;
    }
    upstreams_[pending->upstream]->note_timeout();
    close_exchange(*pending);
    if (pending->is_probe) {
      give_up(*pending);
    } else {
      ask(*pending);
    }
    return;
  }
  const auto found = by_id_.find(timer.number);
  if (found == by_id_.end()) {
    return;
  }
  Pending& pending = *found->second;
  if (timer.due == Due::end) {
    give_up(pending);
    return;
  }
  // The answer is still asked for, and will be in the cache.
  const Resolved stale = pending.stale;
  const std::vector<Use> waiting = std::exchange(pending.waiting, {});
  for (const Use& use : waiting) {
    use(stale);
  }
}

void Resolver::probe(size_t upstream) {
  std::string key = "probe " + std::to_string(upstream);
  if (pending_.contains(key)) {
    return;
  }
  Pending& pending = open({.name = name::Name(), .type = wire::type::ns}, std::move(key));
  pending.is_probe = true;
  if (!ask_upstream(pending, upstream, false)) {
    give_up(pending);
  }
}

int Resolver::tick(uint64_t now_ms) {
  now_ms_ = now_ms;
  while (!timers_.empty() && timers_.top().at_ms <= now_ms) {
    const Timer timer = timers_.top();
    timers_.pop();
    on_due(timer);
  }
  if (now_ms - swept_ms_ >= kSweepEvery_ms) {
    swept_ms_ = now_ms;
    for (size_t i = 0; i < upstreams_.size(); ++i) {
      Upstream& upstream = *upstreams_[i];
      upstream.sweep(now_ms);
      if (!upstream.is_up() && now_ms - upstream.probed_ms >= milliseconds(options_.probe_every)) {
        upstream.probed_ms = now_ms;
        probe(i);
      }
    }
  }
  const uint64_t until_timer = timers_.empty()
                                   ? kSweepEvery_ms
                                   : timers_.top().at_ms - std::min(now_ms, timers_.top().at_ms);
  return static_cast<int>(std::min(kSweepEvery_ms, until_timer));
}

}  // namespace merlon::forward
