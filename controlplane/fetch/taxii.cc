// SPDX-License-Identifier: Apache-2.0
#include "controlplane/fetch/taxii.h"

#include <algorithm>
#include <charconv>
#include <ctime>
#include <nlohmann/json.hpp>
#include <set>

#include "controlplane/feeds/json_path.h"
#include "controlplane/feeds/parse.h"
#include "controlplane/feeds/time_field.h"
#include "controlplane/fetch/kept.h"
#include "controlplane/fetch/transfer.h"

namespace merlon::fetch {
namespace {

using nlohmann::json;

constexpr const char* kMediaType = "application/taxii+json;version=2.1";
constexpr const char* kDateAddedLast = "X-TAXII-Date-Added-Last";
constexpr size_t kPagesMax = 5000;
constexpr size_t kIdSizeMax = 200;
constexpr size_t kNextSizeMax = 4096;
constexpr uint64_t kPageSizeMax = 32 << 20;
constexpr int64_t kAllAgainS = 7 * 24 * 3600;
constexpr std::string_view kBegin =
    R"({"type":"bundle","id":"bundle--00000000-0000-4000-8000-000000000000","objects":[)";

std::string text_at(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool is_id(std::string_view id) {
  return !id.empty() && id.size() <= kIdSizeMax &&
         std::all_of(id.begin(), id.end(), [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '-' || c == '.' || c == '_';
         });
}

// Without its Z a time sorts before the same time with a fraction.
std::string version_of(const json& object) {
  std::string version = text_at(object, "modified");
  version = version.empty() ? text_at(object, "created") : version;
  if (version.ends_with('Z')) {
    version.pop_back();
  }
  return version;
}

void take_object(const json& object, TaxiiPage& page) {
  TaxiiObject taken;
  taken.id = text_at(object, "id");
  if (!is_id(taken.id)) {
    ++page.nameless_count;
    return;
  }
  taken.version = version_of(object);
  const auto revoked = object.find("revoked");
  taken.revoked = revoked != object.end() && revoked->is_boolean() && revoked->get<bool>();
  if (!taken.revoked) {
    taken.text = object.dump(-1, ' ', false, json::error_handler_t::replace);
  }
  page.objects.push_back(std::move(taken));
}

std::string escaped(const std::string& text) {
  char* raw = curl_easy_escape(nullptr, text.data(), static_cast<int>(text.size()));
  std::string copy = raw == nullptr ? "" : raw;
  curl_free(raw);
  return copy;
}

// What a status means of a TAXII server; "" when it means what it always does.
std::string_view meaning(long status) {
  switch (status) {
    case 401:
      return "the server wants credentials: \"basic USER file:PATH\" or \"header Authorization "
             "file:PATH\"";
    case 403:
      return "the credentials may not read this collection";
    case 404:
      return "no such collection; the URL is https://HOST/API-ROOT/collections/ID/ and merlonctl "
             "takes it with taxii+ in front";
    case 406:
    case 415:
      return "the server does not speak TAXII 2.1";
    case 416:
      return "the server knows pages by ranges only, as TAXII 2.0 did; TAXII 2.1 is needed";
    default:
      return "";
  }
}

// One time through what is new in the collection.
class Run {
 public:
  Run(const FetchRequest& request, Advice* advice);
  Result<FetchResult> go();

 private:
  Result<TaxiiPage> ask(const std::string& next);
  Status merge(TaxiiPage page);
  Status go_on(const TaxiiPage& page, std::string& next);
  void note_date(const std::string& date);
  Status keep_progress(const Error& error);
  std::vector<uint8_t> bundle() const;

  const FetchRequest& request_;
  Advice* advice_;
  const std::string shown_;
  const Deadline deadline_;
  Kept kept_;
  uint64_t size_ = 0;
  uint64_t nameless_count_ = 0;
  bool changed_ = false;
  std::string since_;        // the run's added_after
  std::string date_last_;    // of the last page
  std::string complete_to_;  // all that was added up to here has come
  std::set<std::string> seen_;
};

Run::Run(const FetchRequest& request, Advice* advice)
    : request_(request),
      advice_(advice),
      shown_(url_for_display(request.url)),
      deadline_(deadline_of(request)),
      kept_(load_kept(request)) {
  const int64_t now = std::time(nullptr);
  const std::string full = kept_.fact("all_at");
  int64_t full_at = 0;
  std::from_chars(full.data(), full.data() + full.size(), full_at);
  if (kept_.fact("added_after").empty() || full_at > now || now - full_at > kAllAgainS) {
    kept_ = {};
    kept_.facts["all_at"] = fmt::format("{}", now);
    changed_ = true;
  }
  since_ = kept_.fact("added_after");
  complete_to_ = since_;
  size_ = kept_.size();
}

Result<TaxiiPage> Run::ask(const std::string& next) {
  std::string url = inner_url(request_.url.substr(0, request_.url.find('#')));
  const size_t question = std::min(url.find('?'), url.size());
  std::string query = url.substr(question);
  url.resize(question);
  url += url.ends_with('/') ? "" : "/";
  url += url.ends_with("/objects/") ? "" : "objects/";
  const auto add = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) {
      query += fmt::format("{}{}={}", query.empty() ? '?' : '&', name, escaped(value));
    }
  };
  add("added_after", since_);
  add("next", next);
  FetchRequest one = request_;
  one.url = url + query;
  one.etag.clear();
  one.last_modified.clear();
  one.accept = kMediaType;
  one.size_max_bytes = std::min(request_.size_max_bytes, kPageSizeMax);
  one.memory = nullptr;  // a page is small, and waits for nobody
  long status = 0;
  const auto answer = transfer(one,
                               {.deadline = deadline_,
                                .header_wanted = kDateAddedLast,
                                .redirects = Redirects::same_origin,
                                .status = &status},
                               advice_);
  if (!answer) {
    const std::string_view why = meaning(status);
    return why.empty() ? Result<TaxiiPage>(std::unexpected(answer.error()))
                       : fail(answer.error().code, "fetch {}: HTTP {}: {}", shown_, status, why);
  }
  auto page = read_taxii_page(as_text(answer->result.body));
  if (!page) {
    return in(fmt::format("fetch {}", shown_), page.error());
  }
  note_date(answer->header);
  return page;
}

// Pages come in the order of their dates, and one date may go on over several pages: only when a
// later date has come is an earlier one complete.
void Run::note_date(const std::string& date) {
  if (!feeds::read_time(date) || date == date_last_) {
    return;
  }
  complete_to_ = date_last_.empty() ? complete_to_ : date_last_;
  date_last_ = date;
}

Status Run::merge(TaxiiPage page) {
  nameless_count_ += page.nameless_count;
  for (TaxiiObject& object : page.objects) {
    Kept::Item& item = kept_.items[object.id];
    if (!item.version.empty() && object.version < item.version) {
      continue;
    }
    size_ += object.text.size();
    size_ -= item.text.size();
    changed_ |= item.version != object.version || item.text != object.text;
    // A revoked object stays with its version and without text, so that an older version that comes
    // after it does not bring it back.
    item = {.version = std::move(object.version), .text = std::move(object.text)};
  }
  return size_ > request_.size_max_bytes ? Status(too_large(shown_, request_.size_max_bytes))
                                         : Status();
}

// Where the next page is.
Status Run::go_on(const TaxiiPage& page, std::string& next) {
  if (seen_.size() >= kPagesMax) {
    return fail(ErrorCode::invalid_argument,
                "fetch {}: more than {} pages; ask for a part of the collection with ?match[..] in "
                "the URL",
                shown_, kPagesMax);
  }
  next = page.next;
  if (next.empty()) {
    // A server may leave `next` out; then the pages are known by their dates.
    if (date_last_.empty() || !seen_.insert("date " + date_last_).second) {
      return fail(ErrorCode::io,
                  "fetch {}: the server says that there is more, and not where: no next, and no "
                  "new {}",
                  shown_, kDateAddedLast);
    }
    since_ = date_last_;
    return {};
  }
  if (!seen_.insert("next " + next).second) {
    return fail(ErrorCode::io, "fetch {}: the server repeats the same next page for ever", shown_);
  }
  return {};
}

// What has come is kept, so that a collection that takes longer than the time limit comes in turns.
Status Run::keep_progress(const Error& error) {
  if (complete_to_.empty() || complete_to_ == kept_.fact("added_after") ||
      error.code == ErrorCode::invalid_argument) {
    return std::unexpected(error);
  }
  kept_.facts["added_after"] = complete_to_;
  if (auto saved = save_kept(request_, kept_); !saved) {
    return std::unexpected(saved.error());
  }
  const std::string more =
      request_.directory.empty() ? "" : "; the next time goes on from where this one came to";
  return fail(error.code, "{}{}", error.message, more);
}

std::vector<uint8_t> Run::bundle() const {
  std::vector<uint8_t> body;
  body.reserve(size_ + kept_.items.size() * 2 + kBegin.size() + 8);
  const auto add = [&](std::string_view text) {
    body.insert(body.end(), text.begin(), text.end());
  };
  add(kBegin);
  bool first = true;
  for (const auto& [id, item] : kept_.items) {
    if (!item.text.empty()) {
      add(first ? "\n" : ",\n");
      add(item.text);
      first = false;
    }
  }
  add("\n]}\n");
  return body;
}

Result<FetchResult> Run::go() {
  std::string next;
  while (true) {
    auto page = ask(next);
    Status taken = page ? Status() : Status(std::unexpected(page.error()));
    const bool more = page && page->more;
    if (taken && more) {
      taken = go_on(*page, next);
    }
    if (taken) {
      taken = merge(std::move(*page));
    }
    if (!taken) {
      return std::unexpected(keep_progress(taken.error()).error());
    }
    if (!more) {
      break;
    }
  }
  if (!date_last_.empty() && date_last_ != kept_.fact("added_after")) {
    kept_.facts["added_after"] = date_last_;
    changed_ = true;
  }
  if (changed_) {
    if (auto saved = save_kept(request_, kept_); !saved) {
      return in(fmt::format("fetch {}", shown_), saved.error());
    }
  }
  std::vector<std::string> notes;
  if (nameless_count_ > 0) {
    notes.push_back(
        fmt::format("{} objects have no usable id and were not taken", nameless_count_));
  }
  return as_result(bundle(), std::move(notes), request_);
}

}  // namespace

