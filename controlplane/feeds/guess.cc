// SPDX-License-Identifier: Apache-2.0
// What format is this? Three questions in order: is it binary (by magic numbers and by control
// bytes), is it a document (HTML, XML, JSON, by its first significant byte), and else what do most
// of its first 2000 significant lines look like, each judged by the same code that would parse it.
#include "controlplane/feeds/guess.h"

#include <algorithm>
#include <array>
#include <string>

#include "controlplane/feeds/collector.h"
#include "controlplane/feeds/lines.h"
#include "controlplane/feeds/parse.h"
#include "controlplane/feeds/prose.h"

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

constexpr std::array<Signature, 4> kMagicNumbers = {{
    {"%PDF-"sv, "a PDF document"},
    {"\x7f"
     "ELF"sv,
     "a program (ELF)"},
    {"\x89PNG"sv, "an image (PNG)"},
    {"\xd0\xcf\x11\xe0"sv, "an Office document"},
}};

// The marks of documents, looked for in the first 4 KiB in lower case. First match wins.
constexpr std::array<Signature, 4> kHtmlMarks = {{
    {"<!doctype html", ""},
    {"<html", ""},
    {"<head", ""},
    {"<body", ""},
}};
// What one line looks like.
#define MERLON_LINE_KINDS(X)                                         \
  X(address, "addresses")                                            \
  X(name, "host names")                                              \
  X(hosts, "hosts lines")                                            \
  X(dshield, "DShield columns")                                      \
  X(drop, "DROP lines")                                              \
  X(url, "a list of URLs")                                           \
  X(path, "a list of URL paths without hosts")                       \
  X(wildcard, "a list of wildcards")                                 \
  X(hash, "a list of file hashes")                                   \
  X(email, "a list of e-mail addresses")                             \
  X(defanged, "a list in defanged form (192.0.2[.]1)")               \
  X(csv, "comma-separated columns (CSV) without addresses or names") \
  X(tsv, "tab-separated columns without addresses or names")         \
  X(adblock, "an adblock filter list")                               \
  X(dnsmasq, "a dnsmasq configuration")                              \
  X(unbound, "an Unbound configuration")                             \
  X(zone, "a DNS zone file (RPZ)")                                   \
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

std::unexpected<Error> unsupported(std::string_view what) {
  return fail(ErrorCode::unsupported, "the content is {}, which this version does not read", what);
}

Declaration of(Format format) {
  Declaration declaration;
  declaration.format = format;
  return declaration;
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
    case RejectReason::short_form:  // "4134 | AS of somebody | .." begins with a number
      return line.find('|') == std::string_view::npos ? LineKind::address : LineKind::other;
    case RejectReason::file_name:
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

Declaration plain_of(const Votes& votes, Format format) {
  Declaration declaration = of(format);
  declaration.defanged = votes.of(LineKind::defanged) > 0 ? Switch::yes : Switch::no;
  return declaration;
}

// Formats that are known by their own marks.
std::optional<Declaration> guess_marked(const Votes& votes) {
  static constexpr std::array<std::pair<LineKind, Format>, 8> kFormats = {
      {{LineKind::dshield, Format::dshield},
       {LineKind::hosts, Format::hosts},
       {LineKind::drop, Format::spamhaus_drop},
       {LineKind::wildcard, Format::wildcard},
       {LineKind::dnsmasq, Format::dnsmasq},
       {LineKind::unbound, Format::unbound},
       {LineKind::adblock, Format::adblock},
       {LineKind::zone, Format::rpz}}};
  for (const auto& [kind, format] : kFormats) {
    if (votes.most(votes.of(kind))) {
      return of(format);
    }
  }
  return std::nullopt;
}

// Nothing else fits: a table by what its columns hold, or a text with marked indicators.
Result<Declaration> guess_rest(std::string_view content, const Votes& votes) {
  if (const auto table = guess_table(content)) {
    return *table;
  }
  const size_t urls = votes.of(LineKind::url);
  if (votes.most(urls)) {
    Declaration declaration = of(Format::plain);
    declaration.urls = Urls::host;
    declaration.defanged = votes.of(LineKind::defanged) > 0 ? Switch::yes : Switch::no;
    return declaration;
  }
  if (count_prose(content).marked > 0) {
    Declaration declaration = of(Format::prose);
    declaration.take = Take::marked;
    return declaration;
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

Result<Declaration> guess_lines(std::string_view content) {
  LineReader lines(content);
  const Votes votes = vote(lines);
  const size_t defanged = votes.of(LineKind::defanged);
  const size_t addresses = votes.of(LineKind::address);
  const size_t names = votes.of(LineKind::name);
  const size_t drops = votes.of(LineKind::drop);
  if (votes.total == 0) {
    return of(Format::plain);  // comments only: a list that is empty today
  }
  if (const auto marked = guess_marked(votes)) {
    return *marked;
  }
  if (votes.most(names) && addresses + drops + defanged == 0) {
    return plain_of(votes, has_address(lines) ? Format::plain : Format::domains);
  }
  // Paths, URLs and hashes beside what can be read say nothing about the format.
  const size_t readable = addresses + names + drops + defanged;
  const size_t foreign = votes.of(LineKind::url) + votes.of(LineKind::path) +
                         votes.of(LineKind::hash) + votes.of(LineKind::email);
  if (readable > 0 && readable * 2 + foreign >= votes.total &&
      !votes.most(votes.of(LineKind::url)) && readable * 20 >= votes.total) {
    return plain_of(votes, Format::plain);
  }
  return guess_rest(content, votes);
}

Result<Declaration> guess_page(std::string_view text) {
  if (!is_error_page(text)) {
    const ProseCount count = count_prose(text_of_html(text));
    if (count.marked + count.addresses > 1) {
      Declaration declaration = of(Format::prose);
      declaration.take = count.addresses > count.marked ? Take::addresses : Take::marked;
      return declaration;
    }
  }
  return fail(ErrorCode::unsupported,
              "the content is an HTML page, not a feed; it may be an error, login or block page: "
              "open the URL in a browser");
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
  return {};
}

bool is_html(std::string_view content) {
  const std::string_view text = skip_blank_and_mark(content);
  return text.starts_with('<') && find_mark(kHtmlMarks, lower_head(text)) != nullptr &&
         lower_head(text).find("<rss") == std::string::npos;
}

bool needs_definition(const Declaration& declaration) {
  return declaration.urls != Urls::refuse || declaration.format == Format::prose ||
         declaration.any_to_ids == Switch::yes;
}

Result<Declaration> guess(std::string_view text) {
  const Status hopeless = refuse_hopeless(text);
  if (!hopeless) {
    return std::unexpected(hopeless.error());
  }
  if (is_html(text)) {
    return guess_page(text);
  }
  const std::string_view start = skip_blank_and_mark(text);
  if (start.starts_with('<')) {
    return guess_xml(start);
  }
  if (start.starts_with('{')) {
    return guess_json(start);
  }
  if (start.starts_with('[')) {
    const std::string_view inside = skip_blank_and_mark(start.substr(1));
    if (!inside.empty() && (inside[0] == '{' || inside[0] == '"' || inside[0] == '[')) {
      return guess_json(start);
    }
  }
  return guess_lines(text);
}

}  // namespace merlon::feeds
