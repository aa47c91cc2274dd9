// SPDX-License-Identifier: Apache-2.0
// The commands of the control socket that look inside a running data plane:
//   top [COUNT]                  sources that belong to no device, those that ask most first
//   subjects [COUNT [ACCOUNT]]   numbers by account and device, those that ask most first
//   profile [SECONDS]            with SECONDS: start to measure the stages; without: what came out
// Used by the control thread; the workers notice nothing but the profile's stamps.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "dataplane/stats/counters.h"

namespace merlon::control {

inline constexpr uint64_t kTopCountMax = 1000;
inline constexpr uint64_t kSubjectCountMax = 10'000;
inline constexpr uint64_t kProfileSecondsMax = 3600;

class Observer {
 public:
  // Both outlive the observer.
  Observer(std::span<stats::WorkerCounters> workers, const stats::SubjectRegistry& subjects)
      : workers_(workers), subjects_(subjects) {}

  // One line of JSON, or nullopt when the command is somebody else's.
  std::optional<std::string> handle(std::string_view command);
  // For the statistics: how many subjects have numbers of their own.
  std::string subjects_section() const;

 private:
  using Clock = std::chrono::steady_clock;

  std::string top(uint64_t count) const;
  std::string subjects(const stats::SubjectRegistry::Wanted& wanted) const;
  std::string start_profile(uint64_t seconds);
  std::string profile() const;

  std::span<stats::WorkerCounters> workers_;
  const stats::SubjectRegistry& subjects_;
  uint64_t profile_seconds_ = 0;  // of the last run; 0: there was none
  int64_t profile_started_ = 0;   // Unix seconds
  Clock::time_point profile_end_;
};

}  // namespace merlon::control
