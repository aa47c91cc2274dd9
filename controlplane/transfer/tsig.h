// SPDX-License-Identifier: Apache-2.0
// Signed messages (RFC 8945) with HMAC-SHA-256 and HMAC-SHA-512, by OpenSSL. Requests are verified,
// replies of one or many messages are signed: the first over the request's MAC, each further one
// over the MAC before it, with the timers alone (section 5.3.1). A MAC is taken whole or not at
// all: a shorter one that is right as far as it goes is BADTRUNC.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "controlplane/transfer/message.h"
#include "zones/base/bytes.h"
#include "zones/name/name.h"

namespace merlon::transfer {

enum class Algorithm : uint8_t { hmac_sha256, hmac_sha512 };

std::optional<Algorithm> algorithm_of(std::string_view text);  // "hmac-sha256"
const name::Name& name_of(Algorithm algorithm);
size_t mac_size_of(Algorithm algorithm);

struct Key {
  name::Name name;  // folded
  Algorithm algorithm = Algorithm::hmac_sha256;
  std::vector<uint8_t> secret;
  uint32_t account = 0;  // numbers
  uint32_t device = 0;
};
using KeyPointer = std::shared_ptr<const Key>;

// The code is what a TSIG record carries (RFC 8945 section 3).
enum class Fault : uint16_t {
  none = 0,
  malformed = 1,  // FORMERR, without TSIG
  bad_sig = 16,
  bad_key = 17,
  bad_time = 18,
  bad_trunc = 22,
};
std::string_view to_string(Fault fault);  // "BADSIG"

// More than this a clock may not be off, whatever the sender says.
inline constexpr uint16_t kFudgeMax = 900;
inline constexpr uint16_t kFudge = 300;  // of what we sign

// Of a message that is signed with this key, which has the right name. In the order of section
// 5.2: key (its algorithm), MAC, time, length of the MAC.
Fault verify_request(Bytes message, const TsigRecord& tsig, const Key& key, int64_t now);

// Signs messages one after the other. Not thread-safe.
class Signer {
 public:
  // For a reply. REQUIRES: `request` is of this key, and its MAC was found good (or too short).
  Signer(KeyPointer key, const TsigRecord& request);
  // For a request.
  explicit Signer(KeyPointer key);

  // What sign() appends.
  size_t size() const;
  // The message is what `bytes` holds from `start` on.
  void sign(std::vector<uint8_t>& bytes, size_t start, int64_t now);
  // For BADTIME and BADTRUNC: signed all the same. BADTIME carries our time, and the time of the
  // request as its own, so that the client can verify it (section 5.2.3).
  void sign_fault(std::vector<uint8_t>& bytes, Fault fault, int64_t now);
  const Key& key() const { return *key_; }

 private:
  struct Variables {
    uint64_t time = 0;
    uint16_t fudge = kFudge;
    Fault fault = Fault::none;
    Bytes other{};
  };
  void append(std::vector<uint8_t>& bytes, size_t start, const Variables& variables);

  KeyPointer key_;
  std::vector<uint8_t> mac_;  // the one before
  uint64_t request_time_ = 0;
  uint16_t request_fudge_ = kFudge;
  bool first_ = true;
};

// For BADSIG: says why, with no MAC (section 5.3.2).
void append_unsigned_fault(std::vector<uint8_t>& message, const TsigRecord& request, Fault fault);

// The MACs of the last transfer requests per key, so that a request that was recorded on its way is
// not answered twice. One that is older than the fudge allows is turned away for its time, so
// nothing is remembered longer. Thread-safe, bounded.
class ReplayWindow {
 public:
  // False: this very MAC was here before.
  bool admit(const Key& key, const TsigRecord& tsig, int64_t now);

 private:
  static constexpr size_t kPerKeyMax = 4096;
  struct Seen {
    std::unordered_set<uint64_t> macs;
    std::deque<std::pair<int64_t, uint64_t>> by_end;  // Unix seconds until it counts, MAC
  };
  std::mutex mutex_;
  std::map<name::Name, Seen> keys_;
  int64_t swept_ = 0;
};

}  // namespace merlon::transfer
