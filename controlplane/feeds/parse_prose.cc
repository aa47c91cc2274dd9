// SPDX-License-Identifier: Apache-2.0
#include <libpsl.h>

#include <algorithm>
#include <array>

#include "controlplane/feeds/lines.h"
#include "controlplane/feeds/prose.h"
#include "zones/name/name.h"

namespace merlon::feeds {
namespace {

constexpr std::string_view kBreaks = "<>\"'`,|\n";
constexpr std::string_view kTrimFront = "+*_~([{=-.:;!?";
constexpr std::string_view kTrimBack = "+*_~)]}=-.:;!?";
constexpr size_t kWordSizeMax = 2048;

std::string folded(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  }
  return out;
}

// Calls use(word) for what may be an indicator: no blanks, no quotes, punctuation around it gone.
template <class Use>
void for_each_word(std::string_view line, Use&& use) {
  size_t at = 0;
  while (at < line.size()) {
    size_t end = at;
    while (end < line.size() && !is_blank(line[end]) && kBreaks.find(line[end]) == kBreaks.npos) {
      ++end;
    }
    std::string_view word = line.substr(at, end - at);
    at = end + 1;
    const size_t first = word.find_first_not_of(kTrimFront);
    // "[.]" and the like at the end of a word are not punctuation around it; "[2001:db8::1]" is.
    const size_t last = word.find_last_not_of(kTrimBack);
    if (first == word.npos) {
      continue;
    }
    word = word.substr(first, last - first + 1);
    if (word.size() <= kWordSizeMax &&
        (word.find('.') != word.npos || word.find(':') != word.npos ||
         word.find("dot") != word.npos)) {
      use(word);
    }
  }
}

bool is_address_like(std::string_view word) {
  const size_t colons = static_cast<size_t>(std::count(word.begin(), word.end(), ':'));
  const bool v4 = is_digit(word[0]) && std::count(word.begin(), word.end(), '.') >= 3;
  return v4 || (colons >= 2 && word.find_first_not_of("0123456789abcdefABCDEF:./") == word.npos);
}

// Names of files whose ending is a top-level domain, too.
bool is_file_like(std::string_view name) {
  static constexpr std::array<std::string_view, 16> kEndings = {
      ".sh", ".py", ".pl",  ".md",  ".zip",     ".mov", ".rs",   ".so",
      ".ps", ".cc", ".pub", ".bat", ".com.exe", ".app", ".java", ".cab"};
  return std::count(name.begin(), name.end(), '.') == 1 &&
         std::any_of(kEndings.begin(), kEndings.end(),
                     [&](std::string_view ending) { return name.ends_with(ending); });
}

bool has_top_level_domain(std::string_view name) {
  const std::string last(name.substr(name.rfind('.') + 1));
  const psl_ctx_t* list = psl_builtin();
  return list != nullptr &&
         psl_is_public_suffix2(list, last.c_str(), PSL_TYPE_ANY | PSL_TYPE_NO_STAR_RULE) != 0;
}

}  // namespace

ProseReader::ProseReader(const Declaration& declaration, Collector& collector)
    : declaration_(declaration), reader_(declaration_), collector_(collector) {
  declaration_.defanged = Switch::yes;
}

void ProseReader::read_word(std::string_view word) {
  const bool marked = refang(word, plain_);
  const std::string_view token = marked ? std::string_view(plain_) : word;
  const bool url = token.find("://") != token.npos;
  if (url && !marked) {
    return;  // a link, not an indicator
  }
  if (!url && token.find('@') != token.npos) {
    return;
  }
  if (!marked && declaration_.take == Take::marked) {
    return;
  }
  if (!marked && !is_address_like(token)) {
    const std::string name = folded(token);
    const bool wanted = declaration_.take == Take::all &&
                        token.find_first_of("/\\:") == token.npos &&
                        name::host_name_fault(name).empty() && has_top_level_domain(name);
    if (!wanted) {
      return;
    }
    if (is_file_like(name)) {
      reason_ = reason_.value_or(RejectReason::file_name);
      return;
    }
  }
  const Read<Value> value = reader_.read(token);
  if (value) {
    collector_.add(*value);
    added_ = true;
  } else if (marked || value.error() != RejectReason::not_an_address) {
    reason_ = reason_.value_or(value.error());
  }
}

