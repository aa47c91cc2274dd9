// SPDX-License-Identifier: Apache-2.0
// Redirects are followed here and not by libcurl, because a header with a secret in it must not go
// to another host: libcurl would send it along.
#include "controlplane/fetch/transfer.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "controlplane/fetch/credentials.h"
#include "controlplane/fetch/destination.h"

namespace merlon::fetch {
namespace {

using Outcome = FetchResult::Outcome;
using std::chrono::steady_clock;

struct CurlDeleter {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
using Curl = std::unique_ptr<CURL, CurlDeleter>;
struct UrlDeleter {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};

struct HeaderList {
  HeaderList() = default;
  HeaderList(const HeaderList&) = delete;
  HeaderList& operator=(const HeaderList&) = delete;
  ~HeaderList() { curl_slist_free_all(first); }
  void add(const std::string& line) {
    curl_slist* longer = curl_slist_append(first, line.c_str());
    first = longer != nullptr ? longer : first;
  }
  curl_slist* first = nullptr;
};

// One global initialisation in the life of the process, whichever thread comes first.
CURLcode initialise_once() {
  static const CURLcode kCode = curl_global_init(CURL_GLOBAL_DEFAULT);
  return kCode;
}

struct Sink {
  std::vector<uint8_t> body;
  MemoryBudget::Share memory;
  uint64_t size_max = 0;
  const std::atomic<bool>* stop = nullptr;
  bool too_large = false;
};

size_t write_body(char* data, size_t size, size_t count, void* user) {
  auto* sink = static_cast<Sink*>(user);
  const size_t bytes = size * count;
  if (bytes > sink->size_max - sink->body.size()) {
    sink->too_large = true;
    return CURL_WRITEFUNC_ERROR;
  }
  // By powers of two, as the vector would; but first it is asked for.
  if (sink->body.size() + bytes > sink->body.capacity()) {
    const uint64_t room = std::min<uint64_t>(
        std::max<uint64_t>(sink->body.capacity() * 2, sink->body.size() + bytes), sink->size_max);
    if (sink->memory.grow_to(room, sink->stop) == MemoryBudget::Share::Grown::stopped) {
      return CURL_WRITEFUNC_ERROR;
    }
    sink->body.reserve(room);
  }
  const auto* begin = reinterpret_cast<const uint8_t*>(data);
  sink->body.insert(sink->body.end(), begin, begin + bytes);
  return bytes;
}

// libcurl calls this about once a second, and more often while data flows; not 0 ends the transfer.
int report_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const std::atomic<bool>*>(user)->load() ? 1 : 0;
}

// Sees the address that a name has led to, of every connection and of each of its attempts.
struct Gate {
  Hosts hosts = Hosts::public_only;
  std::string refused;
};

curl_socket_t open_socket(void* user, curlsocktype, curl_sockaddr* address) {
  auto* gate = static_cast<Gate*>(user);
  if (gate->hosts == Hosts::public_only && !is_public(address->addr)) {
    gate->refused = to_text(address->addr);
    return CURL_SOCKET_BAD;
  }
  gate->refused.clear();
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

std::string user_agent(const FetchRequest& request) {
  return is_header_value(request.contact) ? fmt::format("merlon/0.1 (+{})", request.contact)
                                          : "merlon/0.1";
}

std::string part_of(CURLU* url, CURLUPart part) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, CURLU_DEFAULT_PORT) != CURLUE_OK) {
    return "";
  }
  std::string copy(text);
  curl_free(text);
  return copy;
}

bool is_http(std::string_view url) {
  return url.starts_with("http://") || url.starts_with("https://");
}

// One request to one host.
struct Hop {
  Curl curl;
  HeaderList headers;
  Sink sink;
  Gate gate;
  std::array<char, CURL_ERROR_SIZE> error_text{};
};

void set_limits(Hop& hop, const FetchRequest& request, const Ask& ask) {
  CURL* curl = hop.curl.get();
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(ask.deadline - steady_clock::now())
          .count();
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(std::max<int64_t>(left, 1)));
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT,
                   static_cast<long>(std::max(request.connect_timeout_s, 1U)));
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, kLowSpeedBytes);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, kLowSpeedSeconds);
  // Refuses by Content-Length at once; write_body holds the limit on what is decoded.
  curl_easy_setopt(curl, CURLOPT_MAXFILESIZE_LARGE,
                   static_cast<curl_off_t>(std::min<uint64_t>(request.size_max_bytes, INT64_MAX)));
  hop.sink.size_max = request.size_max_bytes;
  hop.sink.stop = request.stop;
  hop.sink.memory = MemoryBudget::Share(request.memory);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &write_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &hop.sink);
  // A proxy makes the connections, and knows what it may connect to.
  hop.gate.hosts = request.proxy.empty() ? request.hosts : Hosts::any;
  curl_easy_setopt(curl, CURLOPT_PROXY, request.proxy.c_str());  // "": none of the surroundings
  curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, &open_socket);
  curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, &hop.gate);
  if (request.stop != nullptr) {
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, &report_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, request.stop);
  }
}

