// SPDX-License-Identifier: Apache-2.0
// What the rules share. For the sources of this folder.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <vector>

#include "controlplane/doctor/doctor.h"

namespace merlon::doctor {

inline constexpr int64_t kMinute = 60;
inline constexpr int64_t kHour = 60 * kMinute;
inline constexpr int64_t kDay = 24 * kHour;
// What is older is history: whatever was wrong may be mended long since.
inline constexpr int64_t kRecent = kDay;
// A client that is told to come over TCP is there by then.
inline constexpr int64_t kComesWithin = 5;

using Findings = std::vector<Finding>;

struct Rule {
  const Input& input;
  const Device& device;
  Findings& findings;

  bool is_recent(int64_t time) const { return time != 0 && input.now - time <= kRecent; }
  Finding& add(Severity severity, const char* code, std::string cause, std::string todo) const {
    findings.push_back({.severity = severity,
                        .code = code,
                        .account = device.account,
                        .device = device.name,
                        .cause = std::move(cause),
                        .todo = std::move(todo)});
    return findings.back();
  }
};

std::string ago(int64_t now, int64_t time);  // "3 h ago", "never"
std::string sources_text(const Device& device);

void look_at_names(const Rule& rule);      // what it asks for, and whether it keeps it
void look_at_transfers(const Rule& rule);  // secondaries, NOTIFY, keys
void look_at_neighbours(const Input& input, Findings& findings);

}  // namespace merlon::doctor