void ProseReader::read(uint64_t number, std::string_view line) {
  added_ = false;
  reason_.reset();
  for_each_word(line, [&](std::string_view word) { read_word(word); });
  if (reason_) {
    collector_.reject_line(number, line, *reason_);
  } else if (added_) {
    collector_.take_line();
  } else {
    collector_.ignore_line();
  }
}

ProseCount count_prose(std::string_view text) {
  ProseCount count;
  std::string plain;
  LineReader lines(text);
  std::string_view line;
  while (lines.next(line)) {
    for_each_word(line, [&](std::string_view word) {
      const bool marked = refang(word, plain);
      const std::string_view token = marked ? std::string_view(plain) : word;
      const std::string_view host = token.find("://") != token.npos ? host_of_url(token) : token;
      if (marked && read_value(host)) {
        ++count.marked;
      } else if (!marked && is_address_like(word) && read_value(word)) {
        ++count.addresses;
      }
    });
  }
  return count;
}

bool is_error_page(std::string_view html) {
  const std::string head = folded(html.substr(0, 16 << 10));
  const size_t open = head.find("<title");
  const size_t begin = open == head.npos ? open : head.find('>', open);
  if (begin == head.npos) {
    return false;
  }
  const std::string title = head.substr(begin + 1, head.find("</title", begin) - begin - 1);
  static constexpr std::array<std::string_view, 20> kMarks = {
      "403",     "404",       "429",       "500",     "502",           "503",
      "error",   "forbidden", "not found", "denied",  "just a moment", "attention required",
      "log in",  "login",     "sign in",   "captcha", "maintenance",   "unavailable",
      "blocked", "moved"};
  return std::any_of(kMarks.begin(), kMarks.end(),
                     [&](std::string_view mark) { return title.find(mark) != title.npos; });
}

std::string text_of_html(std::string_view html) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kReferences = {
      {{"&amp;", "&"},
       {"&lt;", "<"},
       {"&gt;", ">"},
       {"&quot;", "\""},
       {"&#39;", "'"},
       {"&nbsp;", " "},
       {"&#46;", "."}}};
  std::string out;
  out.reserve(html.size());
  const auto keep_lines = [&](std::string_view skipped) {
    const auto count = std::count(skipped.begin(), skipped.end(), '\n');
    out.append(static_cast<size_t>(count), '\n');
    out.push_back(' ');
  };
  while (!html.empty()) {
    if (html[0] == '<') {
      const std::string tag = folded(html.substr(1, 7));
      const std::string_view end = tag.starts_with("script")  ? "</script"
                                   : tag.starts_with("style") ? "</style"
                                   : tag.starts_with("!--")   ? "-->"
                                                              : ">";
      size_t close = html.find(end);
      close = close == html.npos ? close : html.find('>', close);
      keep_lines(html.substr(0, close));
      html = close == html.npos ? std::string_view{} : html.substr(close + 1);
      continue;
    }
    const auto* reference =
        std::find_if(kReferences.begin(), kReferences.end(),
                     [&](const auto& item) { return html.starts_with(item.first); });
    if (html[0] == '&' && reference != kReferences.end()) {
      out += reference->second;
      html.remove_prefix(reference->first.size());
    } else {
      out.push_back(html[0]);
      html.remove_prefix(1);
    }
  }
  return out;
}

uint64_t parse_prose(std::string_view text, const Declaration& declaration, Collector& collector) {
  std::string stripped;
  const std::string head = folded(text.substr(0, 4096));
  if (head.find("<html") != head.npos || head.find("<!doctype html") != head.npos ||
      head.find("<body") != head.npos || head.find("<table") != head.npos) {
    stripped = text_of_html(text);
    text = stripped;
  }
  ProseReader prose(declaration, collector);
  LineReader lines(text);
  std::string_view line;
  while (lines.next(line)) {
    if (line.empty()) {
      collector.ignore_line();
    } else {
      prose.read(lines.count(), line);
    }
  }
  return lines.count();
}

}  // namespace merlon::feeds
