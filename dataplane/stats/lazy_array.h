// SPDX-License-Identifier: Apache-2.0
// Zeroed memory whose pages come when they are first touched: room for the largest case that costs
// what is used. Large arrays ask for huge pages, so that reading at random is one miss, not two.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <type_traits>

#include "zones/base/assert.h"
#include "zones/base/huge_allocator.h"

namespace merlon::stats {

// T's all-zero bytes must be a valid T.
template <class T>
class LazyArray {
  static_assert(std::is_trivially_destructible_v<T>);

 public:
  explicit LazyArray(size_t size) : size_(size) {
    void* memory = ::mmap(nullptr, bytes(), PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    MERLON_ASSERT(memory != MAP_FAILED);
    data_ = static_cast<T*>(memory);
    if (bytes() >= kHugePageSize) {
      ::madvise(memory, bytes(), MADV_HUGEPAGE);  // a wish
    }
  }
  ~LazyArray() { ::munmap(data_, bytes()); }
  LazyArray(const LazyArray&) = delete;
  LazyArray& operator=(const LazyArray&) = delete;

  size_t size() const { return size_; }
  T& operator[](size_t index) { return data_[index]; }
  const T& operator[](size_t index) const { return data_[index]; }

 private:
  size_t bytes() const { return size_ * sizeof(T); }

  size_t size_;
  T* data_;
};

}  // namespace merlon::stats
