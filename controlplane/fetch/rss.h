// SPDX-License-Identifier: Apache-2.0
// rss+https://host/news.xml: the lists that the newest entries of an RSS or Atom document carry as
// enclosures. #entries=N at the URL's end says how many entries (10; for formats that are one
// document, such as JSON, 1). Enclosures may be on other hosts, public ones as every feed's, and
// the credentials do not go there. One that was fetched before is fetched again only when its
// entry's date changed. Without any enclosure the document itself is the content.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/fetch/fetch.h"

namespace merlon::fetch {

struct Enclosure {
  std::string url;      // absolute, http or https
  std::string version;  // of its entry: date and length
};

// Of the newest `entries_max` entries that have one, newest first; entries without a date are as
// new as the document's order says. Errors: io (no XML), invalid_argument (it declares entities).
Result<std::vector<Enclosure>> read_enclosures(std::string_view document, const std::string& url,
                                               size_t entries_max);

Result<FetchResult> fetch_rss(const FetchRequest& request, Advice* advice);

}  // namespace merlon::fetch
