// SPDX-License-Identifier: Apache-2.0
// Who is asked next, by a fixed number of workers. Sources that were quick last time have a lane of
// their own: slow and unknown ones never hold more than a part of the workers, so however many of
// them hang, the others are asked when they are due. Nothing is in the queue, or worked on, twice.
// Safe to call from many threads at once.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <set>
#include <string>

namespace merlon::fetch {

enum class Lane : uint8_t { quick, slow };

class WorkQueue {
 public:
  explicit WorkQueue(unsigned slow_max) : slow_max_(slow_max) {}

  // At the end of its lane, unless it waits already or is being worked on.
  void offer(const std::string& id, Lane lane);

  struct Work {
    std::string id;
    Lane lane = Lane::quick;
  };
  // Waits for work; nullopt: the queue was closed.
  std::optional<Work> take();
  void done(const Work& work);
  void close();

 private:
  const unsigned slow_max_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::string> quick_;
  std::deque<std::string> slow_;
  std::set<std::string> known_;  // that wait or are worked on
  unsigned slow_running_ = 0;
  bool closed_ = false;
};

}  // namespace merlon::fetch
