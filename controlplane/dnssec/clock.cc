// SPDX-License-Identifier: Apache-2.0
#include "controlplane/dnssec/clock.h"

#include <fmt/chrono.h>

#include <charconv>
#include <cstdlib>
#include <ctime>

#include "zones/base/file.h"

namespace merlon::dnssec {
namespace {

constexpr int64_t kStoreEvery_s = 3600;  // far less than what counts as a jump

int64_t seconds_of(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return time.tv_sec;
}

}  // namespace

Clock Clock::system() {
  return {.wall = [] { return seconds_of(CLOCK_REALTIME); },
          .steady = [] { return seconds_of(CLOCK_BOOTTIME); }};
}

std::string time_text(int64_t unix_seconds) {
  const time_t time = unix_seconds;
  std::tm parts{};
  return ::gmtime_r(&time, &parts) == nullptr ? fmt::format("{} s", unix_seconds)
                                              : fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", parts);
}

ClockGuard::ClockGuard(std::string file, Clock clock, int64_t jump_max_s)
    : file_(std::move(file)), clock_(std::move(clock)), jump_max_s_(jump_max_s) {}

Status ClockGuard::read_file_once() {
  if (read_) {
    return {};
  }
  const auto bytes = read_file(file_, 64);
  if (!bytes && bytes.error().code != ErrorCode::not_found) {
    return std::unexpected(bytes.error());
  }
  if (bytes) {
    const std::string_view text = as_text(*bytes);
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), stored_);
    if (parsed.ec != std::errc{} || stored_ <= 0) {
      stored_ = 0;
      return fail(ErrorCode::corruption,
                  "{}: no time; when the clock is right, run `merlonctl dnssec confirm-clock`",
                  file_);
    }
  }
  read_ = true;
  return {};
}

Result<int64_t> ClockGuard::now() {
  const std::scoped_lock lock(mutex_);
  if (auto done = read_file_once(); !done) {
    return std::unexpected(done.error());
  }
  const int64_t wall = clock_.wall();
  const int64_t steady = clock_.steady();
  if (wall_ != 0 || stored_ != 0) {
    const int64_t expected = wall_ != 0 ? wall_ + (steady - steady_) : stored_;
    if (std::abs(wall - expected) > jump_max_s_) {
      return fail(ErrorCode::conflict,
                  "the clock says {}, {} hours {} what was expected from the last signing ({}), so "
                  "nothing is signed; set the clock, or when it is right (this machine was off), "
                  "run `merlonctl dnssec confirm-clock`",
                  time_text(wall), std::abs(wall - expected) / 3600,
                  wall > expected ? "after" : "before", time_text(wall_ != 0 ? wall_ : stored_));
    }
  }
  if (auto done = remember(wall, steady); !done) {
    return std::unexpected(done.error());
  }
  return wall;
}

Status ClockGuard::confirm() {
  const std::scoped_lock lock(mutex_);
  read_ = true;
  stored_ = 0;
  return remember(clock_.wall(), clock_.steady());
}

Status ClockGuard::remember(int64_t wall, int64_t steady) {
  if (stored_ == 0 || std::abs(wall - stored_) >= kStoreEvery_s) {
    if (auto done = write_file_durably(file_, as_bytes(fmt::format("{}\n", wall)), 0600); !done) {
      return done;
    }
    stored_ = wall;
  }
  wall_ = wall;
  steady_ = steady;
  return {};
}

}  // namespace merlon::dnssec
