// SPDX-License-Identifier: Apache-2.0
// Signatures kept from one compile to the next, so that only what changed is signed, and unchanged
// input gives unchanged bytes. A cache: what is missing or damaged is signed anew, and no trouble
// with it stops a publish.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "controlplane/dnssec/digest.h"
#include "zones/base/bytes.h"

namespace merlon::dnssec {

struct CachedSignature {
  Sha256 key{};
  std::vector<uint8_t> rrsig;
};

// Thread-safe.
class SignatureCache {
 public:
  virtual ~SignatureCache() = default;

  // One for each key; empty: not there.
  virtual std::vector<std::vector<uint8_t>> get(std::span<const Sha256> keys) = 0;
  virtual void put(std::span<const CachedSignature> signatures) = 0;
  // Drops what has expired.
  virtual void forget_expired(int64_t now) = 0;
  // What went wrong last, "" when nothing did: for the log and the status.
  virtual std::string trouble() const = 0;
};

// Lives with the process.
std::unique_ptr<SignatureCache> memory_cache();

// A RocksDB database of its own, made when missing. One that is damaged is removed and made anew;
// when that fails, or another process has it open, the result lives with the process and says so in
// trouble().
std::unique_ptr<SignatureCache> open_cache(const std::string& path);

}  // namespace merlon::dnssec
