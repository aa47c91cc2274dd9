// SPDX-License-Identifier: Apache-2.0
// A MISP feed: a folder with manifest.json and UUID.json of each event, on a web server
// (misp+https://host/path/) or on this machine (misp+file:///path/). Only events whose timestamp
// changed are fetched, and those that the manifest no longer names go. The result is one JSON array
// of all events. An event that cannot be had or read is named in the result's notes; what was kept
// of it stays in force until it can be.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/fetch/fetch.h"

namespace merlon::fetch {

inline constexpr size_t kMispEventsMax = 10'000;  // the newest are taken

struct MispManifest {
  struct Event {
    std::string uuid;  // as file names are made of it: nothing but hexadecimal digits and dashes
    int64_t timestamp = 0;
  };
  std::vector<Event> events;   // newest first
  uint64_t refused_count = 0;  // entries that are no events: a key that is no UUID, no timestamp
};

// Errors: io (no manifest).
Result<MispManifest> read_misp_manifest(std::string_view text);
// Whether it is an event that the format misp reads. Errors: io.
Status check_misp_event(std::string_view text);

Result<FetchResult> fetch_misp(const FetchRequest& request, Advice* advice);

}  // namespace merlon::fetch
