// SPDX-License-Identifier: Apache-2.0
// Random zones of every shape that changes an answer, and the questions that show it.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "controlplane/zonefile/zone_data.h"
#include "zones/name/name.h"

namespace merlon::differential {

using Random = std::mt19937_64;

struct GeneratedZone {
  std::string apex;
  std::string text;  // of its file
};
// A zone of this apex, by chance with zones below it: most where it delegates to, some
// where it does not. Every seed gives zones that both servers take.
std::vector<GeneratedZone> generate_family(const std::string& apex, Random& random);

struct Question {
  name::Name name;
  uint16_t type = 0;
  bool dnssec_ok = false;
};

// `count` questions about a zone: its names, what is below, between and above them, in any case.
std::vector<Question> generate_questions(const zonefile::ZoneData& zone, size_t count,
                                         Random& random);

}  // namespace merlon::differential
