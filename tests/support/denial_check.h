// SPDX-License-Identifier: Apache-2.0
// What a validator asks of an answer from a signed zone, besides what it holds: that its RRsets
// are signed, and that its NSEC (RFC 4035 section 5.4) or NSEC3 records (RFC 5155 section 8) prove
// what is not there. ldns verifies and hashes; the logic is a plain reading of the RFCs.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/support/text_zone.h"
#include "tests/support/zone_model.h"

namespace merlon::tests {

class Validator {
 public:
  // `keys`: DNSKEY records by zone.
  explicit Validator(std::map<name::Name, std::vector<ZoneRecord>> keys) : keys_(std::move(keys)) {}

  // "" or what is wrong with the reply to a question whose right answer is `right`.
  std::string fault(const ModelAnswer& right, uint16_t qtype, const ParsedMessage& reply);

 private:
  std::string signature_fault(const ModelAnswer& right, const std::vector<ZoneRecord>& section);

  std::map<name::Name, std::vector<ZoneRecord>> keys_;
  std::set<std::string> good_;  // RRsets with signatures that verified before
};

}  // namespace merlon::tests
