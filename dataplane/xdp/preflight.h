// SPDX-License-Identifier: Apache-2.0
// `merlon-dataplane preflight`: what this machine and its interfaces can do for the data plane,
// which way packets will take, and whether the configured engine can run. It changes nothing;
// see trial.h for what trying out a port means.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dataplane/settings/settings.h"
#include "dataplane/xdp/host.h"
#include "dataplane/xdp/interface.h"
#include "dataplane/xdp/mode.h"
#include "zones/base/error.h"

namespace merlon::xdp {

struct PreflightOptions {
  std::string config = {};                   // empty: judge no configuration
  std::vector<std::string> interfaces = {};  // beside those of the configuration; both empty: all
  Trials trials = Trials::all;
};

struct InterfaceReport {
  InterfaceFacts facts;
  Choice choice;
};

// A configured port that is not an AF_XDP interface, or the engine itself: what was found.
struct Check {
  std::string subject;
  Answer answer = Answer::unknown;
  std::string text;
};

struct PreflightReport {
  HostFacts host;
  std::vector<InterfaceReport> interfaces;
  std::string engine;         // as configured; empty: no configuration was given
  std::vector<Check> checks;  // of the configuration
  bool can_run = false;
};

// Errors: those of load_settings().
Result<PreflightReport> preflight(const PreflightOptions& options);

std::string to_text(const PreflightReport& report);
std::string to_json(const PreflightReport& report);

}  // namespace merlon::xdp