void set_request(Hop& hop, const FetchRequest& request, const std::string& url) {
  CURL* curl = hop.curl.get();
  if (is_header_value(request.etag)) {
    hop.headers.add("If-None-Match: " + request.etag);
  }
  if (is_header_value(request.last_modified)) {
    hop.headers.add("If-Modified-Since: " + request.last_modified);
  }
  if (!request.accept.empty()) {
    hop.headers.add("Accept: " + request.accept);
  }
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, hop.error_text.data());
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https,ftp,ftps,sftp");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "");  // every encoding that libcurl decodes
  curl_easy_setopt(curl, CURLOPT_USERAGENT, user_agent(request).c_str());
  if (is_http(url)) {
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, hop.headers.first);
    return;
  }
  curl_easy_setopt(curl, CURLOPT_FILETIME, 1L);
  int64_t since = 0;
  const std::string& text = request.last_modified;
  std::from_chars(text.data(), text.data() + text.size(), since);
  if (since > 0) {
    curl_easy_setopt(curl, CURLOPT_TIMECONDITION, static_cast<long>(CURL_TIMECOND_IFMODSINCE));
    curl_easy_setopt(curl, CURLOPT_TIMEVALUE_LARGE, static_cast<curl_off_t>(since));
  }
}

Status set_password(CURL* curl, const Credentials& credentials) {
  curl_easy_setopt(curl, CURLOPT_USERNAME, credentials.user.c_str());
  if (credentials.password_file.empty()) {
    return {};
  }
  const auto password = read_secret(credentials.password_file);
  if (!password) {
    return std::unexpected(password.error());
  }
  curl_easy_setopt(curl, CURLOPT_PASSWORD, password->c_str());
  curl_easy_setopt(curl, CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BASIC));
  // Encrypted where the server can.
  curl_easy_setopt(curl, CURLOPT_USE_SSL, static_cast<long>(CURLUSESSL_TRY));
  return {};
}

// Only for the host that they were made for.
Status set_credentials(Hop& hop, const Credentials& credentials, const std::string& url) {
  CURL* curl = hop.curl.get();
  const bool sftp = url.starts_with("sftp://");
  if (!credentials.header_file.empty()) {
    const auto value = read_secret(credentials.header_file);
    if (!value) {
      return std::unexpected(value.error());
    }
    hop.headers.add(fmt::format("{}: {}", credentials.header_name, *value));
  }
  if (!credentials.user.empty()) {
    const Status set = set_password(curl, credentials);
    if (!set) {
      return set;
    }
  }
  if (!credentials.key_file.empty()) {
    const Status secret = check_private(credentials.key_file);
    if (!secret) {
      return secret;
    }
    curl_easy_setopt(curl, sftp ? CURLOPT_SSH_PRIVATE_KEYFILE : CURLOPT_SSLKEY,
                     credentials.key_file.c_str());
  }
  if (!credentials.certificate_file.empty()) {
    curl_easy_setopt(curl, CURLOPT_SSLCERT, credentials.certificate_file.c_str());
  }
  if (!sftp) {
    return {};
  }
  if (credentials.host_key.empty()) {
    return fail(ErrorCode::invalid_argument,
                "fetch {}: nothing says which host this is; add \"host SHA256:FINGERPRINT\" to the "
                "credentials (ssh-keyscan HOST | ssh-keygen -lf - shows it)",
                url_for_display(url));
  }
  if (curl_easy_setopt(curl, CURLOPT_SSH_HOST_PUBLIC_KEY_SHA256, credentials.host_key.c_str()) !=
      CURLE_OK) {
    return fail(ErrorCode::unsupported,
                "fetch {}: this libcurl cannot check a host's key by SHA256", url_for_display(url));
  }
  return {};
}

void take_advice(CURL* curl, Advice* advice) {
  curl_off_t seconds = 0;
  if (advice != nullptr && curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &seconds) == CURLE_OK) {
    advice->retry_after_s = seconds;
  }
}

// Where a redirect leads; "" when this is none.
Result<std::string> next_of(CURL* curl, const std::string& from, const std::string& shown) {
  long status = 0;
  char* target = nullptr;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  curl_easy_getinfo(curl, CURLINFO_REDIRECT_URL, &target);
  if (!is_http(from) || status < 300 || status > 399 || status == 304 || target == nullptr) {
    return "";
  }
  const std::string next = target;
  if (!is_http(next)) {
    return fail(ErrorCode::io, "fetch {}: redirected to a URL that is not http or https", shown);
  }
  if (from.starts_with("https://") && next.starts_with("http://")) {
    return fail(ErrorCode::io,
                "fetch {}: redirected from https to http, where anybody on the way could change "
                "the feed; use the final URL if that is right",
                shown);
  }
  return next;
}

