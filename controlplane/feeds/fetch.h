// SPDX-License-Identifier: Apache-2.0
// Brings the bytes of a feed: http, https, and file for lists that another program writes. Polite
// (conditional requests, compression, a User-Agent with a contact) and suspicious (limits on time,
// speed, redirects and on the decoded size; a redirect never leads to a file).
// Blocks until done; safe to call from many threads at once.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "zones/base/error.h"

namespace merlon::feeds {

struct FetchRequest {
  std::string url = {};            // http://, https:// or file:///absolute/path
  std::string etag = {};           // of the copy at hand; "" when there is none
  std::string last_modified = {};  // of the copy at hand, as the server wrote it
  uint32_t timeout_s = 60;         // for the whole transfer
  uint32_t connect_timeout_s = 15;
  uint64_t size_max_bytes = 64 << 20;  // after decompression
  std::string contact = {};  // e-mail or URL in the User-Agent; some publishers ask for it
  // When set and true, an HTTP transfer ends within about a second.
  const std::atomic<bool>* stop = nullptr;
};

struct FetchResult {
  enum class Outcome : uint8_t { content, not_modified };
  Outcome outcome = Outcome::content;
  std::vector<uint8_t> body;
  std::string etag;  // to send with the next request; for a file, its inode, size and times
  std::string last_modified;
  long status = 0;  // the HTTP status; 0 for a file
};

// Errors name the URL (without credentials and query) and say what to do: invalid_argument (the
// URL, or content above size_max_bytes), not_found (404, 410, no such file), busy (429, 503 and
// such, or *stop: try later), io (everything else that went wrong on the way).
Result<FetchResult> fetch(const FetchRequest& request);

// The URL without user, password, query and fragment, fit for logs.
std::string url_for_display(std::string_view url);

}  // namespace merlon::feeds
