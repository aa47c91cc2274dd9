// SPDX-License-Identifier: Apache-2.0
// For tables that are read at random: from 2 MiB on they lie in huge pages where the system has
// them, because with small pages every cache miss is a TLB miss, too. Such memory is mapped for
// itself: the heap would hand out places that have small pages already.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

namespace merlon {

inline constexpr size_t kHugePageSize = size_t{2} << 20;

// `size` is a multiple of kHugePageSize, and so is the address. nullptr: no memory.
inline void* map_huge(size_t size) {
  void* mapped = ::mmap(nullptr, size + kHugePageSize, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) {
    return nullptr;
  }
  auto* const first = static_cast<uint8_t*>(mapped);
  const size_t before = -reinterpret_cast<uintptr_t>(first) % kHugePageSize;
  if (before != 0) {
    ::munmap(first, before);
  }
  ::munmap(first + before + size, kHugePageSize - before);
  ::madvise(first + before, size, MADV_HUGEPAGE);  // a wish
  return first + before;
}

template <class T>
struct HugeAllocator {
  using value_type = T;

  HugeAllocator() = default;
  template <class U>
  HugeAllocator(const HugeAllocator<U>&) {}  // NOLINT(google-explicit-constructor): as allocators

  T* allocate(size_t count) {
    const size_t size = whole_size(count);
    void* memory =
        size >= kHugePageSize ? map_huge(size) : std::aligned_alloc(kSmallAlignment, size);
    if (memory == nullptr) {
      std::abort();  // as operator new does where exceptions are off
    }
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, size_t count) {
    const size_t size = whole_size(count);
    if (size >= kHugePageSize) {
      ::munmap(memory, size);
    } else {
      std::free(memory);
    }
  }
  bool operator==(const HugeAllocator&) const { return true; }

 private:
  static constexpr size_t kSmallAlignment = std::max(alignof(T), alignof(std::max_align_t));

  static size_t whole_size(size_t count) {
    const size_t size = count * sizeof(T);
    const size_t alignment = size >= kHugePageSize ? kHugePageSize : kSmallAlignment;
    return (size + alignment - 1) / alignment * alignment;
  }
};

template <class T>
using HugeVector = std::vector<T, HugeAllocator<T>>;

}  // namespace merlon
