// SPDX-License-Identifier: Apache-2.0
#include "controlplane/forward/upstream.h"

#include <algorithm>
#include <cmath>

namespace merlon::forward {
namespace {

// RFC 6298's smoothing.
constexpr double kLatencyPart = 1.0 / 8;
constexpr double kDeviationPart = 1.0 / 4;
constexpr double kDeviations = 4;
constexpr double kPatienceMin_ms = 200;
constexpr double kPatienceMax_ms = 700;
constexpr double kPatienceUnknown_ms = 500;

}  // namespace

uint64_t Upstream::patience_ms() const {
  const double latency = latency_ms();
  const double wanted = latency == 0 ? kPatienceUnknown_ms : latency + kDeviations * deviation_ms_;
  return static_cast<uint64_t>(std::clamp(wanted, kPatienceMin_ms, kPatienceMax_ms));
}

void Upstream::note_answer(uint64_t took_ms) {
  const double took = std::max(0.1, static_cast<double>(took_ms));
  const double before = latency_ms();
  if (before == 0) {
    latency_ms_ = took;
    deviation_ms_ = took / 2;
  } else {
    deviation_ms_ += kDeviationPart * (std::abs(took - before) - deviation_ms_);
    latency_ms_ = before + kLatencyPart * (took - before);
  }
  add(answers_);
  missing_ = 0;
  is_up_ = true;
}

void Upstream::note_missing() {
  if (++missing_ >= failures_to_down_ && is_up()) {
    is_up_ = false;
    add(went_down_);
  }
}

void Upstream::note_timeout() {
  add(timeouts_);
  // So that others are tried before it, and it comes back by its answers.
  latency_ms_ = std::min(std::max(latency_ms(), 1.0) * 2, kPatienceMax_ms);
  note_missing();
}

void Upstream::note_failure(bool is_fault) {
  add(failures_);
  if (is_fault) {
    note_missing();
  } else {
    missing_ = 0;  // it is there
  }
}

void Upstream::sweep(uint64_t now_ms) {
  if (first_ != nullptr) {
    first_->sweep(now_ms);
  }
  stream_->sweep(now_ms);
}

UpstreamStatus Upstream::status() const {
  return {.address = spec_.to_text(),
          .is_up = is_up(),
          .latency_ms = latency_ms(),
          .queries = queries_,
          .answers = answers_,
          .timeouts = timeouts_,
          .failures = failures_,
          .went_down = went_down_};
}

}  // namespace merlon::forward
