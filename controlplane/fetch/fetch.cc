// SPDX-License-Identifier: Apache-2.0
#include "controlplane/fetch/fetch.h"

#include <array>

#include "controlplane/feeds/parse.h"
#include "controlplane/fetch/credentials.h"
#include "controlplane/fetch/local.h"
#include "controlplane/fetch/mailbox.h"
#include "controlplane/fetch/misp.h"
#include "controlplane/fetch/rss.h"
#include "controlplane/fetch/taxii.h"
#include "controlplane/fetch/transfer.h"

namespace merlon::fetch {
namespace {

Result<FetchResult> by_transfer(const FetchRequest& request, Advice* advice) {
  auto answer = transfer(request, {.deadline = deadline_of(request)}, advice);
  if (!answer) {
    return std::unexpected(answer.error());
  }
  return std::move(answer->result);
}

struct Scheme {
  std::string_view begin;
  Result<FetchResult> (*fetch)(const FetchRequest&, Advice*);
};

constexpr auto kSchemes = std::to_array<Scheme>({
    {"http://", by_transfer},
    {"https://", by_transfer},
    {"ftp://", by_transfer},
    {"ftps://", by_transfer},
    {"sftp://", by_transfer},
    {"taxii+https://", fetch_taxii},
    {"taxii+http://", fetch_taxii},
    {"misp+https://", fetch_misp},
    {"misp+http://", fetch_misp},
    {"misp+file://", fetch_misp},
    {"rss+https://", fetch_rss},
    {"rss+http://", fetch_rss},
    {"mbox://", [](const FetchRequest& request, Advice*) { return fetch_mbox(request); }},
    {"maildir://", [](const FetchRequest& request, Advice*) { return fetch_maildir(request); }},
    {"file://", [](const FetchRequest& request, Advice*) { return fetch_file(request); }},
    {"pipe://", [](const FetchRequest& request, Advice*) { return fetch_pipe(request); }},
    {"upload:", [](const FetchRequest& request, Advice*) { return fetch_upload(request); }},
});

const Scheme* scheme_of(std::string_view url) {
  for (const Scheme& scheme : kSchemes) {
    if (url.starts_with(scheme.begin)) {
      return &scheme;
    }
  }
  return nullptr;
}

std::unexpected<Error> unknown_scheme(std::string_view url) {
  std::string known;
  for (const Scheme& scheme : kSchemes) {
    known += fmt::format("{}{}", known.empty() ? "" : ", ", scheme.begin);
  }
  return fail(ErrorCode::invalid_argument,
              "fetch {}: not a URL that feeds come from; use one of {}", url_for_display(url),
              known);
}

}  // namespace

std::string url_for_display(std::string_view url) {
  const size_t end = url.find_first_of("?#");
  const bool cut = end != std::string_view::npos;
  std::string_view kept = url.substr(0, end);
  std::string scheme;
  const size_t colon = kept.find("://");
  if (colon != std::string_view::npos) {
    scheme = kept.substr(0, colon + 3);
    kept.remove_prefix(colon + 3);
  }
  const size_t slash = kept.find('/');
  const size_t at = kept.substr(0, slash).rfind('@');
  if (at != std::string_view::npos) {
    kept.remove_prefix(at + 1);
  }
  return feeds::printable(scheme + std::string(kept) + (cut ? "?.." : ""), 400);
}

Result<FetchResult> fetch(const FetchRequest& request, Advice* advice) {
  const Scheme* scheme = scheme_of(request.url);
  return scheme == nullptr ? Result<FetchResult>(unknown_scheme(request.url))
                           : scheme->fetch(request, advice);
}

Status check_source(std::string_view url, std::string_view credentials) {
  if (scheme_of(url) == nullptr) {
    return unknown_scheme(url);
  }
  const auto parsed = parse_credentials(credentials);
  return parsed ? Status() : std::unexpected(parsed.error());
}

}  // namespace merlon::fetch
