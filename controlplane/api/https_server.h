// SPDX-License-Identifier: Apache-2.0
// HTTPS, for what comes from elsewhere:
//   GET /zones/<apex>           a zone of the account as a zone file, for servers that cannot do
//   GET /zones/<token>/<apex>   signed transfers: with the token of a device, as a bearer token, as
//                               the password of basic authentication, or in the path
//   /v1/.., /metrics            the REST API, with the operator's token as a bearer token
// Who has no token learns nothing: whatever is not to be had is answered alike. Tokens are looked
// up by their digests. A source that fails often waits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "controlplane/api/operations.h"
#include "zones/base/error.h"

namespace merlon::api {

struct HttpsOptions {
  std::vector<std::string> listen{};  // "192.0.2.1:443", "[2001:db8::1]:443"; port 0: any
  std::string certificate_file{};     // PEM, with those between it and its root
  std::string key_file{};             // both are looked at every second, as dns/tls.h says
  std::string api_token_file{};       // made at the first start, mode 0600; "": no REST API
  size_t thread_count = 16;
  uint32_t failures_max = 20;  // of a source in a minute
};

class HttpsServer {
 public:
  // Listens when this returns. `operations` outlives it. Errors: invalid_argument (an address,
  // certificate or key), conflict (the port is taken), io.
  static Result<std::unique_ptr<HttpsServer>> start(Operations& operations,
                                                    const HttpsOptions& options);
  ~HttpsServer();
  HttpsServer(const HttpsServer&) = delete;
  HttpsServer& operator=(const HttpsServer&) = delete;

  std::vector<int> ports() const;  // as listened on

 private:
  struct Impl;
  explicit HttpsServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace merlon::api
