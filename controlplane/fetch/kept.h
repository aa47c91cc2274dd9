// SPDX-License-Identifier: Apache-2.0
// What a source that brings changes only has brought before: one file in the feed's own folder. It
// is a cache: of another URL, damaged or gone, it is empty and everything is fetched again. For the
// sources of this folder.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/fetch/fetch.h"
#include "zones/base/bytes.h"

namespace merlon::fetch {

struct Kept {
  struct Item {
    std::string version = {};
    std::string text = {};
  };
  std::map<std::string, std::string> facts = {};
  std::map<std::string, Item> items = {};

  std::string fact(const std::string& name) const;
  uint64_t size() const;  // of all items
};

Kept load_kept(const FetchRequest& request);
// Does nothing when the request has no directory. Errors: io.
Status save_kept(const FetchRequest& request, const Kept& kept);

// The two halves of it, without the file.
std::string write_kept(std::string_view url, const Kept& kept);
Kept read_kept(std::string_view url, std::string_view text);

// What a source put together, as a result with a digest for its ETag: the same content as that of
// the request's ETag is not modified, whatever was asked of the server for it.
Result<FetchResult> as_result(std::vector<uint8_t> body, std::vector<std::string> notes,
                              const FetchRequest& request);

// "taxii+https://h/" to "https://h/".
std::string inner_url(std::string_view url);

}  // namespace merlon::fetch
