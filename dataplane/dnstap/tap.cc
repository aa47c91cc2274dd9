// SPDX-License-Identifier: Apache-2.0
#include "dataplane/dnstap/tap.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <random>

namespace merlon::dnstap {
namespace {

constexpr int kRetryMs = 1000;
constexpr int kIdleMs = 20;
constexpr size_t kBufferSize = 64 << 10;

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

}  // namespace

Tap::Tap(const TapOptions& options, int wake)
    : origin_{.identity = options.identity.empty() ? host_name() : options.identity,
              .version = options.version},
      wake_(wake),
      stream_(options.target, wake) {
  std::random_device random;
  for (size_t i = 0; i < options.worker_count; ++i) {
    const uint64_t seed = uint64_t{random()} << 32 | random();
    samplers_.push_back(std::make_unique<Sampler>(options.sample, seed));
  }
}

Result<std::unique_ptr<Tap>> Tap::start(const TapOptions& options) {
  const int wake = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake < 0) {
    return fail_errno("dnstap", errno);
  }
  std::unique_ptr<Tap> tap(new Tap(options, wake));
  tap->thread_ = std::thread([raw = tap.get()] { raw->run(); });
  return tap;
}

Tap::~Tap() {
  stop_.store(true);
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t n = ::write(wake_, &one, sizeof one);
  thread_.join();
  ::close(wake_);
}

void Tap::pause(int ms) const {
  pollfd wait{wake_, POLLIN, 0};
  ::poll(&wait, 1, ms);
}

void Tap::run() {
  while (!stopping()) {
    if (!stream_.is_open()) {
      try_to_open();
      continue;
    }
    fill();
    if (!stream_.peer_is_there()) {
      lose("the reader closed the connection");
    } else if (buffer_.empty() || !flush()) {
      pause(kIdleMs);
    }
  }
  // What is left, as long as the reader takes it without delay.
  while (stream_.is_open()) {
    fill();
    if (buffer_.empty() || !flush()) {
      break;
    }
  }
  if (sent_ == 0) {
    stream_.finish();  // else the stream ends inside a frame, and is only closed
  }
}

void Tap::try_to_open() {
  const Status opened = stream_.open();
  if (opened) {
    connects_.fetch_add(1);
    const std::lock_guard lock(problem_mutex_);
    problem_.clear();
    return;
  }
  {
    const std::lock_guard lock(problem_mutex_);
    problem_ = opened.error().message;
  }
  pause(kRetryMs);
}

void Tap::fill() {
  for (const auto& sampler : samplers_) {
    while (buffer_.size() < kBufferSize) {
      const Sample* sample = sampler->front();
      if (sample == nullptr) {
        break;
      }
      append_frame(*sample, Kind::auth_query, origin_, buffer_);
      ++frames_in_buffer_;
      if (sample->reply_size != 0) {
        append_frame(*sample, Kind::auth_response, origin_, buffer_);
        ++frames_in_buffer_;
      }
      sampler->pop();
    }
  }
}

bool Tap::flush() {
  const auto written = stream_.write(Bytes(buffer_).subspan(sent_));
  if (!written) {
    lose(written.error().message);
    // A full disk does not become better by trying every second, and every try renames a file.
    if (stream_.is_file()) {
      pause(60 * kRetryMs);
    }
    return false;
  }
  sent_ += *written;
  if (sent_ < buffer_.size()) {
    return false;
  }
  frames_written_.fetch_add(frames_in_buffer_);
  buffer_.clear();
  sent_ = 0;
  frames_in_buffer_ = 0;
  return true;
}

void Tap::lose(const std::string& why) {
  stream_.close();
  frames_lost_.fetch_add(frames_in_buffer_);
  buffer_.clear();
  sent_ = 0;
  frames_in_buffer_ = 0;
  const std::lock_guard lock(problem_mutex_);
  problem_ = why;
}

TapNumbers Tap::numbers() const {
  TapNumbers numbers;
  for (const auto& sampler : samplers_) {
    const Sampler::Numbers own = sampler->numbers();
    numbers.samples.sampled += own.sampled;
    numbers.samples.ring_full += own.ring_full;
    numbers.samples.query_too_long += own.query_too_long;
    numbers.samples.reply_too_long += own.reply_too_long;
  }
  numbers.frames_written = frames_written_.load();
  numbers.frames_lost = frames_lost_.load();
  numbers.connects = connects_.load();
  const std::lock_guard lock(problem_mutex_);
  numbers.problem = problem_;
  numbers.connected = problem_.empty();
  return numbers;
}

}  // namespace merlon::dnstap
