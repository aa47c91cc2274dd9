// SPDX-License-Identifier: Apache-2.0
#include "bench/allocations.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace {

std::atomic<uint64_t> allocations{0};

void* allocate(size_t size, size_t alignment) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  void* made = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
  if (made == nullptr) {
    std::abort();
  }
  return made;
}

}  // namespace

void* operator new(size_t size) {
  return allocate(size, alignof(std::max_align_t));
}
void* operator new(size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<size_t>(alignment));
}
void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return allocate(size, alignof(std::max_align_t));
}
void operator delete(void* gone) noexcept {
  std::free(gone);
}
void operator delete(void* gone, const std::nothrow_t&) noexcept {
  std::free(gone);
}
void operator delete(void* gone, size_t) noexcept {
  std::free(gone);
}
void operator delete(void* gone, std::align_val_t) noexcept {
  std::free(gone);
}
void operator delete(void* gone, size_t, std::align_val_t) noexcept {
  std::free(gone);
}

namespace merlon::bench {

uint64_t allocation_count() {
  return allocations.load(std::memory_order_relaxed);
}

}  // namespace merlon::bench