Result<Answer> finish(Hop& hop, const FetchRequest& request, const Ask& ask,
                      const std::string& url) {
  CURL* curl = hop.curl.get();
  Answer answer;
  FetchResult& result = answer.result;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &result.status);
  if (!is_http(url)) {
    long unmet = 0;
    curl_off_t time = -1;
    curl_easy_getinfo(curl, CURLINFO_CONDITION_UNMET, &unmet);
    curl_easy_getinfo(curl, CURLINFO_FILETIME_T, &time);
    result.last_modified = time > 0 ? fmt::format("{}", time) : std::string();
    const bool same = unmet != 0 || (!result.last_modified.empty() &&
                                     result.last_modified == request.last_modified);
    result.outcome = same ? Outcome::not_modified : Outcome::content;
    if (!same) {
      result.body = std::move(hop.sink.body);
      result.memory = std::move(hop.sink.memory);
    }
    return answer;
  }
  result.etag = header_of(curl, "ETag");
  result.last_modified = header_of(curl, "Last-Modified");
  answer.header = ask.header_wanted == nullptr ? "" : header_of(curl, ask.header_wanted);
  const bool conditional = is_header_value(request.etag) || is_header_value(request.last_modified);
  if (result.status == 304 && conditional) {
    result.outcome = Outcome::not_modified;
    // RFC 9110 section 15.4.5 lets a 304 leave Last-Modified out when there is an ETag.
    result.etag = result.etag.empty() ? request.etag : result.etag;
    result.last_modified =
        result.last_modified.empty() ? request.last_modified : result.last_modified;
    return answer;
  }
  if (result.status != 200) {
    return explain_status(curl, url_for_display(request.url), result.status);
  }
  result.body = std::move(hop.sink.body);
  result.memory = std::move(hop.sink.memory);
  return answer;
}

}  // namespace

std::string origin_of(const std::string& text) {
  const std::unique_ptr<CURLU, UrlDeleter> url(curl_url());
  if (curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK) {
    return "";
  }
  return fmt::format("{}://{}:{}", part_of(url.get(), CURLUPART_SCHEME),
                     part_of(url.get(), CURLUPART_HOST), part_of(url.get(), CURLUPART_PORT));
}

std::string resolve(const std::string& base, const std::string& reference) {
  const std::unique_ptr<CURLU, UrlDeleter> url(curl_url());
  char* text = nullptr;
  if (curl_url_set(url.get(), CURLUPART_URL, base.c_str(), 0) != CURLUE_OK ||
      curl_url_set(url.get(), CURLUPART_URL, reference.c_str(), 0) != CURLUE_OK ||
      curl_url_get(url.get(), CURLUPART_URL, &text, 0) != CURLUE_OK) {
    return "";
  }
  std::string copy(text);
  curl_free(text);
  return copy;
}

Deadline deadline_of(const FetchRequest& request) {
  return steady_clock::now() + std::chrono::seconds(std::max(request.timeout_s, 1U));
}

Result<Answer> transfer(const FetchRequest& request, const Ask& ask, Advice* advice) {
  const std::string shown = url_for_display(request.url);
  if (initialise_once() != CURLE_OK) {
    return fail(ErrorCode::internal, "fetch {}: libcurl cannot start", shown);
  }
  const auto credentials = parse_credentials(request.credentials);
  if (!credentials) {
    return std::unexpected(credentials.error());
  }
  const std::string home = origin_of(request.url);
  std::string url = request.url;
  for (long redirects = 0;; ++redirects) {
    Hop hop;
    hop.curl.reset(curl_easy_init());
    if (!hop.curl) {
      return fail(ErrorCode::internal, "fetch {}: libcurl gave no handle", shown);
    }
    if (origin_of(url) == home) {
      const Status known = set_credentials(hop, *credentials, url);
      if (!known) {
        return std::unexpected(known.error());
      }
    }
    set_request(hop, request, url);
    set_limits(hop, request, ask);
    const CURLcode code = curl_easy_perform(hop.curl.get());
    if (ask.status != nullptr) {
      curl_easy_getinfo(hop.curl.get(), CURLINFO_RESPONSE_CODE, ask.status);
    }
    if (code != CURLE_OK) {
      take_advice(hop.curl.get(), advice);
      return explain_failure({.curl = hop.curl.get(),
                              .code = code,
                              .detail = hop.error_text.data(),
                              .sink_full = hop.sink.too_large,
                              .refused = hop.gate.refused},
                             request);
    }
    const auto next = next_of(hop.curl.get(), url, shown);
    if (!next) {
      return std::unexpected(next.error());
    }
    if (next->empty()) {
      return finish(hop, request, ask, url);
    }
    if (ask.redirects == Redirects::same_origin && origin_of(*next) != home) {
      return fail(ErrorCode::io,
                  "fetch {}: redirected to another host; use its URL if that is right", shown);
    }
    if (redirects == kRedirectsMax) {
      return fail(ErrorCode::io, "fetch {}: more than {} redirects; use the final URL", shown,
                  kRedirectsMax);
    }
    url = *next;
  }
}

}  // namespace merlon::fetch
