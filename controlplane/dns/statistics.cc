// SPDX-License-Identifier: Apache-2.0
#include "controlplane/dns/statistics.h"

#include <fmt/format.h>

#include <iterator>
#include <numeric>

namespace merlon::dns {
namespace {

struct Text {
  std::string_view name;
  std::string_view text;
};

constexpr Text kCloseReasons[] = {
#define MERLON_X(name, text) {#name, text},
    MERLON_DNS_CLOSE_REASONS(MERLON_X)
#undef MERLON_X
};

constexpr Text kCounters[] = {
#define MERLON_X(name, text) {#name, text},
    MERLON_DNS_COUNTERS(MERLON_X)
#undef MERLON_X
};

// The names are C++ identifiers and need no escaping.
template <class Enum, size_t kCount>
void append_object(std::string& json, std::string_view key,
                   const std::array<uint64_t, kCount>& numbers) {
  fmt::format_to(std::back_inserter(json), ",\"{}\":{{", key);
  for (size_t i = 0; i < kCount; ++i) {
    fmt::format_to(std::back_inserter(json), "{}\"{}\":{}", i == 0 ? "" : ",",
                   to_string(static_cast<Enum>(i)), numbers[i]);
  }
  json += '}';
}

}  // namespace

std::string_view to_string(CloseReason reason) {
  return kCloseReasons[static_cast<size_t>(reason)].name;
}
std::string_view explain(CloseReason reason) {
  return kCloseReasons[static_cast<size_t>(reason)].text;
}
std::string_view to_string(Counter counter) {
  return kCounters[static_cast<size_t>(counter)].name;
}
std::string_view explain(Counter counter) {
  return kCounters[static_cast<size_t>(counter)].text;
}

uint64_t Statistics::closed() const {
  return std::accumulate(closes.begin(), closes.end(), uint64_t{0});
}

std::string Statistics::to_json() const {
  std::string json = fmt::format("{{\"connections_open\":{}", connections_open());
  append_object<Counter>(json, "counters", counters);
  append_object<CloseReason>(json, "closes", closes);
  append_object<answer::Outcome>(json, "outcomes", outcomes);
  json += '}';
  return json;
}

void WorkerCounters::add_into(Statistics& sum) const {
  // Closes are read first: a connection that ends meanwhile still counts as open, never as minus.
  for (size_t i = 0; i < closes_.size(); ++i) {
    sum.closes[i] += closes_[i].load(std::memory_order_acquire);
  }
  for (size_t i = 0; i < counters_.size(); ++i) {
    sum.counters[i] += counters_[i].load(std::memory_order_relaxed);
  }
  for (size_t i = 0; i < outcomes_.size(); ++i) {
    sum.outcomes[i] += outcomes_[i].load(std::memory_order_relaxed);
  }
}

}  // namespace merlon::dns
