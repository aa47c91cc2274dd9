// SPDX-License-Identifier: Apache-2.0
// The [controlplane] section, as plain values fixed at start.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "controlplane/compile/compile.h"
#include "controlplane/enrich/geo.h"
#include "controlplane/fetch/fetch.h"
#include "controlplane/safety/net.h"
#include "controlplane/zonefile/zone_set.h"
#include "zones/base/error.h"

namespace merlon::controlplane {

struct Settings {
  compile::Settings compile;
  std::string state_directory;
  std::string api_socket;
  std::string dataplane_socket;
  std::string slow_path_socket;  // empty: none
  std::vector<std::string> dns_listen;
  std::vector<std::string> dot_listen;  // empty: no DNS over TLS
  std::string tls_certificate_file;
  std::string tls_key_file;
  std::string tls_client_ca_file;  // empty: any client certificate proves its key
  unsigned dns_thread_count = 1;
  size_t dns_connections = 16'384;  // open over TCP at once
  size_t dns_connections_per_source = 512;
  std::vector<std::string> https_listen;
  std::string api_token_file;  // empty: no REST API over HTTPS
  size_t generations_kept = 32;
  std::string contact;
  fetch::Hosts feed_hosts = fetch::Hosts::public_only;
  std::string feed_proxy;  // empty: none
  unsigned fetch_thread_count = 32;
  std::string identity;            // NSID, id.server, hostname.bind; empty: not told
  std::string version;             // version.bind, version.server; empty: not told
  std::string cookie_secret_file;  // the data plane's; empty: no cookies over TCP

  zonefile::ZoneSetOptions zones;  // the operators'
  safety::NetOptions net;
  enrich::GeoOptions geo;

  std::string store_path() const { return state_directory + "/store"; }
  std::string snapshot_path() const { return state_directory + "/snapshots"; }
  std::string feed_directory() const { return state_directory + "/feeds"; }
  std::string catalogue_path() const { return state_directory + "/catalogue"; }
  std::string held_path() const { return state_directory + "/held"; }
  std::string zone_log_path() const { return state_directory + "/zones.log"; }
  std::string journal_path() const { return state_directory + "/journal"; }
  std::string signing_key_path() const { return state_directory + "/manifest.key"; }
  std::string public_key_path() const { return state_directory + "/manifest.pub"; }
};

// Errors: invalid_argument with file and line.
Result<Settings> load_settings(const std::string& path);
// The section with defaults and explanations.
std::string example_settings();

}  // namespace merlon::controlplane
