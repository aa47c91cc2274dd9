// SPDX-License-Identifier: Apache-2.0
// From the bytes of a feed to the set of what it lists. Three layers, each usable alone:
//   detect      what format the content is in, from the content alone (never from a file name);
//   parse       reads one format, strictly: what is not certainly an address or a name is counted
//               and shown, never guessed (109.230.155.061 is not read as octal, /izuku.sh is no
//               name, 1.2.3 is no address);
//   parse_feed  both, and the guard: content that a working feed would not send (an error page, an
//               empty or truncated file, mostly unreadable lines) is an Error whose text is the
//               reason for quarantine.
//
// Every line is counted exactly once: line_count = entry_line_count + ignored_count +
// rejected_count. A hosts line with several names of which one is refused counts as rejected; its
// good names are taken all the same.
// Pure functions; safe to call from any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controlplane/feeds/reject.h"
#include "controlplane/store/model.h"
#include "zones/base/bytes.h"
#include "zones/base/error.h"

namespace merlon::feeds {

// plain: one value a line: an address, a prefix (a.b.c.d/n or a.b.c.d/m.m.m.m), a range
// (first-last),
//   address:port, [v6]:port, or a host name. Comments begin with # ; or // at the start of a line
//   or after a blank; further columns after a blank are not read.
// domains: the same, names only.
// hosts: 0.0.0.0 name [name ..]; also 127.0.0.1, :: and ::1. localhost and its kin are skipped.
// dshield: tab-separated start, end, prefix length, ..
// spamhaus_drop: prefix ; reference
// spamhaus_drop_json: {"cidr":"prefix",..} a line, a {"type":"metadata",..} object at the end.
#define MERLON_FEED_FORMATS(X)                                     \
  X(plain, "addresses, prefixes, ranges and names, one a line")    \
  X(domains, "host names, one a line")                             \
  X(hosts, "hosts file: 0.0.0.0 name [name ..]")                   \
  X(dshield, "DShield block list: tab-separated start, end, mask") \
  X(spamhaus_drop, "Spamhaus DROP text: prefix ; reference")       \
  X(spamhaus_drop_json, "Spamhaus DROP JSON lines")

enum class Format : uint8_t {
#define MERLON_X(name, text) name,
  MERLON_FEED_FORMATS(MERLON_X)
#undef MERLON_X
};

std::string_view to_string(Format format);
std::string_view describe(Format format);
std::optional<Format> format_from_name(std::string_view name);
const std::vector<Format>& all_formats();

inline constexpr size_t kLineSizeMax = 4096;
inline constexpr size_t kRejectedExamplesMax = 10;
inline constexpr size_t kExampleSizeMax = 120;
// A range is cut into up to 62 (IPv4) or 214 (IPv6) prefixes, so a small hostile feed could become
// a large set. More than this many prefixes in all is an error.
inline constexpr uint64_t kPrefixCountMax = uint64_t{1} << 24;
inline constexpr int kWidestV4 = 8;
inline constexpr int kWidestV6 = 19;

struct ParsedFeed {
  Format format = Format::plain;
  store::FeedSet set;             // normalised
  uint64_t line_count = 0;        // all lines; a last line without a line end counts
  uint64_t entry_line_count = 0;  // lines taken without complaint
  uint64_t ignored_count = 0;     // blank lines, comments, headers, metadata, skipped host names
  uint64_t rejected_count = 0;    // lines with something refused
  uint64_t entry_count = 0;       // values taken, before ranges are cut and repetitions removed
  std::vector<std::pair<std::string, uint64_t>> rejected_by_reason;  // non-zero, in list order
  std::vector<store::RejectedLine> rejected_examples;                // the first ten
  std::vector<std::string> notes;  // one sentence each: metadata, cleared host bits, dropped ports
  // Spamhaus JSON: the number of records that the metadata declares, and the rows seen.
  std::optional<uint64_t> records_declared;
  uint64_t record_count = 0;
};

// Errors: invalid_argument (more than kPrefixCountMax prefixes). Bad lines are no errors.
Result<ParsedFeed> parse(Bytes content, Format format);

// Errors: unsupported, with the reason: empty, an HTML page, binary, a format this version does
// not read.
Result<Format> detect(Bytes content);

// `format` is a format's name or "auto". Errors: invalid_argument (unknown format name; content
// that is not believable) and unsupported (content that is none of the formats).
Result<ParsedFeed> parse_feed(Bytes content, std::string_view format);

// Fit for a log line or a page: at most size_max bytes, everything but printable ASCII replaced
// by '?'.
std::string printable(std::string_view text, size_t size_max);

}  // namespace merlon::feeds
