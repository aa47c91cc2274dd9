// SPDX-License-Identifier: Apache-2.0
// The [dnssec] section, as what the signer takes.
#pragma once

#include <string>

#include "controlplane/dnssec/zone_signer.h"
#include "controlplane/settings/settings.h"
#include "zones/base/error.h"

namespace merlon::controlplane {

// Keys are in <state_directory>/keys. Errors: invalid_argument with file and line.
Result<dnssec::SignerOptions> load_dnssec_settings(const std::string& path,
                                                   const Settings& settings);
// The section with defaults and explanations.
std::string example_dnssec_settings();

inline std::string signature_cache_path(const Settings& settings) {
  return settings.state_directory + "/signatures";
}

}  // namespace merlon::controlplane
