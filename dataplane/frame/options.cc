// SPDX-License-Identifier: Apache-2.0
#include "dataplane/frame/options.h"

#include <cstddef>

namespace merlon::frame {
namespace {

// Copied flag, class and number in one byte (RFC 791; RFC 2113; draft-ietf-cipso-ipsecurity).
constexpr uint8_t kEnd = 0;
constexpr uint8_t kNoOperation = 1;
constexpr uint8_t kRecordRoute = 7;
constexpr uint8_t kTimestamp = 68;
constexpr uint8_t kLooseSourceRoute = 131;
constexpr uint8_t kCipso = 134;
constexpr uint8_t kStrictSourceRoute = 137;
constexpr uint8_t kRouterAlert = 148;

// The pointer counts from 1 and names the next free octet; above the length: full.
bool is_good_record_route(Bytes option) {
  if (option.size() < 3 || option[2] < 4) {
    return false;
  }
  const size_t pointer = option[2];
  return pointer > option.size() || pointer + 3 <= option.size();
}

bool is_good_timestamp(Bytes option) {
  if (option.size() < 4 || option[2] < 5) {
    return false;
  }
  const size_t pointer = option[2];
  const unsigned overflow = option[3] >> 4;
  const unsigned kind = option[3] & 15;  // 0 times, 1 addresses and times, 3 given addresses
  if (pointer > option.size()) {
    return kind == 3 || overflow != 15;
  }
  const size_t entry = kind == 1 || kind == 3 ? 8 : 4;
  return pointer + entry - 1 <= option.size();
}

}  // namespace

Options check_options(Bytes options) {
  bool has_record_route = false;
  bool has_timestamp = false;
  while (!options.empty() && options[0] != kEnd) {  // at most 40 steps
    if (options[0] == kNoOperation) {
      options = options.subspan(1);
      continue;
    }
    if (options.size() < 2 || options[1] < 2 || options[1] > options.size()) {
      return Options::bad;
    }
    const Bytes option = options.first(options[1]);
    bool good = true;
    switch (option[0]) {
      case kRecordRoute:
        good = !has_record_route && is_good_record_route(option);
        has_record_route = true;
        break;
      case kTimestamp:
        good = !has_timestamp && is_good_timestamp(option);
        has_timestamp = true;
        break;
      case kLooseSourceRoute:
      case kStrictSourceRoute:
        good = false;
        break;
      case kRouterAlert:
        good = option.size() >= 4;
        break;
      case kCipso:
        return Options::unknowable;
      default:
        break;
    }
    if (!good) {
      return Options::bad;
    }
    options = options.subspan(option.size());
  }
  return Options::good;
}

}  // namespace merlon::frame
