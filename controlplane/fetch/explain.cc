// SPDX-License-Identifier: Apache-2.0
// Errors of transfers in words that say what to do.
#include <algorithm>

#include "controlplane/feeds/parse.h"
#include "controlplane/fetch/transfer.h"

namespace merlon::fetch {
namespace {

constexpr size_t kHeaderValueMax = 1024;

std::unexpected<Error> explain_timeout(const Trouble& trouble, const FetchRequest& request,
                                       const std::string& url) {
  curl_off_t connected = 0;
  curl_easy_getinfo(trouble.curl, CURLINFO_PRETRANSFER_TIME_T, &connected);
  if (trouble.detail.starts_with("Operation too slow")) {
    return fail(ErrorCode::io, "fetch {}: slower than {} bytes/s for {} s, gave up", url,
                kLowSpeedBytes, kLowSpeedSeconds);
  }
  if (connected == 0) {
    return fail(ErrorCode::io,
                "fetch {}: no connection within {} s (connect limit); check that the host is "
                "reachable from here",
                url, std::min(request.connect_timeout_s, request.timeout_s));
  }
  return fail(ErrorCode::io,
              "fetch {}: not complete within {} s (time limit); raise the feed's timeout_s or "
              "check the server",
              url, request.timeout_s);
}

std::unexpected<Error> refused_address(const std::string& address, const std::string& url) {
  return fail(ErrorCode::invalid_argument,
              "fetch {}: leads to {}, which is not a public address; if the feed is meant to come "
              "from there, set its private_hosts",
              url, address);
}

}  // namespace

bool is_header_value(std::string_view value) {
  return !value.empty() && value.size() <= kHeaderValueMax &&
         std::all_of(value.begin(), value.end(), [](char c) { return c >= 0x20 && c != 0x7f; });
}

std::string header_of(CURL* curl, const char* name) {
  curl_header* header = nullptr;
  if (curl_easy_header(curl, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK ||
      !is_header_value(header->value)) {
    return "";
  }
  return header->value;
}

std::unexpected<Error> explain_status(CURL* curl, const std::string& url, long status) {
  const std::string retry_after = header_of(curl, "Retry-After");
  const std::string when =
      retry_after.empty() ? "try again later" : fmt::format("Retry-After: {}", retry_after);
  switch (status) {
    case 401:
    case 403:
      return fail(ErrorCode::io,
                  "fetch {}: HTTP {}: the server refuses us; check the credentials, and whether "
                  "the publisher wants a contact in the User-Agent",
                  url, status);
    case 404:
    case 410:
      return fail(ErrorCode::not_found,
                  "fetch {}: HTTP {}: nothing is published there; check the URL", url, status);
    case 429:
      return fail(ErrorCode::busy,
                  "fetch {}: HTTP 429: too many requests; {}; fetch this feed less often", url,
                  when);
    case 502:
    case 503:
    case 504:
      return fail(ErrorCode::busy, "fetch {}: HTTP {}: the server is not available; {}", url,
                  status, when);
    default:
      return fail(ErrorCode::io, "fetch {}: HTTP {}: not an answer with a feed", url, status);
  }
}

std::unexpected<Error> too_large(const std::string& url, uint64_t size_max) {
  return fail(ErrorCode::invalid_argument,
              "fetch {}: larger than {} bytes (size limit, after decompression); raise the feed's "
              "size_max_bytes if this is right",
              url, size_max);
}

std::unexpected<Error> explain_failure(const Trouble& trouble, const FetchRequest& request) {
  const std::string url = url_for_display(request.url);
  const std::string reason = feeds::printable(
      trouble.detail.empty() ? std::string_view(curl_easy_strerror(trouble.code)) : trouble.detail,
      200);
  long status = 0;
  curl_easy_getinfo(trouble.curl, CURLINFO_RESPONSE_CODE, &status);
  if (!trouble.refused.empty()) {
    return refused_address(trouble.refused, url);
  }
  switch (trouble.code) {
    case CURLE_HTTP_RETURNED_ERROR:
      return explain_status(trouble.curl, url, status);
    case CURLE_OPERATION_TIMEDOUT:
      return explain_timeout(trouble, request, url);
    case CURLE_ABORTED_BY_CALLBACK:
      return fail(ErrorCode::busy, "fetch {}: given up because we stop", url);
    case CURLE_FILESIZE_EXCEEDED:
      return too_large(url, request.size_max_bytes);
    case CURLE_WRITE_ERROR:
      return trouble.sink_full ? too_large(url, request.size_max_bytes)
                               : fail(ErrorCode::io, "fetch {}: {}", url, reason);
    case CURLE_REMOTE_FILE_NOT_FOUND:
    case CURLE_REMOTE_ACCESS_DENIED:
      return fail(ErrorCode::not_found, "fetch {}: {}; check the path and who may read it", url,
                  reason);
    case CURLE_LOGIN_DENIED:
      return fail(ErrorCode::io, "fetch {}: the server refuses us; check the credentials", url);
    case CURLE_URL_MALFORMAT:
      return fail(ErrorCode::invalid_argument, "fetch {}: not a valid URL: {}", url, reason);
    case CURLE_COULDNT_RESOLVE_HOST:
      return fail(ErrorCode::io, "fetch {}: host not found; check the name and the resolver", url);
    case CURLE_PEER_FAILED_VERIFICATION:
      if (request.url.starts_with("sftp://")) {
        return fail(ErrorCode::io,
                    "fetch {}: the host's key is not the one of its credentials (host SHA256:..)",
                    url);
      }
      [[fallthrough]];
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      return fail(ErrorCode::io,
                  "fetch {}: TLS failed: {}; check the server's certificate and this machine's "
                  "clock and CA certificates",
                  url, reason);
    default:
      return fail(ErrorCode::io, "fetch {}: {}", url, reason);
  }
}

}  // namespace merlon::fetch
