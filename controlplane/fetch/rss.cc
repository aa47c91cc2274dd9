// SPDX-License-Identifier: Apache-2.0
#include "controlplane/fetch/rss.h"

#include <algorithm>
#include <charconv>
#include <pugixml.hpp>
#include <set>

#include "controlplane/feeds/decode.h"
#include "controlplane/feeds/lines.h"
#include "controlplane/feeds/time_field.h"
#include "controlplane/fetch/kept.h"
#include "controlplane/fetch/local.h"
#include "controlplane/fetch/transfer.h"

namespace merlon::fetch {
namespace {

using pugi::xml_node;
using Outcome = FetchResult::Outcome;

constexpr size_t kEntriesUsual = 10;
constexpr size_t kEntriesMax = 100;
constexpr size_t kUrlSizeMax = 2048;
constexpr uint64_t kDocumentSizeMax = 16 << 20;
constexpr std::string_view kOption = "#entries=";

std::string_view local_name(std::string_view name) {
  const size_t colon = name.rfind(':');
  return colon == name.npos ? name : name.substr(colon + 1);
}

std::string_view attribute(const xml_node& node, std::string_view name) {
  for (const pugi::xml_attribute& item : node.attributes()) {
    if (local_name(item.name()) == name) {
      return item.value();
    }
  }
  return "";
}

struct Entry {
  int64_t time = 0;
  std::string date;
  std::vector<Enclosure> enclosures;
};

int64_t time_of(std::string_view text) {
  if (const auto time = feeds::read_time(text)) {
    return *time;
  }
  const time_t time = curl_getdate(std::string(text).c_str(), nullptr);
  return time > 0 ? time : 0;
}

// Where a part of an entry leads; "" when it is no enclosure, or one of sound or pictures.
std::string_view reference_of(const xml_node& node) {
  const std::string_view name = local_name(node.name());
  const std::string_view type = attribute(node, "type");
  if (type.starts_with("image/") || type.starts_with("audio/") || type.starts_with("video/")) {
    return "";
  }
  if (name == "enclosure") {
    const std::string_view url = attribute(node, "url");
    return url.empty() ? attribute(node, "resource") : url;  // RSS 1.0
  }
  return name == "link" && attribute(node, "rel") == "enclosure" ? attribute(node, "href") : "";
}

Entry read_entry(const xml_node& node, const std::string& url) {
  Entry entry;
  std::vector<std::pair<std::string, std::string>> found;
  for (const xml_node& part : node.children()) {
    const std::string_view name = local_name(part.name());
    if (name == "pubDate" || name == "date" || name == "updated" ||
        (name == "published" && entry.date.empty())) {
      entry.date = feeds::trim(part.child_value());
    }
    const std::string_view reference = feeds::trim(reference_of(part));
    if (!reference.empty() && reference.size() <= kUrlSizeMax) {
      found.emplace_back(resolve(url, std::string(reference)), attribute(part, "length"));
    }
  }
  entry.time = time_of(entry.date);
  for (auto& [target, length] : found) {
    if (target.starts_with("http://") || target.starts_with("https://")) {
      entry.enclosures.push_back(
          {.url = std::move(target), .version = fmt::format("{}|{}", entry.date, length)});
    }
  }
  return entry;
}

// item of RSS 2.0 is below channel, that of RSS 1.0 and entry of Atom below the root.
std::vector<Entry> entries_of(const pugi::xml_document& document, const std::string& url) {
  std::vector<Entry> entries;
  const auto take = [&](const xml_node& parent) {
    for (const xml_node& node : parent.children()) {
      const std::string_view name = local_name(node.name());
      if (name == "item" || name == "entry") {
        Entry entry = read_entry(node, url);
        if (!entry.enclosures.empty()) {
          entries.push_back(std::move(entry));
        }
      }
    }
  };
  const xml_node root = document.document_element();
  take(root);
  for (const xml_node& node : root.children()) {
    if (local_name(node.name()) == "channel") {
      take(node);
    }
  }
  // One without a date is as new as the one before it.
  int64_t newest = INT64_MAX;
  for (Entry& entry : entries) {
    entry.time = entry.time == 0 ? newest : entry.time;
    newest = entry.time;
  }
  std::stable_sort(entries.begin(), entries.end(),
                   [](const Entry& a, const Entry& b) { return a.time > b.time; });
  return entries;
}

Result<size_t> entries_wanted(const std::string& url) {
  const size_t hash = url.find('#');
  if (hash == std::string::npos) {
    return kEntriesUsual;
  }
  const std::string_view option = std::string_view(url).substr(hash);
  size_t count = 0;
  if (option.starts_with(kOption)) {
    const auto [end, error] =
        std::from_chars(option.data() + kOption.size(), option.data() + option.size(), count);
    count = error == std::errc() && end == option.data() + option.size() ? count : 0;
  }
  if (count < 1 || count > kEntriesMax) {
    return fail(ErrorCode::invalid_argument,
                "fetch {}: what follows the # is not understood; it may be #entries=1 to {}",
                url_for_display(url), kEntriesMax);
  }
  return count;
}

class Run {
 public:
  Run(const FetchRequest& request, size_t entries_max, Advice* advice)
      : request_(request),
        entries_max_(entries_max),
        advice_(advice),
        shown_(url_for_display(request.url)),
        url_(inner_url(request.url.substr(0, request.url.find('#')))),
        deadline_(deadline_of(request)),
        kept_(load_kept(request)) {
    if (kept_.fact("entries") != fmt::format("{}", entries_max)) {
      kept_ = {};
    }
  }
  Result<FetchResult> go();

