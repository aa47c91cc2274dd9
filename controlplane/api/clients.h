// SPDX-License-Identifier: Apache-2.0
// What devices ask over TCP, as it was seen since the start. Plain values; times are Unix seconds,
// 0 never.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "zones/address/address.h"

namespace merlon::api {

struct AskedName {
  std::string name{};  // with the final dot
  std::string type{};
  std::string outcome{};  // the last: "answered", "nodata", "nxdomain" or "refused_not_ours"
  uint64_t count = 0;
  int64_t last = 0;
  uint64_t records = 0;  // of the last answer
  uint32_t ttl_s = 0;
  uint32_t within_ttl = 0;  // questions within a TTL by one source that caches
};

struct TcpDevice {
  uint32_t account = 0;  // numbers, as of the access entry
  uint32_t device = 0;
  uint64_t queries = 0;
  int64_t last = 0;
  int64_t last_useful = 0;
  std::vector<AskedName> names{};
};

struct TcpUnknown {
  address::Address address{};
  uint64_t count = 0;
  int64_t last = 0;
};

struct TcpClients {
  int64_t since = 0;
  std::vector<TcpDevice> devices{};
  std::vector<TcpUnknown> unknown{};
};

}  // namespace merlon::api
