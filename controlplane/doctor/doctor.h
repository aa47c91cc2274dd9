// SPDX-License-Identifier: Apache-2.0
// Why a device does not get its lists, from what was counted: counters in, findings out. A finding
// is made only where the counters leave no innocent explanation, so that none is made of a device
// that works; each names its cause in a line and what to do in another. Pure: no clock, no store,
// no network. Times are Unix seconds, 0 never.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "zones/address/address.h"

namespace merlon::doctor {

// error: it does not get what it should; warning: some of it, or soon; info: could be better.
enum class Severity : uint8_t { info, warning, error };
std::string_view to_string(Severity severity);

// What the data plane counted of a device since it started.
struct Udp {
  uint64_t queries = 0;
  int64_t last_seen = 0;
  int64_t last_useful = 0;  // a name that there is
  uint64_t nxdomain = 0;
  uint64_t refused_by_verb = 0;
  uint64_t truncated = 0;                  // without those of the rate limit
  uint64_t would_fit = 0;                  // of these, with EDNS
  std::vector<int64_t> truncated_times{};  // the last few
  uint64_t limited = 0;
  uint64_t badcookie = 0;  // of these
  int64_t limited_last = 0;
  uint64_t outside = 0;  // refused, in no zone of ours
  int64_t outside_last = 0;
  uint64_t hidden = 0;  // refused, in a zone of ours
  int64_t hidden_last = 0;
  std::string refused_name{};
  int64_t missed_last = 0;  // NXDOMAIN
  std::string missed_name{};
};

enum class Told : uint8_t { answered, nodata, missing, refused };
std::string_view to_string(Told told);

struct AskedName {
  std::string name{};  // with the final dot
  std::string type{};
  Told told = Told::answered;
  uint64_t count = 0;
  int64_t last = 0;
  uint64_t records = 0;
  uint32_t ttl_s = 0;
  uint32_t within_ttl = 0;  // questions within a TTL by one source that caches
};

// What the control plane counted over TCP since it started.
struct Tcp {
  uint64_t queries = 0;
  int64_t last = 0;
  int64_t last_useful = 0;
  std::vector<AskedName> names{};
};

struct Secondary {
  std::string source{};
  std::string apex{};
  std::string kind{};  // "AXFR", "IXFR", "file", or "": only asked
  uint32_t serial_given = 0;
  uint32_t serial_current = 0;
  int64_t given = 0;
  int64_t asked = 0;
  int64_t behind_since = 0;
  uint64_t transfers = 0;
  uint64_t refused = 0;
};

struct Notified {
  std::string target{};
  std::string apex{};
  uint32_t serial = 0;
  int64_t sent = 0;
  int64_t acknowledged = 0;
  uint32_t tries = 0;
  std::string error{};
};

struct KeyFailure {
  std::string key{};
  std::string source{};
  // "BADKEY", "BADSIG", "BADTIME", "BADTRUNC", "NOT_ITS_OWN", "UNSIGNED", "TLS_TOO_OLD"
  std::string error{};
  int64_t clock_skew_s = 0;
  uint64_t count = 0;
  int64_t last = 0;
};

struct Device {
  std::string account{};
  std::string name{};
  std::string tier{};
  std::vector<address::AnyPrefix> sources{};
  int64_t created = 0;
  bool recursion = false;
  std::string key{};      // the name of its TSIG key; "": none
  bool is_served = true;  // false: the data plane's snapshot does not have it
  bool has_udp = false;   // the data plane's numbers are known
  Udp udp{};
  Tcp tcp{};
  std::vector<Secondary> secondaries{};
  std::vector<Notified> notified{};
  std::vector<KeyFailure> key_failures{};

  int64_t last_seen() const;
  uint64_t queries() const { return udp.queries + tcp.queries; }
};

// A source that belongs to no device and was refused.
struct Unknown {
  address::Address address{};
  uint64_t count = 0;
  int64_t last = 0;
};

// A list by one of its names.
struct ListFacts {
  std::string list{};     // "basic", or a policy's or own list's
  std::string profile{};  // of its policy
  bool is_shared = false;
  uint64_t per_name = 0;  // addresses under one name by that profile
};

struct Input {
  int64_t now = 0;
  std::string suffix{};           // with the final dot
  std::string dataplane_error{};  // "": it answered
  bool has_dataplane = true;      // false: none is configured here
  int64_t dataplane_started = 0;
  int64_t tcp_started = 0;  // since when TCP is counted
  std::vector<Device> devices{};
  std::vector<Unknown> unknown{};
  std::map<std::string, ListFacts> lists{};  // by name with final dot; those that are asked for
};

struct Finding {
  Severity severity = Severity::warning;
  std::string code{};  // "tcp_blocked", ..
  std::string account{};
  std::string device{};                                    // "": of no single device
  std::string cause{};                                     // a line
  std::string todo{};                                      // a line
  std::vector<std::pair<std::string, int64_t>> numbers{};  // what it rests on
  std::vector<std::pair<std::string, std::string>> texts{};
};

// A name of this many questions within a TTL is looked up in Input::lists: the caller need not know
// others.
inline constexpr uint32_t kAgainMin = 4;
inline constexpr uint64_t kSmallestResolverLimit = 100;  // stock BIND's
bool is_asked_again(const AskedName& name);

// The worst first.
std::vector<Finding> diagnose(const Input& input);

}  // namespace merlon::doctor
