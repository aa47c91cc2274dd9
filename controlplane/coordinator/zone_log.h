// SPDX-License-Identifier: Apache-2.0
// What the builder remembers over a restart: of each zone what was compiled last. An append-only
// file of records, each with its checksum; the last record of a key counts. It is a cache: written
// after a generation is in force and never synced, so a killed process or a damaged file loses some
// of it, and what is lost is compiled anew. Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "zones/base/error.h"

namespace merlon::coordinator {

class ZoneLog {
 public:
  using Record = std::pair<std::string, std::string>;  // key, content; "": the key is gone

  // "": nothing is kept.
  explicit ZoneLog(std::string path) : path_(std::move(path)) {}

  // What is there and whole, up to the first damage. Errors: io; a file that is not there or not a
  // log is empty.
  Result<std::map<std::string, std::string>> load();
  // Errors: io.
  Status append(const std::vector<Record>& records);
  // Whether much of the file is of the past: then rewrite() makes it small.
  bool is_due_for_rewrite() const {
    return file_size_ > kRewriteSizeMin && dead_size_ > live_size_;
  }
  Status rewrite(const std::map<std::string, std::string>& content);

 private:
  static constexpr uint64_t kRewriteSizeMin = 4 << 20;

  void count(const std::string& key, uint64_t size);

  std::string path_;
  std::map<std::string, uint64_t> size_of_;  // of the record that counts, by key
  uint64_t file_size_ = 0;
  uint64_t live_size_ = 0;
  uint64_t dead_size_ = 0;
};

}  // namespace merlon::coordinator
