// SPDX-License-Identifier: Apache-2.0
// Samples as dnstap messages: protocol buffers by the schema dnstap.proto, which for the few fields
// that an authoritative server has is varints and length-delimited bytes, written by hand.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/dnstap/sampler.h"

namespace merlon::dnstap {

inline constexpr std::string_view kContentType = "protobuf:dnstap.Dnstap";

struct Origin {
  std::string identity;
  std::string version;
};

enum class Kind : uint8_t { auth_query = 1, auth_response = 2 };

// Appends the message as a data frame of Frame Streams: its length (32 bits, big-endian), then it.
void append_frame(const Sample& sample, Kind kind, const Origin& origin, std::vector<uint8_t>& out);

}  // namespace merlon::dnstap
