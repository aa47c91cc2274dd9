// SPDX-License-Identifier: Apache-2.0
// What a server says of itself when it is asked: NSID (RFC 5001), and in class CHAOS id.server and
// version.server with their older names hostname.bind and version.bind (RFC 4892). Rendered once at
// start, so that such an answer is a body like any other.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "zones/answer/query.h"
#include "zones/base/bytes.h"
#include "zones/snapshot/bodies.h"

namespace merlon::answer {

class Identity {
 public:
  static constexpr size_t kTextSizeMax = 64;

  Identity() = default;  // says nothing
  // An empty text is not told. REQUIRES: sizes of at most kTextSizeMax.
  Identity(std::string_view identity, std::string_view version);

  // The NSID option's data; empty: none is sent.
  Bytes nsid() const { return {name_.bytes.data() + kTextAt, name_.text_size}; }
  // The body that answers this question of class CHAOS; size 0: there is none.
  snapshot::Body chaos(const Query& query) const;

 private:
  static constexpr size_t kTextAt = 13;  // behind owner, type, class, TTL, two sizes

  // A TXT record with the owner 0xC00C.
  struct Record {
    std::array<uint8_t, kTextAt + kTextSizeMax> bytes{};
    uint8_t text_size = 0;
    uint16_t checksum = 0;
  };
  static Record make_record(std::string_view text);

  Record name_;
  Record version_;
};

}  // namespace merlon::answer
