// SPDX-License-Identifier: Apache-2.0
// For tables that are read at random: from 2 MiB on they lie in huge pages where the system has
// them, because with small pages every cache miss is a TLB miss, too.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <vector>

namespace merlon {

inline constexpr size_t kHugePageSize = size_t{2} << 20;

template <class T>
struct HugeAllocator {
  using value_type = T;

  HugeAllocator() = default;
  template <class U>
  HugeAllocator(const HugeAllocator<U>&) {}  // NOLINT(google-explicit-constructor): as allocators

  T* allocate(size_t count) {
    const size_t size = count * sizeof(T);
    const bool huge = size >= kHugePageSize;
    const size_t alignment =
        huge ? kHugePageSize : std::max(alignof(T), alignof(std::max_align_t));
    const size_t whole = (size + alignment - 1) / alignment * alignment;
    void* memory = std::aligned_alloc(alignment, whole);
    if (memory == nullptr) {
      std::abort();  // as operator new does where exceptions are off
    }
    if (huge) {
      ::madvise(memory, whole, MADV_HUGEPAGE);  // a wish
    }
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, size_t) { std::free(memory); }
  bool operator==(const HugeAllocator&) const { return true; }
};

template <class T>
using HugeVector = std::vector<T, HugeAllocator<T>>;

}  // namespace merlon
