// SPDX-License-Identifier: Apache-2.0
// The [forward] section, as what the forwarder takes.
#pragma once

#include <string>

#include "controlplane/forward/options.h"
#include "controlplane/settings/settings.h"
#include "zones/base/error.h"

namespace merlon::controlplane {

// Errors: invalid_argument with file and line.
Result<forward::Options> load_forward_settings(const std::string& path, const Settings& settings);
// The section with defaults and explanations.
std::string example_forward_settings();

}  // namespace merlon::controlplane