 private:
  Result<FetchResult> get(const std::string& url, uint64_t size_max, bool conditional);
  Status read(const FetchResult& document);
  Status take(const std::vector<Enclosure>& enclosures);
  Result<std::vector<uint8_t>> body() const;

  const FetchRequest& request_;
  const size_t entries_max_;
  Advice* advice_;
  const std::string shown_;
  const std::string url_;
  const Deadline deadline_;
  Kept kept_;
  std::vector<std::string> notes_;
};

Result<FetchResult> Run::get(const std::string& url, uint64_t size_max, bool conditional) {
  FetchRequest one = request_;
  one.url = url;
  one.etag = conditional ? kept_.fact("etag") : "";
  one.last_modified = conditional ? kept_.fact("last_modified") : "";
  one.size_max_bytes = std::min(request_.size_max_bytes, size_max);
  one.memory = nullptr;
  if (origin_of(url) != origin_of(url_)) {
    one.credentials.clear();
  }
  if (url_.starts_with("https://") && !url.starts_with("https://")) {
    return fail(ErrorCode::io,
                "fetch {}: an enclosure by http of a document that came by https, where anybody on "
                "the way could change it",
                url_for_display(url));
  }
  auto answer = transfer(one, {.deadline = deadline_}, advice_);
  return answer ? Result<FetchResult>(std::move(answer->result)) : std::unexpected(answer.error());
}

// The numbers in front keep the order, newest first.
Status Run::take(const std::vector<Enclosure>& enclosures) {
  std::map<std::string, Kept::Item> before;
  for (auto& [key, item] : kept_.items) {
    before.emplace(key.substr(std::min<size_t>(key.size(), 4)), std::move(item));
  }
  kept_.items.clear();
  uint64_t size = 0;
  Status last;
  for (size_t i = 0; i < enclosures.size(); ++i) {
    const Enclosure& wanted = enclosures[i];
    const auto old = before.find(wanted.url);
    Kept::Item item;
    if (old != before.end()) {
      item = std::move(old->second);
    }
    if (old == before.end() || item.version != wanted.version) {
      const auto got = get(wanted.url, request_.size_max_bytes, false);
      if (got) {
        item = {.version = wanted.version, .text = std::string(as_text(got->body))};
      } else {
        last = std::unexpected(got.error());
        notes_.push_back(got.error().message);
      }
    }
    size += item.text.size();
    if (size > request_.size_max_bytes) {
      return too_large(shown_, request_.size_max_bytes);
    }
    if (!item.version.empty()) {
      kept_.items.emplace(fmt::format("{:03} {}", i, wanted.url), std::move(item));
    }
  }
  return kept_.items.empty() ? last : Status();
}

Status Run::read(const FetchResult& document) {
  const auto decoded = feeds::decode(document.body, {.size_max_bytes = kDocumentSizeMax});
  if (!decoded) {
    return in(fmt::format("fetch {}", shown_), decoded.error());
  }
  const auto enclosures = read_enclosures(decoded->text(), url_, entries_max_);
  if (!enclosures) {
    return in(fmt::format("fetch {}", shown_), enclosures.error());
  }
  if (enclosures->empty()) {
    kept_.items.clear();
    kept_.items["000 "] = {.version = "document", .text = std::string(as_text(document.body))};
  } else if (auto taken = take(*enclosures); !taken) {
    return taken;
  }
  kept_.facts["entries"] = fmt::format("{}", entries_max_);
  // With something missing the document is looked at again.
  kept_.facts["etag"] = notes_.empty() ? document.etag : "";
  kept_.facts["last_modified"] = notes_.empty() ? document.last_modified : "";
  return {};
}

// One as it is; of several the texts.
Result<std::vector<uint8_t>> Run::body() const {
  if (kept_.items.size() == 1) {
    const std::string& only = kept_.items.begin()->second.text;
    return std::vector<uint8_t>(only.begin(), only.end());
  }
  std::string text;
  for (const auto& [key, item] : kept_.items) {
    const Status added = append_part(as_bytes(item.text), request_.size_max_bytes, shown_, text);
    if (!added) {
      return in(fmt::format("fetch {}", url_for_display(key.substr(4))), added.error());
    }
  }
  return std::vector<uint8_t>(text.begin(), text.end());
}

Result<FetchResult> Run::go() {
  const auto document = get(url_, kDocumentSizeMax, true);
  if (!document) {
    return std::unexpected(document.error());
  }
  if (document->outcome == Outcome::content) {
    if (auto read_it = read(*document); !read_it) {
      return std::unexpected(read_it.error());
    }
    if (auto saved = save_kept(request_, kept_); !saved) {
      return in(fmt::format("fetch {}", shown_), saved.error());
    }
  }
  auto content = body();
  if (!content) {
    return std::unexpected(content.error());
  }
  return as_result(std::move(*content), std::move(notes_), request_);
}

}  // namespace

Result<std::vector<Enclosure>> read_enclosures(std::string_view document, const std::string& url,
                                               size_t entries_max) {
  // pugixml does not expand them; who declares some means harm, or means more than we would read.
  if (document.find("<!ENTITY") != std::string_view::npos) {
    return fail(ErrorCode::invalid_argument, "the document declares entities of its own");
  }
  pugi::xml_document parsed;
  const pugi::xml_parse_result result = parsed.load_buffer(
      document.data(), document.size(), pugi::parse_default, pugi::encoding_utf8);
  if (!result) {
    return fail(ErrorCode::io, "malformed XML at byte {} of {}: {}", result.offset, document.size(),
                result.description());
  }
  std::vector<Enclosure> enclosures;
  std::set<std::string> seen;
  std::vector<Entry> entries = entries_of(parsed, url);
  entries.resize(std::min(entries.size(), entries_max));
  for (Entry& entry : entries) {
    for (Enclosure& enclosure : entry.enclosures) {
      if (enclosures.size() < kEntriesMax && seen.insert(enclosure.url).second) {
        enclosures.push_back(std::move(enclosure));
      }
    }
  }
  return enclosures;
}

Result<FetchResult> fetch_rss(const FetchRequest& request, Advice* advice) {
  const auto entries_max = entries_wanted(request.url);
  if (!entries_max) {
    return std::unexpected(entries_max.error());
  }
  return Run(request, *entries_max, advice).go();
}

}  // namespace merlon::fetch
