// SPDX-License-Identifier: Apache-2.0
// MERLON_ASSERT is always on and is for bugs only. MERLON_DASSERT is for per-packet code: on in
// debug, sanitizer and fuzz builds, nothing in release builds.
#pragma once

namespace merlon {
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);
}

#define MERLON_ASSERT(expression)      \
  ((expression) ? static_cast<void>(0) \
                : ::merlon::assertion_failed(#expression, __FILE__, __LINE__))

#ifdef MERLON_DEBUG_CHECKS
#define MERLON_DASSERT(expression) MERLON_ASSERT(expression)
#else
#define MERLON_DASSERT(expression) static_cast<void>(sizeof((expression) ? 1 : 0))
#endif
