// SPDX-License-Identifier: Apache-2.0
// What a coordinator works with, beside its store, publisher and snapshot slot.
#pragma once

#include <cstdint>
#include <string>

#include "controlplane/compile/compile.h"
#include "controlplane/enrich/geo.h"
#include "controlplane/fetch/fetch.h"
#include "controlplane/safety/net.h"
#include "controlplane/zonefile/zone_set.h"

namespace merlon::dnssec {
class Signer;
}
namespace merlon::forward {
class Forwarder;
}
namespace merlon::transfer {
class Service;
}

namespace merlon::coordinator {

struct Options {
  compile::Settings compile;
  std::string catalogue_path;             // a folder for what each generation's lists are
  std::string dataplane_socket;           // "": none to tell
  std::string contact;                    // in the User-Agent of fetches
  std::string zone_log_path;              // "": after a restart all zones are compiled anew
  compile::ZoneSigner* signer = nullptr;  // outlives the coordinator; nullptr: nothing is signed
  dnssec::Signer* dnssec = nullptr;       // the same one, for its keys and rollovers
  // Outlives the coordinator, which tells it of devices and generations; nullptr: no transfers.
  transfer::Service* transfers = nullptr;
  // A build waits for more after a change: of a feed, of what somebody edits.
  uint32_t build_quiet_ms = 500;
  uint32_t edit_quiet_ms = 3;
  uint32_t build_delay_max_ms = 5000;
  uint32_t build_retry_ms = 30'000;  // after a build that failed
  unsigned fetch_threads = 32;
  fetch::Hosts feed_hosts = fetch::Hosts::public_only;  // of feeds that do not say otherwise
  std::string feed_proxy{};
  std::string feed_directory{};  // a folder per feed, for transports that bring changes only
  uint64_t feed_memory_bytes = uint64_t{256} << 20;  // of large feeds on their way, together
  zonefile::ZoneSetOptions zones{};                  // the operators'
  forward::Forwarder* forwarder = nullptr;  // is told the devices' policies; outlives, as above
  safety::NetOptions net{};                 // its files are looked at for changes
  enrich::GeoOptions geo{};                 // likewise
  std::string held_path{};                  // a folder for quarantined content; "": none is kept
};

}  // namespace merlon::coordinator