// The document is taken apart while it is parsed, and what is not asked for is not kept, so that a
// page is never in memory as a tree.
Result<TaxiiPage> read_taxii_page(std::string_view text) {
  TaxiiPage page;
  std::string key;
  bool too_deep = false;
  const auto callback = [&](int depth, json::parse_event_t event, json& parsed) {
    if (depth > static_cast<int>(feeds::kJsonDepthMax)) {
      too_deep = true;
      return false;
    }
    if (event == json::parse_event_t::key && depth == 1) {
      key = parsed.get<std::string>();
      return key == "objects" || key == "more" || key == "next";
    }
    if (event == json::parse_event_t::object_end && depth == 2 && key == "objects") {
      take_object(parsed, page);
      return false;
    }
    return depth != 2 || event != json::parse_event_t::value;
  };
  const json document = json::parse(text.begin(), text.end(), callback, false);
  const bool envelope = document.is_object() && (document.contains("objects") ||
                                                 document.contains("more") || text.size() <= 8);
  if (too_deep || !envelope) {
    return fail(ErrorCode::io, "{}: \"{}\"",
                too_deep ? "the answer is nested too deep"
                         : "the answer is no TAXII 2.1 envelope; check the URL",
                feeds::printable(text, 60));
  }
  const auto more = document.find("more");
  page.more = more != document.end() && more->is_boolean() && more->get<bool>();
  const auto next = document.find("next");
  if (next != document.end() && (next->is_string() || next->is_number())) {
    page.next = next->is_string() ? next->get<std::string>() : next->dump();
  }
  if (page.next.size() > kNextSizeMax) {
    return fail(ErrorCode::io, "next is longer than {} bytes", kNextSizeMax);
  }
  return page;
}

Result<FetchResult> fetch_taxii(const FetchRequest& request, Advice* advice) {
  return Run(request, advice).go();
}

}  // namespace merlon::fetch
