// SPDX-License-Identifier: Apache-2.0
// What the operations of FakeOperations have in common.
#pragma once

#include <mutex>
#include <string>
#include <string_view>

#include "zones/base/error.h"

namespace merlon::tests {

// Every operation begins with the lock and with what a test put in its way.
#define MERLON_BEGIN()                           \
  const std::lock_guard lock(mutex_);            \
  if (const Status ready = injected(); !ready) { \
    return std::unexpected(ready.error());       \
  }                                              \
  static_cast<void>(0)

Status check_label(std::string_view what, const std::string& text);

}  // namespace merlon::tests
