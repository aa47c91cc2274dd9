// SPDX-License-Identifier: Apache-2.0
// The guard: content is applied only when it looks like what a working feed sends. What is refused
// here leaves the last good copy in force, so the reasons err on the side of asking a person.
#include <string>

#include "controlplane/feeds/detect.h"
#include "controlplane/feeds/parse.h"

namespace merlon::feeds {
namespace {

std::string first_example(const ParsedFeed& feed) {
  if (feed.rejected_examples.empty()) {
    return "";
  }
  const store::RejectedLine& example = feed.rejected_examples.front();
  return fmt::format("; first: line {} \"{}\" ({})", example.line, example.text, example.reason);
}

std::string names_of_formats() {
  std::string names = "auto";
  for (const Format format : all_formats()) {
    names += fmt::format(", {}", to_string(format));
  }
  return names;
}

Result<Format> choose_format(Bytes content, std::string_view format) {
  if (format == "auto") {
    return detect(content);
  }
  const auto named = format_from_name(format);
  if (!named) {
    return fail(ErrorCode::invalid_argument, "unknown feed format \"{}\"; known: {}",
                printable(format, 40), names_of_formats());
  }
  const Status hopeless = refuse_hopeless(as_text(content));
  if (!hopeless) {
    return std::unexpected(hopeless.error());
  }
  return *named;
}

// A download that was cut at a line end still parses; only the publisher's own count tells.
Status check_complete(const ParsedFeed& feed) {
  if (feed.format != Format::spamhaus_drop_json) {
    return {};
  }
  if (feed.records_declared && *feed.records_declared != feed.record_count) {
    return fail(ErrorCode::invalid_argument,
                "truncated or altered: the metadata declares {} records, {} are there",
                *feed.records_declared, feed.record_count);
  }
  if (!feed.records_declared && feed.rejected_count > 0 && !feed.rejected_examples.empty() &&
      feed.rejected_examples.back().line == feed.line_count) {
    return fail(ErrorCode::invalid_argument,
                "truncated: there is no metadata record and the last line, {}, is broken",
                feed.line_count);
  }
  return {};
}

Status check_readable(const ParsedFeed& feed) {
  if (feed.entry_count == 0) {
    return fail(ErrorCode::invalid_argument,
                "no readable entry in {} lines read as {}: {} blank or comment, {} rejected{}",
                feed.line_count, to_string(feed.format), feed.ignored_count, feed.rejected_count,
                first_example(feed));
  }
  const uint64_t significant = feed.entry_line_count + feed.rejected_count;
  if (feed.rejected_count > significant / 2) {
    return fail(ErrorCode::invalid_argument, "mostly unreadable as {}: {} of {} lines rejected{}",
                to_string(feed.format), feed.rejected_count, significant, first_example(feed));
  }
  return {};
}

}  // namespace

Result<ParsedFeed> parse_feed(Bytes content, std::string_view format) {
  const Result<Format> chosen = choose_format(content, format);
  if (!chosen) {
    return std::unexpected(chosen.error());
  }
  Result<ParsedFeed> feed = parse(content, *chosen);
  if (!feed) {
    return feed;
  }
  for (const Status& check : {check_readable(*feed), check_complete(*feed)}) {
    if (!check) {
      return std::unexpected(check.error());
    }
  }
  if (feed->format == Format::spamhaus_drop_json && !feed->records_declared) {
    feed->notes.push_back("no metadata record, so completeness could not be checked");
  }
  return feed;
}

}  // namespace merlon::feeds
