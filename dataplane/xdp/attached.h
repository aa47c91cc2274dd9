// SPDX-License-Identifier: Apache-2.0
// What XDP program is attached to an interface: whose it is, whether a data plane serves behind it,
// what it has counted. An attached program outlives a killed process; it then passes everything to
// the kernel, and net_af_xdp refuses to attach another (EBUSY) until it is gone.
//
// Looking at attached programs needs CAP_SYS_ADMIN (the kernel's rule for opening one by its id).
// Safe to call from any thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/xdp/descriptor.h"
#include "dataplane/xdp/filter_config.h"
#include "zones/base/error.h"

namespace merlon::xdp {

enum class AttachMode : uint8_t { none, native, generic, offload, several };
std::string_view to_string(AttachMode mode);

enum class Owner : uint8_t {
  nobody,   // nothing is attached
  serving,  // our filter, with a data plane's socket behind it
  stale,    // our filter, left behind
  foreign,  // somebody else's
  unknown,  // attached, but we may not look at it
};
std::string_view to_string(Owner owner);

struct Attached {
  AttachMode mode = AttachMode::none;
  Owner owner = Owner::nobody;
  uint32_t program_id = 0;
  std::string program_name;
};

// Errors: not_found (no such interface), io.
Result<Attached> query_attached(const std::string& interface);

// Removes our own filter when no data plane serves behind it, so that the next start can attach.
// Nothing attached is success. Errors: busy (a data plane serves there), conflict (somebody else's
// program), not_found, io. A program that is attached meanwhile is not touched.
Status detach_stale(const std::string& interface);

struct FilterCounters {
  std::array<uint64_t, merlon_reason_count> frames{};  // by merlon_filter_reason
};

// Reads the counters of the filter that is attached now. Open it before privileges are dropped;
// read() needs none.
class CounterReader {
 public:
  // Errors: not_found (no such interface, or our filter is not attached there), io.
  static Result<CounterReader> open(const std::string& interface);
  Result<FilterCounters> read() const;

 private:
  explicit CounterReader(Descriptor map) : map_(std::move(map)) {}
  Descriptor map_;
};

// Both at once.
Result<FilterCounters> read_counters(uint32_t interface_index);

}  // namespace merlon::xdp
