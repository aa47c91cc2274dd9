// SPDX-License-Identifier: Apache-2.0
// The lists of networks with a layout of their own: DShield's block list and Spamhaus DROP as text
// and as JSON lines. What they say about themselves (update time, expiry, number of records)
// becomes notes; there is no clock here, so an expiry is reported, not judged.
#include <nlohmann/json.hpp>

#include "controlplane/feeds/collector.h"
#include "controlplane/feeds/lines.h"

namespace merlon::feeds {
namespace {

using nlohmann::json;

std::string_view take_column(std::string_view& line) {
  const size_t tab = line.find('\t');
  const std::string_view column = trim(line.substr(0, tab));
  line = tab == std::string_view::npos ? std::string_view{} : line.substr(tab + 1);
  return column;
}

// Keeps "; Expires: Mon, 14 Sep 2015 10:13:00 GMT" and "#  updated: ..", drops the prose.
void note_comment(std::string_view comment, Collector& collector) {
  while (!comment.empty() && (comment[0] == '#' || comment[0] == ';' || is_blank(comment[0]))) {
    comment.remove_prefix(1);
  }
  for (const std::string_view key : {"Expires:", "Last-Modified:", "updated:"}) {
    if (comment.starts_with(key)) {
      collector.note(comment);
    }
  }
}

void read_metadata(const json& object, Collector& collector) {
  std::string text = "metadata:";
  for (const char* key : {"timestamp", "size", "records", "copyright", "terms"}) {
    const auto found = object.find(key);
    if (found == object.end()) {
      continue;
    }
    if (found->is_string()) {
      text += fmt::format(" {} {};", key, found->get_ref<const std::string&>());
    } else if (found->is_number_unsigned()) {
      text += fmt::format(" {} {};", key, found->get<uint64_t>());
    }
  }
  if (text.back() == ';') {
    text.pop_back();
  }
  collector.note(text);
  const auto records = object.find("records");
  if (records != object.end() && records->is_number_unsigned()) {
    collector.declare_records(records->get<uint64_t>());
  }
}

void read_row(uint64_t number, std::string_view line, Collector& collector) {
  // Not throwing: a malformed text gives a discarded value.
  const json object = json::parse(line.begin(), line.end(), nullptr, false);
  if (!object.is_object()) {
    collector.count_record();
    collector.reject_line(number, line, RejectReason::bad_json);
    return;
  }
  const auto type = object.find("type");
  if (type != object.end() && type->is_string() &&
      type->get_ref<const std::string&>() == "metadata") {
    read_metadata(object, collector);
    collector.ignore_line();
    return;
  }
  collector.count_record();
  const auto cidr = object.find("cidr");
  if (cidr == object.end() || !cidr->is_string()) {
    collector.reject_line(number, line, RejectReason::no_cidr);
    return;
  }
  collector.add_line(number, line, read_network(cidr->get_ref<const std::string&>()));
}

}  // namespace

bool is_dshield_header(std::string_view line) {
  return take_column(line) == "Start";
}

Read<Value> read_dshield_line(std::string_view line) {
  const std::string_view start_text = take_column(line);
  const std::string_view end_text = take_column(line);
  const std::string_view length_text = take_column(line);
  if (end_text.empty() || length_text.empty()) {
    return std::unexpected(RejectReason::bad_columns);
  }
  const auto start = address::parse_v4(start_text);
  const auto end = address::parse_v4(end_text);
  if (!start || !end) {
    return std::unexpected(from_fault(!start ? start.error() : end.error()));
  }
  if (length_text.size() > 2 ||
      length_text.find_first_not_of("0123456789") != std::string_view::npos) {
    return std::unexpected(RejectReason::bad_columns);
  }
  int length = 0;
  for (const char c : length_text) {
    length = length * 10 + (c - '0');
  }
  if (length > 32) {
    return std::unexpected(RejectReason::bad_prefix_length);
  }
  const address::Bits4 mask = address::host_mask<address::Bits4>(length);
  if ((*start & mask) != 0 || *end != (*start | mask)) {
    return std::unexpected(RejectReason::mask_mismatch);
  }
  return read_network(fmt::format("{}/{}", start_text, length));
}

uint64_t parse_dshield(std::string_view text, Collector& collector) {
  LineReader lines(text);
  std::string_view line;
  while (lines.next(line)) {
    if (line.empty() || begins_comment(line)) {
      note_comment(line, collector);
      collector.ignore_line();
    } else if (line.size() > kLineSizeMax) {
      collector.reject_line(lines.count(), line, RejectReason::line_too_long);
    } else if (is_dshield_header(line)) {
      collector.ignore_line();
    } else {
      collector.add_line(lines.count(), line, read_dshield_line(line));
    }
  }
  return lines.count();
}

uint64_t parse_spamhaus_drop(std::string_view text, Collector& collector) {
  LineReader lines(text);
  std::string_view line;
  while (lines.next(line)) {
    if (line.empty() || begins_comment(line)) {
      note_comment(line, collector);
      collector.ignore_line();
    } else if (line.size() > kLineSizeMax) {
      collector.reject_line(lines.count(), line, RejectReason::line_too_long);
    } else {
      collector.add_line(lines.count(), line, read_network(trim(line.substr(0, line.find(';')))));
    }
  }
  return lines.count();
}

uint64_t parse_spamhaus_drop_json(std::string_view text, Collector& collector) {
  LineReader lines(text);
  std::string_view line;
  while (lines.next(line)) {
    if (line.empty()) {
      collector.ignore_line();
    } else if (line.size() > kLineSizeMax) {
      collector.count_record();
      collector.reject_line(lines.count(), line, RejectReason::line_too_long);
    } else {
      read_row(lines.count(), line, collector);
    }
  }
  return lines.count();
}

}  // namespace merlon::feeds
