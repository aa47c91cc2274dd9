// SPDX-License-Identifier: Apache-2.0
// One way to say that an operation failed: Result<T> is std::expected<T, Error>. The codes are few
// and general; the message says what, where and, where it can, what to do. Each layer that passes
// an error up adds its context on the left:
//   load generation 41: segment 9f2c..: section NAMES at offset 4096: corruption: checksum differs
// A broken program is an assertion (assert.h), a bad packet a verdict; neither is an Error.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace merlon {

enum class ErrorCode : uint8_t {
  not_found,         // the thing that was named does not exist
  invalid_argument,  // the caller's input is wrong; trying again will not help
  corruption,        // stored bytes are not what was written
  io,                // the operating system or the network said no
  busy,              // try again later
  unsupported,       // valid, but this build or machine cannot do it
  conflict,          // contradicts what is there already
  internal,          // a third party failed in a way that has no better code
};

std::string_view to_string(ErrorCode code);

struct [[nodiscard]] Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;

  // "context: message", code unchanged.
  Error in(std::string_view context) const {
    return Error{code, fmt::format("{}: {}", context, message)};
  }
};

template <class T>
using Result = std::expected<T, Error>;
using Status = Result<void>;

template <class... Args>
std::unexpected<Error> fail(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  return std::unexpected(Error{code, fmt::format(format, std::forward<Args>(args)...)});
}

// Passes an error up with its context: `return in("load segment", result.error());`
inline std::unexpected<Error> in(std::string_view context, const Error& error) {
  return std::unexpected(error.in(context));
}

// An Error of code io with the text of errno.
std::unexpected<Error> fail_errno(std::string_view what, int error_number);

}  // namespace merlon
