// SPDX-License-Identifier: Apache-2.0
// Gathers what a parser reads: the set, the counts, the first examples of what was refused. Each
// line ends in exactly one of take_line, ignore_line, reject_line.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "controlplane/feeds/declaration.h"
#include "controlplane/feeds/parse.h"
#include "controlplane/feeds/value.h"

namespace merlon::feeds {

class Collector {
 public:
  Collector(const Declaration& declaration, std::string_view content);

  void add(const Value& value);
  // An entry that ends then; 0: it does not.
  void add(const Value& value, int64_t ends);
  void take_line() { ++feed_.entry_line_count; }
  void ignore_line() { ++feed_.ignored_count; }
  void reject_line(uint64_t number, std::string_view text, RejectReason reason);
  void reject_too_long(uint64_t number, std::string_view text) {
    reject_line(number, text, RejectReason::line_too_long);
  }
  // The usual case: one value a line.
  void add_line(uint64_t number, std::string_view text, const Read<Value>& value) {
    if (value) {
      add(*value);
      take_line();
    } else {
      reject_line(number, text, value.error());
    }
  }
  void note(std::string_view text);  // kept printable, at most ten
  void declare_records(uint64_t count);
  void count_record() { ++feed_.record_count; }

  Result<ParsedFeed> finish(uint64_t line_count);

 private:
  void add_cut(const address::AnyRange& range);
  bool has_room(uint64_t count);

  ParsedFeed feed_;
  std::array<uint64_t, kRejectReasonCount> rejected_{};
  size_t lines_expected_ = 0;
  uint64_t host_bits_count_ = 0;
  uint64_t port_count_ = 0;
  bool overflowed_ = false;
};

// One per format, or group of formats, in parse*.cc. Each returns the number of lines, or of
// indicators in a document.
uint64_t parse_values(std::string_view text, const Declaration& declaration, Collector& collector);
uint64_t parse_hosts(std::string_view text, Collector& collector);
uint64_t parse_dshield(std::string_view text, Collector& collector);
uint64_t parse_spamhaus_drop(std::string_view text, Collector& collector);
uint64_t parse_spamhaus_drop_json(std::string_view text, Collector& collector);
uint64_t parse_rules(std::string_view text, const Declaration& declaration, Collector& collector);
uint64_t parse_rpz(std::string_view text, const Declaration& declaration, Collector& collector);
Result<uint64_t> parse_csv(std::string_view text, const Declaration& declaration,
                           Collector& collector);
Result<uint64_t> parse_json(std::string_view text, const Declaration& declaration,
                            Collector& collector);
Result<uint64_t> parse_stix2(std::string_view text, const Declaration& declaration,
                             Collector& collector);
Result<uint64_t> parse_stix1_json(std::string_view text, const Declaration& declaration,
                                  Collector& collector);
Result<uint64_t> parse_misp(std::string_view text, const Declaration& declaration,
                            Collector& collector);
Result<uint64_t> parse_xml(std::string_view text, const Declaration& declaration,
                           Collector& collector);
uint64_t parse_prose(std::string_view text, const Declaration& declaration, Collector& collector);

bool is_sinkhole_address(std::string_view token);  // what the first column of a hosts line may be
bool is_local_name(std::string_view name);         // localhost and its kin
Read<Value> read_dshield_line(std::string_view line);
bool is_dshield_header(std::string_view line);

}  // namespace merlon::feeds
