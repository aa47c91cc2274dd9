// SPDX-License-Identifier: Apache-2.0
// The REST API without HTTP: a call goes in, a reply comes out. The tables in routes.cc and
// account_routes.cc are the places that say which paths exist. A success is {"schema_version":1,
// "<what>": ..}; an error is
// {"schema_version":1, "error":{"code","message"}}, where the code is an ErrorCode's name or, for
// faults of the HTTP request itself, one of method_not_allowed, too_large, length_required and
// unsupported_media_type.
#pragma once

#include <string>
#include <string_view>

#include "controlplane/api/json.h"
#include "controlplane/api/operations.h"

namespace merlon::api {

struct Call {
  std::string_view method;  // "GET", "POST", ..; "HEAD" is answered like "GET"
  std::string_view target;  // as in the request line: percent-encoded path, ?, query
  std::string_view body;
  std::string_view content_type = {};
};

struct Reply {
  int http_status = 200;
  Json body;
  std::string allow;  // the Allow header of a 405
  // What is no JSON; then `body` is null.
  std::string text = {};
  std::string content_type = {};
};

// Thread-safe when `operations` is. Exceptions of third parties become an `internal` error.
Reply answer(Operations& operations, const Call& call);

// An error reply with a status of the caller's choice.
Reply error_reply(int http_status, std::string_view code, std::string_view message);

}  // namespace merlon::api
