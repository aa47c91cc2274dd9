// SPDX-License-Identifier: Apache-2.0
// The guard: content is applied only when it looks like what a working feed sends. What is refused
// here leaves the last good copy in force, so the reasons err on the side of asking a person.
#include <string>

#include "controlplane/feeds/declaration.h"
#include "controlplane/feeds/decode.h"
#include "controlplane/feeds/guess.h"
#include "controlplane/feeds/parse.h"
#include "controlplane/feeds/prose.h"

namespace merlon::feeds {
namespace {

std::string first_example(const ParsedFeed& feed) {
  if (feed.rejected_examples.empty()) {
    return "";
  }
  const store::RejectedLine& example = feed.rejected_examples.front();
  return fmt::format("; first: line {} \"{}\" ({})", example.line, example.text, example.reason);
}

Result<Declaration> choose(std::string_view text, std::string_view format) {
  if (format == "auto") {
    Result<Declaration> guessed = guess(text);
    if (guessed && needs_definition(*guessed)) {
      return fail(ErrorCode::unsupported,
                  "the content is {}, of which a feed's definition must say that it may be listed; "
                  "if it may, set the format \"{}\"",
                  guessed->format == Format::misp    ? "MISP events not marked for detection"
                  : guessed->format != Format::prose ? "a list of URLs"
                  : is_html(text)                    ? "an HTML page"
                                                     : "a text with indicators in it",
                  to_text(*guessed));
    }
    return guessed;
  }
  Result<Declaration> named = parse_declaration(format);
  if (!named) {
    return named;
  }
  const Status hopeless = refuse_hopeless(text);
  if (!hopeless) {
    return std::unexpected(hopeless.error());
  }
  if (is_html(text) && (named->format != Format::prose || is_error_page(text))) {
    return fail(ErrorCode::unsupported,
                "the content is an HTML page, not a feed; it may be an error, login or "
                "block page: open the URL in a browser");
  }
  return named;
}

// Refused entries that are what they should be, only not for a list: URLs, hashes, exceptions.
uint64_t count_foreign(const ParsedFeed& feed) {
  uint64_t count = 0;
  for (const auto& [reason, number] : feed.rejected_by_reason) {
    const auto known = reject_reason_from_name(reason);
    count += known && is_foreign(*known) ? number : 0;
  }
  return count;
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

Status check_readable(const ParsedFeed& feed, Belief belief) {
  if (feed.entry_count == 0) {
    return fail(ErrorCode::invalid_argument,
                "no readable entry in {} lines read as {}: {} blank or comment, {} rejected{}",
                feed.line_count, to_string(feed.format), feed.ignored_count, feed.rejected_count,
                first_example(feed));
  }
  if (belief == Belief::accepted) {
    return {};
  }
  const uint64_t refused = feed.rejected_count - count_foreign(feed);
  const uint64_t significant = feed.entry_line_count + refused;
  if (refused > significant / 2) {
    return fail(ErrorCode::invalid_argument, "mostly unreadable as {}: {} of {} lines rejected{}",
                to_string(feed.format), refused, significant, first_example(feed));
  }
  return {};
}

}  // namespace

Result<ParsedFeed> parse_feed(Bytes content, std::string_view format, uint64_t size_max_bytes,
                              Belief belief) {
  const Result<Decoded> decoded = decode(content, {.size_max_bytes = size_max_bytes});
  if (!decoded) {
    return std::unexpected(decoded.error());
  }
  const Result<Declaration> chosen = choose(decoded->text(), format);
  if (!chosen) {
    return std::unexpected(chosen.error());
  }
  Result<ParsedFeed> feed = parse(as_bytes(decoded->text()), *chosen);
  if (!feed) {
    return feed;
  }
  const Status complete = belief == Belief::accepted ? Status{} : check_complete(*feed);
  for (const Status& check : {check_readable(*feed, belief), complete}) {
    if (!check) {
      return std::unexpected(check.error());
    }
  }
  feed->notes.insert(feed->notes.end(), decoded->notes.begin(), decoded->notes.end());
  if (feed->format == Format::spamhaus_drop_json && !feed->records_declared) {
    feed->notes.push_back("no metadata record, so completeness could not be checked");
  }
  return feed;
}

}  // namespace merlon::feeds
