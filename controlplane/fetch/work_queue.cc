// SPDX-License-Identifier: Apache-2.0
#include "controlplane/fetch/work_queue.h"

namespace merlon::fetch {

void WorkQueue::offer(const std::string& id, Lane lane) {
  {
    const std::lock_guard lock(mutex_);
    if (!known_.insert(id).second) {
      return;
    }
    (lane == Lane::quick ? quick_ : slow_).push_back(id);
  }
  wake_.notify_one();
}

std::optional<WorkQueue::Work> WorkQueue::take() {
  std::unique_lock lock(mutex_);
  const auto slow_ready = [this] { return !slow_.empty() && slow_running_ < slow_max_; };
  wake_.wait(lock, [&] { return closed_ || !quick_.empty() || slow_ready(); });
  if (closed_) {
    return std::nullopt;
  }
  Work work;
  work.lane = quick_.empty() ? Lane::slow : Lane::quick;
  std::deque<std::string>& lane = work.lane == Lane::quick ? quick_ : slow_;
  work.id = std::move(lane.front());
  lane.pop_front();
  slow_running_ += work.lane == Lane::slow ? 1 : 0;
  return work;
}

void WorkQueue::done(const Work& work) {
  {
    const std::lock_guard lock(mutex_);
    known_.erase(work.id);
    slow_running_ -= work.lane == Lane::slow ? 1 : 0;
  }
  wake_.notify_one();
}

void WorkQueue::close() {
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  wake_.notify_all();
}

}  // namespace merlon::fetch
