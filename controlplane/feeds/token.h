// SPDX-License-Identifier: Apache-2.0
// One token as the declaration of its feed wants it read: read_value (value.h), and what the
// declaration allows beyond it: hosts of URLs, defanged forms, zero-padded octets. A name of
// IDNA 2008 becomes its A-labels.
#pragma once

#include <string>
#include <string_view>

#include "controlplane/feeds/declaration.h"
#include "controlplane/feeds/value.h"

namespace merlon::feeds {

class TokenReader {
 public:
  explicit TokenReader(const Declaration& declaration) : declaration_(declaration) {}

  // A name in the result points into `token` or into this reader, until the next call.
  Read<Value> read(std::string_view token);
  // What read_value refused for this reason: perhaps the declaration allows it.
  Read<Value> rescue(std::string_view token, RejectReason reason);
  // Refuses what is not of the declared type.
  Read<Value> typed(Read<Value> value) const;

 private:
  Read<Value> read_url(std::string_view token);
  Read<Value> read_unpadded(std::string_view token);
  Read<Value> read_idna(std::string_view token);

  const Declaration& declaration_;
  std::string plain_;
  std::string ascii_;
};

// hxxp:// -> http://, [.] (.) {.} [dot] (dot) -> ., [:] -> :, [://] -> ://, [@] -> @. False when
// there was nothing of the kind, and then `out` is not changed.
bool refang(std::string_view token, std::string& out);
// The part of a URL that names its host, with a port if there is one; the scheme may be missing.
std::string_view host_of_url(std::string_view url);

}  // namespace merlon::feeds
