// SPDX-License-Identifier: Apache-2.0
// JSON documents and JSON lines with the values at declared places.
#include "controlplane/feeds/collector.h"
#include "controlplane/feeds/json_path.h"
#include "controlplane/feeds/lines.h"
#include "controlplane/feeds/token.h"

namespace merlon::feeds {
namespace {

constexpr size_t kJsonLineSizeMax = 16 << 20;

Read<Value> read_leaf(std::string_view value, JsonLeaf leaf, TokenReader& reader) {
  if (leaf != JsonLeaf::text) {
    return std::unexpected(RejectReason::not_text);
  }
  const std::string_view token = trim(value);
  if (token.empty()) {
    return std::unexpected(RejectReason::no_value);
  }
  return reader.read(token);
}

Result<uint64_t> parse_document(std::string_view text, const std::vector<JsonPath>& paths,
                                TokenReader& reader, Collector& collector) {
  uint64_t number = 0;
  const Status walked = match_json(text, paths, [&](std::string_view value, JsonLeaf leaf) {
    collector.add_line(++number, leaf == JsonLeaf::text ? value : "(no text)",
                       read_leaf(value, leaf, reader));
  });
  return walked ? Result<uint64_t>(number) : std::unexpected(walked.error());
}

void parse_row(uint64_t number, std::string_view line, const std::vector<JsonPath>& paths,
               TokenReader& reader, Collector& collector) {
  std::optional<RejectReason> reason;
  bool added = false;
  std::vector<std::string> values;  // of a line that breaks off nothing is taken
  const Status walked = match_json(line, paths, [&](std::string_view value, JsonLeaf leaf) {
    if (leaf == JsonLeaf::text) {
      values.emplace_back(value);
    } else {
      reason = RejectReason::not_text;
    }
  });
  if (!walked) {
    collector.reject_line(number, line, RejectReason::bad_json);
    return;
  }
  for (const std::string& text : values) {
    const Read<Value> value = read_leaf(text, JsonLeaf::text, reader);
    if (value) {
      collector.add(*value);
      added = true;
    } else if (!reason) {
      reason = value.error();
    }
  }
  if (!added && !reason) {
    reason = RejectReason::no_value;
  }
  reason ? collector.reject_line(number, line, *reason) : collector.take_line();
}

}  // namespace

Result<uint64_t> parse_json(std::string_view text, const Declaration& declaration,
                            Collector& collector) {
  std::vector<JsonPath> paths;
  for (const std::string& path : declaration.paths) {
    Result<JsonPath> parsed = parse_json_path(path);
    if (!parsed) {
      return std::unexpected(parsed.error());
    }
    paths.push_back(std::move(*parsed));
  }
  if (text.starts_with("\xef\xbb\xbf")) {
    text.remove_prefix(3);
  }
  TokenReader reader(declaration);
  if (declaration.format == Format::json) {
    return parse_document(text, paths, reader, collector);
  }
  LineReader lines(text);
  std::string_view line;
  while (lines.next(line)) {
    if (line.empty()) {
      collector.ignore_line();
    } else if (line.size() > kJsonLineSizeMax) {
      collector.reject_too_long(lines.count(), line);
    } else {
      parse_row(lines.count(), line, paths, reader, collector);
    }
  }
  return lines.count();
}

}  // namespace merlon::feeds
