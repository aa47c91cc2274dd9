// SPDX-License-Identifier: Apache-2.0
// One transfer by libcurl, and why one failed. For the sources of this folder.
#pragma once

#include <curl/curl.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "controlplane/fetch/fetch.h"

namespace merlon::fetch {

inline constexpr long kRedirectsMax = 5;
inline constexpr long kLowSpeedBytes = 100;  // bytes a second, over kLowSpeedSeconds
inline constexpr long kLowSpeedSeconds = 30;

using Deadline = std::chrono::steady_clock::time_point;

// Where a redirect may lead.
enum class Redirects : uint8_t { anywhere, same_origin };

// A request of its own with what is asked for beside the body.
struct Ask {
  Deadline deadline{};
  const char* header_wanted = nullptr;  // of the answer
  Redirects redirects = Redirects::anywhere;
  long* status = nullptr;  // set to the HTTP status, of a failure too
};
struct Answer {
  FetchResult result;
  std::string header;
};

// http, https, ftp, ftps and sftp.
Result<Answer> transfer(const FetchRequest& request, const Ask& ask, Advice* advice);
Deadline deadline_of(const FetchRequest& request);

// "https://host:443" of a URL; "" when it is none.
std::string origin_of(const std::string& url);
// What a reference in the document of this URL means; "" when it means nothing.
std::string resolve(const std::string& base, const std::string& reference);

// A value that goes into a request header must not be able to begin another one.
bool is_header_value(std::string_view value);

// What went wrong, in words.
struct Trouble {
  CURL* curl = nullptr;
  CURLcode code = CURLE_OK;
  std::string_view detail = {};
  bool sink_full = false;
  std::string refused = {};  // the address that we would not connect to
};
std::unexpected<Error> explain_failure(const Trouble& trouble, const FetchRequest& request);
std::unexpected<Error> explain_status(CURL* curl, const std::string& url, long status);
std::unexpected<Error> too_large(const std::string& url, uint64_t size_max);
std::string header_of(CURL* curl, const char* name);

}  // namespace merlon::fetch
