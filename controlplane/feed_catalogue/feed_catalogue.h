// SPDX-License-Identifier: Apache-2.0
// Public feeds that are known to us, with their terms: feeds.json, which people edit. Nothing of it
// is fetched until somebody enables it; what may be used by anybody for anything is marked "free",
// the others say what stands in the way.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/store/model.h"
#include "zones/base/error.h"

namespace merlon::feed_catalogue {

enum class Access : uint8_t {
  free,   // anybody, for any purpose
  terms,  // the licence asks for something: no commercial use, a contact, an agreement
  key,    // an account or a key is needed
};
std::string_view to_string(Access access);

struct Entry {
  store::FeedDefinition definition;
  Access access = Access::free;
  std::string key = {};  // of Access::key: what the credentials look like
};

// By id. Read once; safe to call from any thread.
const std::vector<Entry>& entries();
// Errors: not_found, with the nearest id.
Result<Entry> find(std::string_view id);

// Errors: invalid_argument, with the entry and the key.
Result<std::vector<Entry>> parse(std::string_view json);
std::string_view embedded_json();

}  // namespace merlon::feed_catalogue
