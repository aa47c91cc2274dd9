// SPDX-License-Identifier: Apache-2.0
// How files beside the snapshots say what a list is.
#pragma once

#include <nlohmann/json.hpp>

#include "controlplane/api/operations.h"

namespace merlon::coordinator {

nlohmann::json list_to_json(const api::ListInfo& list);
// Throws nlohmann::json::exception.
api::ListInfo list_from_json(const nlohmann::json& json);

}  // namespace merlon::coordinator
