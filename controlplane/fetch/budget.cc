// SPDX-License-Identifier: Apache-2.0
#include "controlplane/fetch/budget.h"

#include <chrono>
#include <utility>

namespace merlon::fetch {
namespace {

constexpr std::chrono::milliseconds kLookAtStop{200};

}  // namespace

MemoryBudget::Share::Share(MemoryBudget* budget) : budget_(budget) {}

void MemoryBudget::Share::swap(Share& other) {
  std::swap(budget_, other.budget_);
  std::swap(ticket_, other.ticket_);
  std::swap(taken_, other.taken_);
}

MemoryBudget::Share::~Share() {
  if (budget_ == nullptr || ticket_ == 0) {
    return;
  }
  {
    const std::lock_guard lock(budget_->mutex_);
    budget_->used_ -= taken_;
    budget_->tickets_.erase(ticket_);
  }
  budget_->freed_.notify_all();
}

MemoryBudget::Share::Grown MemoryBudget::Share::grow_to(uint64_t size,
                                                        const std::atomic<bool>* stop) {
  if (budget_ == nullptr || size <= kFreeBytes + taken_) {
    return Grown::yes;
  }
  std::unique_lock lock(budget_->mutex_);
  if (ticket_ == 0) {
    ticket_ = budget_->next_ticket_++;
    budget_->tickets_.insert(ticket_);
  }
  const uint64_t more = size - kFreeBytes - taken_;
  while (budget_->used_ + more > budget_->bytes_ && *budget_->tickets_.begin() != ticket_) {
    if (stop != nullptr && *stop) {
      return Grown::stopped;
    }
    budget_->freed_.wait_for(lock, kLookAtStop);
  }
  budget_->used_ += more;
  taken_ += more;
  return Grown::yes;
}

uint64_t MemoryBudget::used() const {
  const std::lock_guard lock(mutex_);
  return used_;
}

}  // namespace merlon::fetch
