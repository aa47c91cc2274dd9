// SPDX-License-Identifier: Apache-2.0
// What feeds are measured by: the safety net and the databases of places, read from files of others
// that may change, and what the guard thought.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "controlplane/enrich/geo.h"
#include "controlplane/safety/guard.h"
#include "controlplane/safety/net.h"

namespace merlon::coordinator {

struct Watched {
  std::mutex mutex;  // of all others
  std::shared_ptr<const safety::Net> net = std::make_shared<const safety::Net>();
  std::string net_stamp;  // of its files
  bool net_changed = false;
  std::shared_ptr<const enrich::Geo> geo = std::make_shared<const enrich::Geo>();
  std::string geo_stamp;
  bool geo_changed = false;
  int64_t net_looked = 0;
};

// What the guard thinks of new content.
struct Judged {
  std::string doubt{};  // "": none
  safety::Memory memory{};
};

}  // namespace merlon::coordinator
