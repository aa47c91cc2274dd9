// SPDX-License-Identifier: Apache-2.0
// From the bytes of a feed to the set of what it lists. Four layers, each usable alone:
//   decode      archives and character sets (decode.h);
//   guess       what format the content is in, from the content alone (guess.h);
//   parse       reads one format, strictly: what is not certainly an address or a name is counted
//               and shown, never guessed (109.230.155.061 is not read as octal, /izuku.sh is no
//               name, 1.2.3 is no address);
//   parse_feed  all of it, and the guard: content that a working feed would not send (an error
//   page, an
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
#include "controlplane/store/ageing.h"
#include "controlplane/store/model.h"
#include "zones/base/bytes.h"
#include "zones/base/error.h"

namespace merlon::feeds {

// plain: one value a line: an address, a prefix (a.b.c.d/n or a.b.c.d/m.m.m.m), a range
//   (first-last), address:port, [v6]:port, or a host name. Comments begin with # ; or // at the
//   start of a line or after a blank; further columns after a blank are not read.
// What the others hold is said beside them; their options are in declaration.h.
#define MERLON_FEED_FORMATS(X)                                                 \
  X(plain, "addresses, prefixes, ranges and names, one a line")                \
  X(domains, "host names, one a line")                                         \
  X(hosts, "hosts file: 0.0.0.0 name [name ..]")                               \
  X(dshield, "DShield block list: tab-separated start, end, mask")             \
  X(spamhaus_drop, "Spamhaus DROP text: prefix ; reference")                   \
  X(spamhaus_drop_json, "Spamhaus DROP JSON lines")                            \
  X(wildcard, "names with their subdomains: *.name, .name or name")            \
  X(dnsmasq, "dnsmasq configuration: address=/name/#, server=/name/")          \
  X(unbound, "Unbound configuration: local-zone: \"name\" always_null")        \
  X(adblock, "adblock filters: ||name^")                                       \
  X(rpz, "RPZ zone: name CNAME . and 32.4.3.2.1.rpz-ip CNAME .")               \
  X(csv, "columns: column=, delimiter=, header=, start=, end=, prefix=")       \
  X(json, "a JSON document: path=objects[*].value")                            \
  X(ndjson, "a JSON object a line: path=ip")                                   \
  X(stix2, "a STIX 2.0 or 2.1 bundle or TAXII envelope: indicators' patterns") \
  X(stix1, "a STIX 1 package in XML or JSON")                                  \
  X(misp, "MISP events")                                                       \
  X(openioc, "OpenIOC definitions")                                            \
  X(rss, "entries of RSS and Atom: what their texts name")                     \
  X(prose, "indicators in text, Markdown, AsciiDoc or HTML")

enum class Format : uint8_t {
#define MERLON_X(name, text) name,
  MERLON_FEED_FORMATS(MERLON_X)
#undef MERLON_X
};

std::string_view to_string(Format format);
std::string_view describe(Format format);
std::optional<Format> format_from_name(std::string_view name);
const std::vector<Format>& all_formats();

inline constexpr uint64_t kContentSizeMax = uint64_t{256} << 20;
inline constexpr size_t kLineSizeMax = 4096;
inline constexpr size_t kRejectedExamplesMax = 10;
inline constexpr size_t kExampleSizeMax = 120;
// A range is cut into up to 62 (IPv4) or 214 (IPv6) prefixes, so a small hostile feed could become
// a large set. More than this many prefixes in all is an error.
inline constexpr uint64_t kPrefixCountMax = uint64_t{1} << 24;
inline constexpr int kWidestV4 = 8;
inline constexpr int kWidestV6 = 19;

// In documents (JSON, XML) the unit that is counted is an indicator, and its number stands for the
// number of the line.
struct ParsedFeed {
  Format format = Format::plain;
  std::string declaration;        // the format with its options, as a feed's definition has it
  store::FeedSet set;             // normalised
  uint64_t line_count = 0;        // all lines; a last line without a line end counts
  uint64_t entry_line_count = 0;  // lines taken without complaint
  uint64_t ignored_count = 0;     // blank lines, comments, headers, metadata, skipped host names
  uint64_t rejected_count = 0;    // lines with something refused
  uint64_t entry_count = 0;       // values taken, before ranges are cut and repetitions removed
  std::vector<std::pair<std::string, uint64_t>> rejected_by_reason;  // non-zero, in list order
  std::vector<store::RejectedLine> rejected_examples;                // the first ten
  // Of entries whose source says when they end; a value may be there twice.
  std::vector<store::Expiry> expiries;
  std::vector<std::string> notes;  // one sentence each: metadata, cleared host bits, dropped ports
  // Spamhaus JSON: the number of records that the metadata declares, and the rows seen.
  std::optional<uint64_t> records_declared;
  uint64_t record_count = 0;
};

struct Declaration;

// Errors: invalid_argument (more than kPrefixCountMax prefixes; a document that is malformed or
// cut off; options that do not fit). Bad lines are no errors.
Result<ParsedFeed> parse(Bytes content, const Declaration& declaration);
Result<ParsedFeed> parse(Bytes content, Format format);

// accepted: somebody has looked at it, so any readable entry will do.
enum class Belief : uint8_t { guarded, accepted };

// `format` is a declaration ("csv; column=3") or "auto". Unpacks and decodes (decode.h) first.
// "auto" never takes the hosts of URLs, nor names out of prose: only a definition can say so.
// Errors: invalid_argument (unknown format or option; content that is not believable) and
// unsupported (content that is none of the formats, an archive that is cut off).
Result<ParsedFeed> parse_feed(Bytes content, std::string_view format,
                              uint64_t size_max_bytes = kContentSizeMax,
                              Belief belief = Belief::guarded);

// Fit for a log line or a page: at most size_max bytes, everything but printable ASCII replaced
// by '?'.
std::string printable(std::string_view text, size_t size_max);

}  // namespace merlon::feeds
