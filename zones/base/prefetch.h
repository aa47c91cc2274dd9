// SPDX-License-Identifier: Apache-2.0
// A hint that the line at an address will be read. The empty statement is an effect as far as the
// compiler knows: g++ takes a function that only prefetches for one that does nothing, and drops
// the calls of it.
#pragma once

namespace merlon {

[[gnu::always_inline]] inline void prefetch_line(const void* at) {
  __builtin_prefetch(at);
  asm volatile("");
}

}  // namespace merlon
