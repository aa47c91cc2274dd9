// SPDX-License-Identifier: Apache-2.0
#include "controlplane/feeds/fetch.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

#include "controlplane/feeds/parse.h"

namespace merlon::feeds {
namespace {

constexpr long kRedirectsMax = 5;
constexpr long kLowSpeedBytes = 100;  // bytes a second, over kLowSpeedSeconds
constexpr long kLowSpeedSeconds = 30;
constexpr std::string_view kFileScheme = "file://";
constexpr size_t kHeaderValueMax = 1024;

using Outcome = FetchResult::Outcome;

struct CurlDeleter {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
using Curl = std::unique_ptr<CURL, CurlDeleter>;

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
  uint64_t size_max = 0;
  bool too_large = false;
};

size_t write_body(char* data, size_t size, size_t count, void* user) {
  auto* sink = static_cast<Sink*>(user);
  const size_t bytes = size * count;
  if (bytes > sink->size_max - sink->body.size()) {
    sink->too_large = true;
    return CURL_WRITEFUNC_ERROR;
  }
  const auto* begin = reinterpret_cast<const uint8_t*>(data);
  sink->body.insert(sink->body.end(), begin, begin + bytes);
  return bytes;
}

// libcurl calls this about once a second, and more often while data flows; not 0 ends the transfer.
int report_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const std::atomic<bool>*>(user)->load() ? 1 : 0;
}

// A value that goes into a request header must not be able to begin another one.
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

std::string user_agent(const FetchRequest& request) {
  return is_header_value(request.contact) ? fmt::format("merlon/0.1 (+{})", request.contact)
                                          : "merlon/0.1";
}

void set_options(CURL* curl, const FetchRequest& request, const HeaderList& headers, Sink& sink,
                 char* error_text) {
  const std::string agent = user_agent(request);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error_text);
  curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(curl, CURLOPT_MAXREDIRS, kRedirectsMax);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
  curl_easy_setopt(curl, CURLOPT_ACCEPT_ENCODING, "");  // every encoding that libcurl decodes
  curl_easy_setopt(curl, CURLOPT_USERAGENT, agent.c_str());
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.first);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT, static_cast<long>(std::max(request.timeout_s, 1U)));
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT,
                   static_cast<long>(std::max(request.connect_timeout_s, 1U)));
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, kLowSpeedBytes);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, kLowSpeedSeconds);
  // Refuses by Content-Length at once; write_body holds the limit on what is decoded.
  curl_easy_setopt(curl, CURLOPT_MAXFILESIZE_LARGE,
                   static_cast<curl_off_t>(std::min<uint64_t>(request.size_max_bytes, INT64_MAX)));
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &write_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &sink);
  if (request.stop != nullptr) {
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, &report_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, request.stop);
  }
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

