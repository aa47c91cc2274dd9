// SPDX-License-Identifier: Apache-2.0
// The journal of differences: for each zone the changes of the last hours in a row, so that a
// secondary that has serial X gets what changed since and not the whole zone.
//
// One directory of files <number>.journal, each a run of entries as they came; entries of all zones
// together, so that a publish of ten thousand zones is one write and one fsync. Which entry is
// where is kept in memory and found again at the start. A zone's entries form one chain: an entry
// that does not continue the chain (after a roll back, or when one could not be written) begins a
// new one, and the old is forgotten. Bounded by age, by the size of the zone itself (more is not
// worth sending) and by the size of all files, oldest first; a file that nothing needs is removed.
// A clock that jumps ahead costs differences, no more: secondaries then get whole zones.
//
// After a crash the last entries may be torn: they are cut off with a note. The journal may then
// end before the serial that is published, so who reads says which serial the chain must end at; a
// chain that does not is no chain, and the secondary gets the whole zone.
//
//   entry, little-endian: magic u32, payload size u32, serial from u32, serial to u32,
//   time u64 (Unix seconds), zone size u64, XXH3-64 of the payload u64, apex size u8, reserved[7],
//   XXH3-64 of all before and the apex u64; then apex, payload
//
// Safe from any thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "zones/base/bytes.h"
#include "zones/base/error.h"
#include "zones/name/name.h"

namespace merlon::compile {

struct JournalSettings {
  std::string directory{};
  int64_t age_max_s = 48 * 3600;
  uint64_t size_max = uint64_t{1} << 30;        // of all files
  uint64_t file_size_max = uint64_t{64} << 20;  // then a new one is begun
};

// A difference of a zone, in any encoding.
struct JournalEntry {
  name::Name apex{};
  uint32_t serial_from = 0;
  uint32_t serial_to = 0;
  uint64_t zone_size = 0;  // bytes of a whole transfer: the most that its entries may take
  Bytes payload{};
};

struct JournalSize {
  uint64_t files = 0;
  uint64_t bytes = 0;  // of the files
  uint64_t zones = 0;
  uint64_t entries = 0;
};

class Journal {
 public:
  // Makes the directory when it is missing, reads what is there, cuts off what is torn. Errors: io.
  static Result<std::unique_ptr<Journal>> open(const JournalSettings& settings, int64_t now_s);

  // Writes the entries durably, in this order, and drops what is too old or too much. An entry
  // larger than its zone is not kept and ends the zone's chain. Errors: io; then none is kept.
  Status append(std::span<const JournalEntry> entries, int64_t now_s);

  // The payloads that lead from one serial to the other, none when they are equal. Errors:
  // not_found (no such chain: send the zone), corruption, io.
  Result<std::vector<std::vector<uint8_t>>> chain(const name::Name& apex, uint32_t serial_from,
                                                  uint32_t serial_to) const;

  // The serial that the zone's differences lead to; nullopt: there are none.
  std::optional<uint32_t> newest(const name::Name& apex) const;

  JournalSize size() const;
  // What open() had to leave out, for the log.
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  class File;
  struct Place {
    std::shared_ptr<File> file;
    uint64_t offset = 0;  // of the payload
    uint32_t size = 0;
    uint32_t serial_from = 0;
    uint32_t serial_to = 0;
    uint64_t checksum = 0;
    int64_t time_s = 0;
  };
  struct Chain {
    std::deque<Place> places;
    uint64_t bytes = 0;
  };

  explicit Journal(const JournalSettings& settings) : settings_(settings) {}
  Status read_files();
  Status read_file(const std::string& path, uint64_t number);
  Status begin_file();
  void admit(const std::string& zone, Place place, uint64_t zone_size);
  void drop_first(Chain& chain);
  void drop_all(Chain& chain);
  void drop_old(int64_t now_s);
  void drop_files();

  JournalSettings settings_;
  std::vector<std::string> notes_;
  mutable std::mutex mutex_;
  std::map<std::string, Chain> chains_;              // by folded apex, wire form
  std::map<uint64_t, std::shared_ptr<File>> files_;  // by number
  std::shared_ptr<File> current_;                    // the one that is written; may be none
  uint64_t next_number_ = 1;
};

}  // namespace merlon::compile
