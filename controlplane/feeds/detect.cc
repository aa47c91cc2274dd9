// SPDX-License-Identifier: Apache-2.0
// What format is this? Three questions in order: is it binary (by magic numbers and by control
// bytes), is it a document (HTML, XML, JSON, by its first significant byte), and else what do most
// of its first 2000 significant lines look like, each judged by the same code that would parse it.
// Same content, same answer; the name of the file plays no part.
#include "controlplane/feeds/detect.h"

#include <algorithm>
#include <array>
#include <string>

#include "controlplane/feeds/collector.h"
#include "controlplane/feeds/lines.h"
#include "controlplane/feeds/parse.h"

namespace merlon::feeds {
namespace {

constexpr size_t kSniffSize = 64 << 10;
constexpr size_t kHeadSize = 4096;
constexpr size_t kMmdbTailSize = 128 << 10;  // where the MaxMind specification has the marker
constexpr size_t kVotersMax = 2000;
constexpr size_t kControlShare = 20;  // one control byte in so many is no text

struct Signature {
  std::string_view bytes;
  std::string_view what;
};

using namespace std::string_view_literals;

constexpr std::array<Signature, 11> kMagicNumbers = {{
    {"\x1f\x8b"sv,
     "gzip-compressed data; publish it unpacked, or serve it with "
     "Content-Encoding: gzip"},
    {"PK\x03\x04"sv, "a zip archive; publish its text file unpacked"},
    {"BZh"sv, "bzip2-compressed data; publish it unpacked"},
    {"\xfd"
     "7zXZ"sv,
     "xz-compressed data; publish it unpacked"},
    {"\x28\xb5\x2f\xfd"sv, "zstd-compressed data; publish it unpacked"},
    {"7z\xbc\xaf"sv, "a 7z archive; publish its text file unpacked"},
    {"%PDF-"sv, "a PDF document"},
    {"\x7f"
     "ELF"sv,
     "a program (ELF)"},
    {"\xff\xfe"sv, "UTF-16 text; publish it as UTF-8 or ASCII"},
    {"\xfe\xff"sv, "UTF-16 text; publish it as UTF-8 or ASCII"},
    {"\x89PNG"sv, "an image (PNG)"},
}};

// The marks of documents, looked for in the first 4 KiB in lower case. First match wins.
constexpr std::array<Signature, 4> kHtmlMarks = {{
    {"<!doctype html", ""},
    {"<html", ""},
    {"<head", ""},
    {"<body", ""},
}};
constexpr std::array<Signature, 4> kXmlMarks = {{
    {"stix:stix_package", "STIX 1 (XML)"},
    {"<ioc", "OpenIOC (XML)"},
    {"<rss", "an RSS feed (XML)"},
    {"<feed", "an Atom feed (XML)"},
}};
constexpr std::array<Signature, 8> kJsonMarks = {{
    {"\"bundle--", "a STIX 2 bundle (JSON)"},
    {"\"spec_version\"", "a STIX 2 bundle (JSON)"},
    {"\"stix_header\"", "STIX 1 as JSON"},
    {"\"event\"", "a MISP event (JSON)"},
    {"\"attribute\"", "a MISP event (JSON)"},
    {"\"matching_attributes\"", "a MISP warning list (JSON)"},
    {"\"asn\"", "a list of AS numbers (JSON, such as Spamhaus ASN-DROP)"},
    {"\"list\"", "a JSON object with a list (such as a MISP warning list)"},
}};

// What one line looks like. The first five can be read.
#define MERLON_LINE_KINDS(X)                                                             \
  X(address, "addresses")                                                                \
  X(name, "host names")                                                                  \
  X(hosts, "hosts lines")                                                                \
  X(dshield, "DShield columns")                                                          \
  X(drop, "DROP lines")                                                                  \
  X(url, "a list of URLs")                                                               \
  X(path, "a list of URL paths without hosts")                                           \
  X(wildcard, "a list of wildcards (*.name); use the publisher's domains or hosts list") \
  X(hash, "a list of file hashes")                                                       \
  X(email, "a list of e-mail addresses")                                                 \
  X(defanged, "a list in defanged form (192.0.2[.]1)")                                   \
  X(csv, "comma-separated columns (CSV)")                                                \
  X(tsv, "tab-separated columns that do not begin with an address")                      \
  X(adblock, "an adblock filter list; use the publisher's domains or hosts list")        \
  X(dnsmasq, "a dnsmasq configuration; use the publisher's domains or hosts list")       \
  X(unbound, "an Unbound configuration; use the publisher's domains or hosts list")      \
  X(zone, "a DNS zone file (RPZ)")                                                       \
  X(other, "text in none of the known layouts")

enum class LineKind : uint8_t {
#define MERLON_X(kind, text) kind,
  MERLON_LINE_KINDS(MERLON_X)
#undef MERLON_X
};
constexpr std::array kLineKindTexts = {
#define MERLON_X(kind, text) std::string_view(text),
    MERLON_LINE_KINDS(MERLON_X)
#undef MERLON_X
};

std::string lower_head(std::string_view text) {
  std::string head(text.substr(0, kHeadSize));
  for (char& c : head) {
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  }
  return head;
}

template <size_t kCount>
const Signature* find_mark(const std::array<Signature, kCount>& marks, std::string_view head) {
  const auto found = std::find_if(marks.begin(), marks.end(), [&](const Signature& mark) {
    return head.find(mark.bytes) != std::string_view::npos;
  });
  return found == marks.end() ? nullptr : &*found;
}

std::string_view skip_blank_and_mark(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) {
    text.remove_prefix(3);
  }
  while (!text.empty() && (is_blank(text[0]) || text[0] == '\n')) {
    text.remove_prefix(1);
  }
  return text;
}

// "" when the content can be text.
std::string_view binary_kind(std::string_view content) {
  for (const Signature& magic : kMagicNumbers) {
    if (content.starts_with(magic.bytes)) {
      return magic.what;
    }
  }
  const size_t tail_at = content.size() - std::min(content.size(), kMmdbTailSize);
  if (content.substr(tail_at).find("\xab\xcd\xefMaxMind.com") != std::string_view::npos) {
    return "a MaxMind database (mmdb)";
  }
  const std::string_view sample = content.substr(0, kSniffSize);
  size_t controls = 0;
  for (const char c : sample) {
    if (c == '\0') {
      return "binary data (it holds NUL bytes)";
    }
    const bool control = static_cast<uint8_t>(c) < 0x20 && c != '\n' && !is_blank(c);
    controls += control ? 1U : 0U;
  }
  return controls * kControlShare > sample.size() ? "binary data (many control bytes)" : "";
}

bool is_html(std::string_view content) {
  const std::string_view text = skip_blank_and_mark(content);
  return text.starts_with('<') && find_mark(kHtmlMarks, lower_head(text)) != nullptr;
}

std::unexpected<Error> unsupported(std::string_view what) {
  const size_t advice = what.find(';');
  return fail(ErrorCode::unsupported, "the content is {}, which this version does not read{}",
              what.substr(0, advice),
              advice == std::string_view::npos ? std::string_view{} : what.substr(advice));
}

// JSON lines of Spamhaus have a whole object on the first line; everything else is named as well
// as its first bytes allow.
Result<Format> detect_json(std::string_view text) {
  const std::string_view line = trim(text.substr(0, text.find('\n')));
  const bool whole_object = line.starts_with('{') && line.ends_with('}');
  if (whole_object && line.size() <= kLineSizeMax &&
      (line.find("\"cidr\"") != std::string_view::npos ||
       line.find("\"metadata\"") != std::string_view::npos)) {
    return Format::spamhaus_drop_json;
  }
  const Signature* mark = find_mark(kJsonMarks, lower_head(text));
  return unsupported(mark != nullptr ? mark->what : "JSON");
}

// A document by its first significant byte; no value when it is lines of text.
std::optional<Result<Format>> detect_document(std::string_view text) {
  if (text.starts_with('<')) {
    const Signature* mark = find_mark(kXmlMarks, lower_head(text));
    return unsupported(mark != nullptr ? mark->what : "XML");
  }
  if (text.starts_with('{')) {
    return detect_json(text);
  }
  if (text.starts_with('[')) {
    const std::string_view inside = skip_blank_and_mark(text.substr(1));
    if (!inside.empty() && (inside[0] == '{' || inside[0] == '"' || inside[0] == '[')) {
      return detect_json(text);
    }
  }
  return std::nullopt;
}

bool starts_with_any(std::string_view line, std::initializer_list<std::string_view> heads) {
  return std::any_of(heads.begin(), heads.end(),
                     [&](std::string_view head) { return line.starts_with(head); });
}

LineKind kind_of_reject(RejectReason reason, std::string_view line) {
  switch (reason) {
    case RejectReason::url:
      return LineKind::url;
    case RejectReason::path_only:
      return LineKind::path;
    case RejectReason::wildcard:
      return LineKind::wildcard;
    case RejectReason::hash:
      return LineKind::hash;
    case RejectReason::email:
      return LineKind::email;
    case RejectReason::defanged:
      return LineKind::defanged;
    case RejectReason::comma_columns:
      return LineKind::csv;
    case RejectReason::not_an_address:
    case RejectReason::bad_domain:
    case RejectReason::unknown:
      return line.find(',') == std::string_view::npos ? LineKind::other : LineKind::csv;
    default:
      return LineKind::address;  // an address with a fault of its own
  }
}

// A name with one more column is a list with a count or a date; with more it is a table, or prose
// whose first word has a dot in it.
LineKind kind_of_name_line(std::string_view line, std::string_view rest) {
  take_token(rest);
  if (rest.empty() || begins_comment(rest)) {
    return LineKind::name;
  }
  return std::count(line.begin(), line.end(), '\t') >= 2 ? LineKind::tsv : LineKind::other;
}

LineKind kind_of_line(std::string_view line) {
  if (starts_with_any(line, {"||", "@@", "!", "[Adblock"}) ||
      line.find("##") != std::string_view::npos) {
    return LineKind::adblock;
  }
  if (starts_with_any(line, {"address=/", "server=/", "local=/", "ipset=/", "bogus-nxdomain="})) {
    return LineKind::dnsmasq;
  }
  if (starts_with_any(line, {"local-zone:", "local-data:", "server:", "forward-zone:"})) {
    return LineKind::unbound;
  }
  if (starts_with_any(line, {"$TTL", "$ORIGIN", "@ "}) ||
      line.find(" CNAME ") != std::string_view::npos ||
      line.find("\tCNAME\t") != std::string_view::npos) {
    return LineKind::zone;
  }
  std::string_view rest = line;
  const std::string_view token = take_token(rest);
  const bool alone = rest.empty() || begins_comment(rest);
  if (!alone && is_sinkhole_address(token)) {
    return LineKind::hosts;
  }
  if (!alone && (is_dshield_header(line) || read_dshield_line(line).has_value())) {
    return LineKind::dshield;
  }
  const Read<Value> value = read_value(token);
  if (!value) {
    // A URL with more columns behind commas is CSV first of all.
    const bool columns =
        value.error() == RejectReason::url && std::count(line.begin(), line.end(), ',') >= 2;
    return columns ? LineKind::csv : kind_of_reject(value.error(), line);
  }
  if (value->kind == Value::Kind::name) {
    return alone ? LineKind::name : kind_of_name_line(line, rest);
  }
  return rest.starts_with(';') ? LineKind::drop : LineKind::address;
}

struct Votes {
  std::array<size_t, kLineKindTexts.size()> counts{};
  size_t total = 0;
  LineKind first = LineKind::other;  // the head of a table says more than its odd rows
  std::string first_other;           // a line that speaks for `other`

