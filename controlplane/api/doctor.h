// SPDX-License-Identifier: Apache-2.0
// GET /v1/doctor: brings together what both processes counted and hands it to the doctor. Like all
// of an operator's view it holds numbers of customers beside each other.
#pragma once

#include <cstdint>
#include <string>

#include "controlplane/api/json.h"
#include "controlplane/api/operations.h"

namespace merlon::api {

// {"checked","dataplane_since","tcp_since","findings":[..],"devices":[..]}, of one device by name
// or of all when it is "". A data plane that does not answer is a finding. Errors: not_found.
Result<Json> doctor_json(Operations& operations, const std::string& device, int64_t now);

}  // namespace merlon::api
