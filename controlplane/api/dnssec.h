// SPDX-License-Identifier: Apache-2.0
// What the REST API says of signed zones and their keys. Plain values: the API knows nothing of
// how zones are signed. Times are Unix seconds, 0: not yet, or never.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace merlon::api {

struct DnssecKey {
  uint16_t tag = 0;
  std::string role{};       // "ksk", "zsk" or "csk"
  std::string algorithm{};  // "ecdsa-p256" or "ed25519"
  // "waiting" (made, not shown), "published" (shown, does not sign), "active" (signs), "retired"
  // (shown, no longer signs), "removed"
  std::string state{};
  bool is_trust_anchor = false;  // DS records and trust anchors are to name it
  int64_t created = 0;
  int64_t published = 0;
  int64_t active = 0;
  int64_t retired = 0;
  int64_t removed = 0;
};

struct DnssecZone {
  std::string apex{};
  bool is_signed = false;  // by the settings as they are now; keys stay when it is not
  std::vector<DnssecKey> keys{};
  std::string rollover = "none";  // "none", "zsk", "ksk" or "algorithm"
  std::string step = "none";
  int64_t step_since = 0;                    // when the step came into service
  bool awaits_ds = false;                    // a person has to say that the new DS is seen
  int64_t next_step_at = 0;                  // 0: not by itself
  std::vector<std::string> trust_anchors{};  // DNSKEY lines
  std::vector<std::string> ds{};             // DS lines for the parent
};

// All zones that have keys, and what signing has done since the start.
struct Dnssec {
  bool enabled = false;  // some zone is to be signed
  std::vector<DnssecZone> zones{};
  uint64_t signatures_made = 0;
  uint64_t signatures_reused = 0;
  std::string trouble{};  // of the signature cache; "" when there is none
};

struct RolloverRequest {
  std::string kind;         // "ksk", "zsk" or "algorithm"
  std::string algorithm{};  // with "algorithm": the one that is configured for new keys
};

}  // namespace merlon::api