  size_t of(LineKind kind) const { return counts[static_cast<size_t>(kind)]; }
  bool most(size_t count) const { return count * 2 > total; }
};

Votes vote(LineReader& lines) {
  Votes votes;
  std::string_view line;
  while (votes.total < kVotersMax && lines.next(line)) {
    if (line.empty() || begins_comment(line)) {
      continue;
    }
    const LineKind kind = line.size() > kLineSizeMax ? LineKind::other : kind_of_line(line);
    if (kind == LineKind::other && votes.first_other.empty()) {
      votes.first_other =
          fmt::format("line {}: \"{}\"", lines.count(), printable(line, kExampleSizeMax));
    }
    votes.first = votes.total == 0 ? kind : votes.first;
    ++votes.counts[static_cast<size_t>(kind)];
    ++votes.total;
  }
  return votes;
}

// The voters were all names; an address further down makes the list a mixed one. Only lines that
// begin with a digit or hold a colon can be addresses, so this costs little.
bool has_address(LineReader& lines) {
  std::string_view line;
  while (lines.next(line)) {
    const bool candidate = !line.empty() && line.size() <= kLineSizeMax &&
                           (is_digit(line[0]) || line.find(':') != std::string_view::npos);
    if (candidate && !begins_comment(line) && kind_of_line(line) == LineKind::address) {
      return true;
    }
  }
  return false;
}

Result<Format> detect_lines(std::string_view content) {
  LineReader lines(content);
  const Votes votes = vote(lines);
  const size_t addresses = votes.of(LineKind::address);
  const size_t names = votes.of(LineKind::name);
  const size_t drops = votes.of(LineKind::drop);
  if (votes.total == 0) {
    return Format::plain;  // comments only: a list that is empty today
  }
  if (votes.most(votes.of(LineKind::dshield))) {
    return Format::dshield;
  }
  if (votes.most(votes.of(LineKind::hosts))) {
    return Format::hosts;
  }
  if (votes.most(drops)) {
    return Format::spamhaus_drop;
  }
  if (votes.most(names) && addresses + drops == 0) {
    return has_address(lines) ? Format::plain : Format::domains;
  }
  if ((addresses + names + drops) * 2 >= votes.total) {
    return Format::plain;
  }
  const auto first = votes.counts.begin() + static_cast<size_t>(LineKind::url);
  const auto largest = std::max_element(first, votes.counts.end());
  auto kind = static_cast<LineKind>(largest - votes.counts.begin());
  if (kind == LineKind::other && votes.first > LineKind::drop) {
    kind = votes.first;
  }
  const std::string_view text = kLineKindTexts[static_cast<size_t>(kind)];
  if (kind == LineKind::other) {
    return fail(ErrorCode::unsupported,
                "the content is {} ({}); name its format, or have it "
                "converted to one value a line",
                text, votes.first_other);
  }
  return unsupported(text);
}

}  // namespace

Status refuse_hopeless(std::string_view content) {
  if (content.empty()) {
    return fail(ErrorCode::unsupported, "the content is empty (0 bytes)");
  }
  const std::string_view binary = binary_kind(content);
  if (!binary.empty()) {
    return fail(ErrorCode::unsupported, "the content is {}", binary);
  }
  if (is_html(content)) {
    return fail(ErrorCode::unsupported,
                "the content is an HTML page, not a feed; it may be an error, login or "
                "block page: open the URL in a browser");
  }
  return {};
}

Result<Format> detect(Bytes content) {
  const std::string_view text = as_text(content);
  const Status hopeless = refuse_hopeless(text);
  if (!hopeless) {
    return std::unexpected(hopeless.error());
  }
  const auto document = detect_document(skip_blank_and_mark(text));
  return document ? *document : detect_lines(text);
}

}  // namespace merlon::feeds
