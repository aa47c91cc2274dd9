// SPDX-License-Identifier: Apache-2.0
// The routes as handlers of an HTTP server, whatever socket it listens on. For the sources of this
// folder.
#pragma once

#include <httplib.h>

#include <cstddef>
#include <cstdint>
#include <functional>

#include "controlplane/api/routes.h"
#include "controlplane/api/server.h"

namespace merlon::api {

// Who looks at a request before anybody else does.
enum class Passage : uint8_t { answered, let_through };
using Gate = std::function<Passage(const httplib::Request&, httplib::Response&)>;

void set_limits(httplib::Server& http, size_t thread_count);
// `operations` outlives the server.
void set_handlers(httplib::Server& http, Operations& operations, Gate gate = {});
void fill(const Reply& reply, httplib::Response& response);

}  // namespace merlon::api
