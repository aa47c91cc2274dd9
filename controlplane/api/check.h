// SPDX-License-Identifier: Apache-2.0
// What check() is asked and says: who lists a value, since when, why, and what carried it. Plain
// values, for operations.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "controlplane/store/merge.h"
#include "controlplane/store/model.h"

namespace merlon::api {

inline constexpr size_t kCheckValuesMax = 10'000;

struct CheckOptions {
  int64_t at = 0;            // the time that is asked about; 0: now
  std::string account = {};  // what others than this account have stays out; "": of everybody
};

// What the feed of one observation is.
struct CheckSource {
  std::string category = {};
  uint8_t severity = 0;
  uint8_t confidence = 0;
  store::Direction direction = store::Direction::block;
  std::string provider = {};
  std::string reference = {};  // where people read about it: homepage, else URL
  bool counted_then = false;   // at the time that was asked about
  bool removed = false;        // there is no such feed any more: nothing above is known
  uint64_t line_number = 0;    // in the last good content; 0: not known
  std::string line = {};
  std::string line_note = {};  // why the line is not known
};

struct CheckReport {
  std::string value;                             // as understood: canonical address or domain
  std::string kind;                              // "address" or "domain"
  bool listed = false;                           // at the time that was asked about
  std::vector<store::Observation> observations;  // of it, and of what covers it
  std::vector<CheckSource> sources = {};         // one for each observation
  std::vector<std::string> lists;  // names that carry it then, as served or as replayed
  std::string protected_by;        // the never-block entry that keeps it out, or ""
  // Of an address, as the databases of places say; "" and 0: not known.
  std::string country = {};
  uint32_t asn = 0;
  std::string organisation = {};
  std::vector<std::string> allowed_by = {};  // feeds, and lists "account/list"
  store::Merged merged = {};                 // of the feeds that block it now
  int64_t at = 0;                            // 0: now
  uint64_t generation = 0;                   // served then; 0: not known
  int64_t generation_since = 0;
  std::string lists_from = {};            // "generation" (exact) or "history" (replayed)
  std::vector<std::string> unknown = {};  // sentences: what this answer cannot know
  std::string error = {};                 // of check_many: why this value was not looked up
};

struct BackupReport {
  std::string directory = {};
  uint32_t id = 0;
  int64_t created = 0;
  uint64_t size_bytes = 0;
  uint64_t schema_version = 0;
};

}  // namespace merlon::api
