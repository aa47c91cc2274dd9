// SPDX-License-Identifier: Apache-2.0
// A collection of a TAXII 2.1 server: taxii+https://host/api-root/collections/ID/. Asked page by
// page for what was added since the last time; the result is always the whole collection, as one
// STIX bundle: of each object the newest version, without those that were revoked. Once a week all
// of it is asked for again, since servers do not say what they have deleted. Nothing that the
// server says, neither a redirect nor `next`, leads to another host.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "controlplane/fetch/fetch.h"

namespace merlon::fetch {

struct TaxiiObject {
  std::string id;
  std::string version;  // compares as the time does; "" when the object has none
  std::string text;     // one line of JSON
  bool revoked = false;
};

// An envelope.
struct TaxiiPage {
  std::vector<TaxiiObject> objects;
  uint64_t nameless_count = 0;  // objects without a usable id, which are not taken
  bool more = false;
  std::string next;
};

// Errors: io (not an envelope, nested too deep).
Result<TaxiiPage> read_taxii_page(std::string_view text);

Result<FetchResult> fetch_taxii(const FetchRequest& request, Advice* advice);

}  // namespace merlon::fetch
