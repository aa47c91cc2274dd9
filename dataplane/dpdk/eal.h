// SPDX-License-Identifier: Apache-2.0
// DPDK's environment: one per process, of one thread (the workers are our own threads and register
// themselves), without files, telemetry or other processes. What DPDK says goes to stderr, and the
// last of it into our errors.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dataplane/settings/settings.h"
#include "zones/base/error.h"

namespace merlon::dpdk {

struct EalOptions {
  std::vector<std::string> pci_devices;  // probed at start; no others are touched
  dataplane::HugePages huge_pages = dataplane::HugePages::automatic;
  size_t memory_mb = 0;                // that the ports will need
  std::vector<std::string> arguments;  // of the operator, after ours
};

// Does nothing when it runs already. Errors: unsupported, io, invalid_argument.
Status start_eal(const EalOptions& options);
// Whether the environment lives in huge pages.
bool eal_has_huge_pages();
// For good: it cannot be started again in this process. Does nothing when it does not run.
void stop_eal();

// What DPDK logged last, in one line, "" when it was silent; forgets it.
std::string last_words();
// ": <last words>", or ": <text of error_number>" when DPDK said nothing.
std::string because(int error_number);

}  // namespace merlon::dpdk