std::unexpected<Error> explain_timeout(CURL* curl, const FetchRequest& request,
                                       std::string_view detail, const std::string& url) {
  curl_off_t connected = 0;
  curl_easy_getinfo(curl, CURLINFO_PRETRANSFER_TIME_T, &connected);
  if (detail.starts_with("Operation too slow")) {
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

std::unexpected<Error> too_large(const std::string& url, uint64_t size_max) {
  return fail(ErrorCode::invalid_argument,
              "fetch {}: larger than {} bytes (size limit, after decompression); raise the feed's "
              "size_max_bytes if this is right",
              url, size_max);
}

std::unexpected<Error> explain_failure(CURL* curl, CURLcode code, const FetchRequest& request,
                                       std::string_view detail, bool sink_full) {
  const std::string url = url_for_display(request.url);
  const std::string reason =
      printable(detail.empty() ? std::string_view(curl_easy_strerror(code)) : detail, 200);
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  switch (code) {
    case CURLE_HTTP_RETURNED_ERROR:
      return explain_status(curl, url, status);
    case CURLE_OPERATION_TIMEDOUT:
      return explain_timeout(curl, request, detail, url);
    case CURLE_ABORTED_BY_CALLBACK:
      return fail(ErrorCode::busy, "fetch {}: given up because we stop", url);
    case CURLE_FILESIZE_EXCEEDED:
      return too_large(url, request.size_max_bytes);
    case CURLE_WRITE_ERROR:
      return sink_full ? too_large(url, request.size_max_bytes)
                       : fail(ErrorCode::io, "fetch {}: {}", url, reason);
    case CURLE_TOO_MANY_REDIRECTS:
      return fail(ErrorCode::io, "fetch {}: more than {} redirects; use the final URL", url,
                  kRedirectsMax);
    case CURLE_UNSUPPORTED_PROTOCOL:
      return fail(ErrorCode::io, "fetch {}: redirected to a URL that is not http or https", url);
    case CURLE_URL_MALFORMAT:
      return fail(ErrorCode::invalid_argument, "fetch {}: not a valid URL: {}", url, reason);
    case CURLE_COULDNT_RESOLVE_HOST:
      return fail(ErrorCode::io, "fetch {}: host not found; check the name and the resolver", url);
    case CURLE_PEER_FAILED_VERIFICATION:
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

Result<FetchResult> fetch_http(const FetchRequest& request) {
  const std::string url = url_for_display(request.url);
  if (initialise_once() != CURLE_OK) {
    return fail(ErrorCode::internal, "fetch {}: libcurl cannot start", url);
  }
  const Curl curl(curl_easy_init());
  if (!curl) {
    return fail(ErrorCode::internal, "fetch {}: libcurl gave no handle", url);
  }
  HeaderList headers;
  const bool conditional = is_header_value(request.etag) || is_header_value(request.last_modified);
  if (is_header_value(request.etag)) {
    headers.add("If-None-Match: " + request.etag);
  }
  if (is_header_value(request.last_modified)) {
    headers.add("If-Modified-Since: " + request.last_modified);
  }
  Sink sink;
  sink.size_max = request.size_max_bytes;
  std::array<char, CURL_ERROR_SIZE> error_text{};
  set_options(curl.get(), request, headers, sink, error_text.data());
  const CURLcode code = curl_easy_perform(curl.get());
  if (code != CURLE_OK) {
    return explain_failure(curl.get(), code, request, error_text.data(), sink.too_large);
  }
  FetchResult result;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &result.status);
  result.etag = header_of(curl.get(), "ETag");
  result.last_modified = header_of(curl.get(), "Last-Modified");
  if (result.status == 304 && conditional) {
    result.outcome = Outcome::not_modified;
    // RFC 9110 section 15.4.5 lets a 304 leave Last-Modified out when there is an ETag.
    result.etag = result.etag.empty() ? request.etag : result.etag;
    result.last_modified =
        result.last_modified.empty() ? request.last_modified : result.last_modified;
    return result;
  }
  if (result.status != 200) {
    return explain_status(curl.get(), url, result.status);
  }
  result.body = std::move(sink.body);
  return result;
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) {
      ::close(fd_);
    }
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

// file:///path with %XX; a host, as in file://server/share, is refused.
Result<std::string> path_of(const std::string& url) {
  const std::string_view text = std::string_view(url).substr(kFileScheme.size());
  if (!text.starts_with('/')) {
    return fail(ErrorCode::invalid_argument,
                "fetch {}: a file URL has three slashes and an absolute path: file:///path",
                url_for_display(url));
  }
  std::string path;
  for (size_t i = 0; i < text.size(); ++i) {
    std::array<uint8_t, 1> byte{};
    if (text[i] == '%' && from_hex(text.substr(i + 1, 2), byte)) {
      path.push_back(static_cast<char>(byte[0]));
      i += 2;
    } else {
      path.push_back(text[i]);
    }
  }
  if (path.find('\0') != std::string::npos) {
    return fail(ErrorCode::invalid_argument, "fetch {}: NUL in a path", url_for_display(url));
  }
  return path;
}

Status read_all(int fd, uint64_t size_max, const std::string& url, std::vector<uint8_t>& body) {
  size_t filled = 0;
  while (true) {
    if (filled == body.size()) {
      if (filled > size_max) {
        return too_large(url, size_max);
      }
      body.resize(filled + (64 << 10));  // the file grows while we read it
    }
    const ssize_t n = ::read(fd, body.data() + filled, body.size() - filled);
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n < 0) {
      return fail_errno(fmt::format("fetch {}: read", url), errno);
    }
    if (n == 0) {
      body.resize(filled);
      return filled > size_max ? Status(too_large(url, size_max)) : Status();
    }
    filled += static_cast<size_t>(n);
  }
}

Result<FetchResult> fetch_file(const FetchRequest& request) {
  const std::string url = url_for_display(request.url);
  const Result<std::string> path = path_of(request.url);
  if (!path) {
    return std::unexpected(path.error());
  }
  // Non-blocking, so that a FIFO without a writer does not hold us before we can refuse it.
  const Descriptor file(::open(path->c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) {
    return errno == ENOENT ? fail(ErrorCode::not_found, "fetch {}: no such file", url)
                           : fail_errno(fmt::format("fetch {}: open", url), errno);
  }
  struct stat info{};
  if (::fstat(file.get(), &info) != 0) {
    return fail_errno(fmt::format("fetch {}: stat", url), errno);
  }
  if (!S_ISREG(info.st_mode)) {
    return fail(ErrorCode::invalid_argument, "fetch {}: not a regular file but a {}; name a file",
                url,
                S_ISDIR(info.st_mode)    ? "directory"
                : S_ISFIFO(info.st_mode) ? "FIFO"
                                         : "device");
  }
  FetchResult result;
  // The inode and its change time, too: kernels stamp files by the tick (4 ms and more), so a file
  // that replaces one of the same size at once may have the same modification time.
  result.etag =
      fmt::format("\"{}-{}.{:09}-{}.{:09}-{}\"", info.st_size, info.st_mtim.tv_sec,
                  info.st_mtim.tv_nsec, info.st_ctim.tv_sec, info.st_ctim.tv_nsec, info.st_ino);
  if (!request.etag.empty() && request.etag == result.etag) {
    result.outcome = Outcome::not_modified;
    return result;
  }
  const auto size = static_cast<uint64_t>(info.st_size);
  if (size > request.size_max_bytes) {
    return too_large(url, request.size_max_bytes);
  }
  result.body.resize(static_cast<size_t>(size) + 1);  // one more, to see the end in one read
  const Status read = read_all(file.get(), request.size_max_bytes, url, result.body);
  if (!read) {
    return std::unexpected(read.error());
  }
  return result;
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
  return printable(scheme + std::string(kept) + (cut ? "?.." : ""), 400);
}

Result<FetchResult> fetch(const FetchRequest& request) {
  if (request.url.starts_with(kFileScheme)) {
    return fetch_file(request);
  }
  if (!request.url.starts_with("http://") && !request.url.starts_with("https://")) {
    return fail(ErrorCode::invalid_argument,
                "fetch {}: not a URL that feeds come from; use http://, https:// or file:///path",
                url_for_display(request.url));
  }
  return fetch_http(request);
}

}  // namespace merlon::feeds
