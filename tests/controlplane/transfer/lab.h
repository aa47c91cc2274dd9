// SPDX-License-Identifier: Apache-2.0
// A transfer service over zones from text, and clients of it: who signs as RFC 8945 says with code
// of its own, and who puts the records of an answer together again.
#pragma once

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "controlplane/transfer/service.h"
#include "tests/controlplane/dns/special_queries.h"
#include "tests/support/text_zone.h"

namespace merlon::tests {

inline constexpr std::string_view kSecret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0IQ==";
inline constexpr std::string_view kOtherSecret = "b3RoZXItc2VjcmV0LW90aGVyLXNlY3JldC1vdGhlcg==";
inline constexpr int64_t kNow = 1'800'000'000;

// A device of make_text_snapshot()'s access table: 10/8 is account 1, 192.0.2/24 account 7.
inline store::Device make_device(std::string name, uint32_t account, uint32_t number,
                                 std::string_view secret = "") {
  store::Device device;
  device.name = std::move(name);
  device.account = "a" + std::to_string(account);
  device.account_number = account;
  device.number = number;
  if (!secret.empty()) {
    device.tsig_algorithm = "hmac-sha256";
    device.tsig_secret = secret;
  }
  return device;
}

// Signs as a client does, and remembers what is needed to check the replies. OpenSSL's one-shot
// HMAC, so that what is tested does not vouch for itself.
class TsigClient {
 public:
  TsigClient(std::string_view key, std::string_view secret,
             std::string_view algorithm = "hmac-sha256.");
  SpecialMessage sign(SpecialMessage message, int64_t time = kNow, uint16_t fudge = 300,
                      size_t mac_size = SIZE_MAX);
  // The error of the reply's TSIG record (0: none); -1: no TSIG record, -2: its MAC is wrong. The
  // messages of one answer in order.
  int check(Bytes reply);
  // Of the last one checked.
  uint64_t time() const { return time_; }
  Bytes other() const { return other_; }
  size_t mac_size() const { return mac_size_; }

 private:
  std::vector<uint8_t> mac(Bytes message, Bytes tail) const;

  name::Name key_;
  std::vector<uint8_t> secret_;
  name::Name algorithm_;
  std::vector<uint8_t> last_;
  bool first_ = true;
  uint64_t time_ = 0;
  std::vector<uint8_t> other_;
  size_t mac_size_ = 0;
};

struct Taken {
  std::optional<dns::Response> response;
  std::vector<std::vector<uint8_t>> messages;  // of the response, whichever way it came
  std::vector<std::string> records() const;    // of their answer sections, as text
  uint16_t rcode() const { return load_be16(messages.at(0).data() + 2) & 15; }
};

// One request from a source.
struct Ask {
  std::string_view source = "10.0.0.1";
  answer::Transport transport = answer::Transport::tcp;
  dns::Tls tls = dns::Tls::none;
};
Taken take(transfer::Service& service, const TextSnapshot& zones, const SpecialMessage& message,
           const Ask& ask = {});

// The zone's records in any order, the SOA twice: what AXFR brings.
std::multiset<std::string> zone_as_text(const std::vector<ZoneRecord>& zone);

}  // namespace merlon::tests
