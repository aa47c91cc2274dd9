// SPDX-License-Identifier: Apache-2.0
#include "controlplane/forward/forwarder.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <system_error>
#include <thread>
#include <unordered_map>

#include "controlplane/forward/client.h"

namespace merlon::forward {
namespace {

constexpr uint64_t kForgetSnapshotsAfter_ms = 2'000;
constexpr int kSourceBits6 = 64;  // an IPv6 source is a /64

uint64_t steady_ms() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                   std::chrono::steady_clock::now().time_since_epoch())
                                   .count());
}

struct SourceHash {
  size_t operator()(const address::Address& source) const {
    const auto folded =
        static_cast<uint64_t>(source.bits) ^ static_cast<uint64_t>(source.bits >> 64);
    return std::hash<uint64_t>{}(folded * 0x9E37'79B9'7F4A'7C15u);
  }
};

address::Address source_key(address::Address source) {
  if (source.family == address::Family::v6) {
    source.bits &= ~address::host_mask<address::Bits6>(kSourceBits6);
  }
  return source;
}

}  // namespace

class Forwarder::Loop {
 public:
  explicit Loop(Options options)
      : options_(std::move(options)),
        local_names_(options_.not_local),
        policies_(options_.suffix),
        resolver_(options_, poller_, counters_),
        context_{.local_names = local_names_,
                 .policies = policies_,
                 .resolver = resolver_,
                 .counters = counters_,
                 .now_ms = 0} {}
  ~Loop();

  Status start();
  void forward(const dns::Request& request, dns::Done done);
  void set_policies(DevicePoliciesPointer policies) {
    const std::lock_guard lock(mutex_);
    devices_ = std::move(policies);
  }
  Report report() const;

 private:
  void run();
  void take();
  void begin(const ClientQueryPointer& query, const DevicePolicies* devices);

  const Options options_;
  Counters counters_;
  std::atomic<size_t> outstanding_{0};
  mutable std::mutex mutex_;
  std::vector<ClientQueryPointer> arrived_;  // under mutex_, as is devices_
  DevicePoliciesPointer devices_;
  std::atomic<bool> stop_{false};
  // From here on of the thread alone. Queries that wait are in the resolver, which goes first.
  std::unordered_map<address::Address, size_t, SourceHash> by_source_;
  Poller poller_;
  LocalNames local_names_;
  PolicyIndex policies_;
  Resolver resolver_;
  ClientContext context_;
  uint64_t asked_ms_ = 0;
  std::thread thread_;
};

Forwarder::Loop::~Loop() {
  if (thread_.joinable()) {
    stop_ = true;
    poller_.wake();
    thread_.join();
  }
}

Status Forwarder::Loop::start() {
  if (auto opened = poller_.open(); !opened) {
    return opened;
  }
  if (auto started = resolver_.start(steady_ms()); !started) {
    return started;
  }
  sigset_t all;  // signals are the main thread's
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::string reason;
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& error) {
    reason = error.what();
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (!thread_.joinable()) {
    return fail(ErrorCode::io, "forwarder: start a thread: {}", reason);
  }
  pthread_setname_np(thread_.native_handle(), "dns-forward");
  return {};
}

void Forwarder::Loop::forward(const dns::Request& request, dns::Done done) {
  counters_.add(Counter::queries);
  if (options_.upstreams.empty()) {
    counters_.add(Counter::no_upstream);
    done(write_error(request, wire::rcode::refused, wire::kEdeNotAuthoritative));
    return;
  }
  if (outstanding_.fetch_add(1, std::memory_order_relaxed) >= options_.outstanding_max) {
    outstanding_.fetch_sub(1, std::memory_order_relaxed);
    counters_.add(Counter::limited);
    done(write_error(request, wire::rcode::servfail, kEdeNone));
    return;
  }
  auto query = std::make_shared<ClientQuery>(request, std::move(done));
  query->on_end = [this] { outstanding_.fetch_sub(1, std::memory_order_relaxed); };
  bool was_empty = false;
  {
    const std::lock_guard lock(mutex_);
    was_empty = arrived_.empty();
    arrived_.push_back(std::move(query));
  }
  if (was_empty) {
    poller_.wake();
  }
}

void Forwarder::Loop::run() {
  int wait_ms = 0;
  while (!stop_) {
    poller_.run_once(wait_ms);
    context_.now_ms = steady_ms();
    take();
    wait_ms = resolver_.tick(context_.now_ms);
    if (asked_ms_ != 0 && context_.now_ms - asked_ms_ > kForgetSnapshotsAfter_ms) {
      asked_ms_ = 0;
      policies_.forget();
    }
  }
}

void Forwarder::Loop::take() {
  std::vector<ClientQueryPointer> arrived;
  DevicePoliciesPointer devices;
  {
    const std::lock_guard lock(mutex_);
    arrived.swap(arrived_);
    devices = devices_;
  }
  for (const ClientQueryPointer& query : arrived) {
    asked_ms_ = context_.now_ms;
    begin(query, devices.get());
  }
}

void Forwarder::Loop::begin(const ClientQueryPointer& query, const DevicePolicies* devices) {
  const address::Address source = source_key(query->source);
  size_t& waiting = by_source_[source];
  if (waiting >= options_.outstanding_per_source_max) {
    counters_.add(Counter::limited_source);
    query->reply(write_reply(query->asked, {.rcode = wire::rcode::servfail}));
    return;
  }
  ++waiting;
  query->on_end = [this, source] {
    outstanding_.fetch_sub(1, std::memory_order_relaxed);
    const auto found = by_source_.find(source);
    if (--found->second == 0) {
      by_source_.erase(found);
    }
  };
  serve(context_, query, devices);
}

Report Forwarder::Loop::report() const {
  Report report;
  for (const auto& upstream : resolver_.upstreams()) {
    report.upstreams.push_back(upstream->status());
  }
  report.outstanding = outstanding_.load(std::memory_order_relaxed);
  report.cache_entries = resolver_.cache().entries();
  report.cache_bytes = resolver_.cache().bytes();
  report.cache_bytes_max = options_.cache_bytes_max;
  report.cache_evicted = resolver_.cache().evicted();
  for (size_t i = 0; i < kCounterCount; ++i) {
    const auto counter = static_cast<Counter>(i);
    report.counters.emplace_back(to_string(counter), counters_.get(counter));
  }
  return report;
}

Forwarder::Forwarder(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {}
Forwarder::~Forwarder() = default;

Result<std::unique_ptr<Forwarder>> Forwarder::start(Options options) {
  auto loop = std::make_unique<Loop>(std::move(options));
  if (auto started = loop->start(); !started) {
    return std::unexpected(started.error());
  }
  return std::unique_ptr<Forwarder>(new Forwarder(std::move(loop)));
}

void Forwarder::forward(const dns::Request& request, dns::Done done) {
  loop_->forward(request, std::move(done));
}

void Forwarder::set_policies(DevicePoliciesPointer policies) {
  loop_->set_policies(std::move(policies));
}

Report Forwarder::report() const {
  return loop_->report();
}

}  // namespace merlon::forward
