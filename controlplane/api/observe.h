// SPDX-License-Identifier: Apache-2.0
// The operator's view of a running Merlon, put together from both processes: subjects by name with
// what the data plane counted over UDP and the control plane over TCP, and everything as Prometheus
// metrics. Numbers of customers stand beside each other here: nothing of it is for customers.
#pragma once

#include <cstdint>
#include <string>

#include "controlplane/api/json.h"
#include "controlplane/api/operations.h"

namespace merlon::api {

// The data plane's JSON answer to a command. Errors: what it answered, or that it did not.
Result<Json> ask_dataplane(Operations& operations, const std::string& command);

struct SubjectsWanted {
  std::string account;  // by name; "": all
  uint64_t count_max = 1000;
};
// {"subjects":[{"account","device",..numbers..,"tcp_queries","never_came_back"}],..}, those with
// most queries first. Errors: not_found (no such account), and those of ask_dataplane.
Result<Json> subjects_json(Operations& operations, const SubjectsWanted& wanted);

// Everything, in the exposition format. A data plane that does not answer is merlon_dataplane_up 0.
std::string metrics_text(Operations& operations, int64_t now);

}  // namespace merlon::api
