// SPDX-License-Identifier: Apache-2.0
// dnstap: one sampler a worker, and a thread that empties their rings, encodes what is in them and
// writes it. While there is no reader the thread tries again every second and the rings fill up;
// what does not fit then is counted. Workers never wait for any of it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "dataplane/dnstap/message.h"
#include "dataplane/dnstap/sampler.h"
#include "dataplane/dnstap/stream.h"
#include "zones/base/error.h"

namespace merlon::dnstap {

struct TapOptions {
  std::string target;    // "file:/path" or the path of a Unix socket
  std::string identity;  // "": the host's name
  std::string version;
  uint32_t sample = 1;
  size_t worker_count = 1;
};

struct TapNumbers {
  Sampler::Numbers samples;  // of all workers
  uint64_t frames_written = 0;
  uint64_t frames_lost = 0;  // were on their way when the reader went
  uint64_t connects = 0;     // streams begun
  bool connected = false;
  std::string problem;  // why there is no stream; "" while there is one
};

class Tap {
 public:
  // Errors: io. That nobody reads is none.
  static Result<std::unique_ptr<Tap>> start(const TapOptions& options);
  // Writes what the rings hold, if the reader takes it at once, and ends the stream.
  ~Tap();
  Tap(const Tap&) = delete;
  Tap& operator=(const Tap&) = delete;

  Sampler& sampler(size_t worker) { return *samplers_[worker]; }
  TapNumbers numbers() const;

 private:
  Tap(const TapOptions& options, int wake);
  void run();
  void try_to_open();
  void fill();   // the buffer, from the rings
  bool flush();  // false: the reader takes no more now
  void lose(const std::string& why);
  void pause(int ms) const;
  bool stopping() const { return stop_.load(std::memory_order_relaxed); }

  const Origin origin_;
  const int wake_;
  std::vector<std::unique_ptr<Sampler>> samplers_;
  Stream stream_;
  std::vector<uint8_t> buffer_;  // whole frames, of which sent_ bytes are gone
  size_t sent_ = 0;
  uint64_t frames_in_buffer_ = 0;
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> frames_written_{0};
  std::atomic<uint64_t> frames_lost_{0};
  std::atomic<uint64_t> connects_{0};
  mutable std::mutex problem_mutex_;
  std::string problem_ = "not connected yet";
  std::thread thread_;
};

}  // namespace merlon::dnstap
