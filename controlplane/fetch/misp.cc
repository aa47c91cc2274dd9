// SPDX-License-Identifier: Apache-2.0
#include "controlplane/fetch/misp.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <set>

#include "controlplane/feeds/json_path.h"
#include "controlplane/feeds/parse.h"
#include "controlplane/fetch/kept.h"
#include "controlplane/fetch/local.h"
#include "controlplane/fetch/transfer.h"

namespace merlon::fetch {
namespace {

using nlohmann::json;
using Outcome = FetchResult::Outcome;

constexpr uint64_t kManifestSizeMax = 32 << 20;
constexpr size_t kNotesMax = 20;
constexpr unsigned kFailuresInARow = 3;  // of the server, not of an event
constexpr int kEventDepthMax = static_cast<int>(feeds::kJsonDepthMax) - 1;  // it becomes an item

bool is_uuid(std::string_view text) {
  constexpr std::string_view kShape = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
  if (text.size() != kShape.size()) {
    return false;
  }
  for (size_t i = 0; i < text.size(); ++i) {
    const bool dash = kShape[i] == '-';
    if (dash ? text[i] != '-' : std::isxdigit(static_cast<unsigned char>(text[i])) == 0) {
      return false;
    }
  }
  return true;
}

// A number, or a text with one; 0: neither.
int64_t timestamp_of(const json& event) {
  const auto found = event.find("timestamp");
  int64_t value = 0;
  if (found != event.end() && found->is_number_unsigned() && found->get<uint64_t>() <= INT64_MAX) {
    value = found->get<int64_t>();
  } else if (found != event.end() && found->is_string()) {
    const auto& text = found->get_ref<const std::string&>();
    std::from_chars(text.data(), text.data() + text.size(), value);
  }
  return std::max<int64_t>(value, 0);
}

std::string_view without_mark(std::string_view text) {
  return text.starts_with("\xef\xbb\xbf") ? text.substr(3) : text;
}

// Where the folder is: "https://host/path/" and what follows file names, "?key=..".
struct Place {
  std::string folder;
  std::string query;
};

Result<Place> place_of(const FetchRequest& request) {
  Place place;
  place.folder = inner_url(request.url.substr(0, request.url.find('#')));
  const size_t question = std::min(place.folder.find('?'), place.folder.size());
  place.query = place.folder.substr(question);
  place.folder.resize(question);
  constexpr std::string_view kManifest = "/manifest.json";
  if (place.folder.ends_with(kManifest)) {
    place.folder.resize(place.folder.size() - kManifest.size() + 1);
  }
  if (!place.folder.ends_with('/')) {
    return fail(ErrorCode::invalid_argument,
                "fetch {}: a MISP feed is a folder: end the URL with a slash",
                url_for_display(request.url));
  }
  return place;
}

// One time through what the manifest names.
class Run {
 public:
  Run(const FetchRequest& request, Place place, Advice* advice)
      : request_(request),
        place_(std::move(place)),
        advice_(advice),
        shown_(url_for_display(request.url)),
        deadline_(deadline_of(request)),
        kept_(load_kept(request)) {}
  Result<FetchResult> go();

 private:
  Result<FetchResult> get(const std::string& name, uint64_t size_max, bool conditional);
  Result<FetchResult> get_file(const FetchRequest& one);
  Result<MispManifest> get_manifest(bool& same);
  Status take_events(const MispManifest& manifest);
  Status take_event(const MispManifest::Event& event);
  Status out_of_time(size_t left) const;
  void note(std::string text);
  std::vector<uint8_t> body() const;

  const FetchRequest& request_;
  const Place place_;
  Advice* advice_;
  const std::string shown_;
  const Deadline deadline_;
  Kept kept_;
  uint64_t size_ = 0;
  bool changed_ = false;
  std::vector<std::string> notes_;
  uint64_t noted_count_ = 0;
};

void Run::note(std::string text) {
  if (++noted_count_ <= kNotesMax) {
    notes_.push_back(std::move(text));
  }
}

Result<FetchResult> Run::get_file(const FetchRequest& one) {
  const auto path = path_of(one.url);
  return path ? fetch_at(*path, one) : Result<FetchResult>(std::unexpected(path.error()));
}

Result<FetchResult> Run::get(const std::string& name, uint64_t size_max, bool conditional) {
  FetchRequest one = request_;
  one.url = place_.folder + name + place_.query;
  one.etag = conditional ? kept_.fact("etag") : "";
  one.last_modified = conditional ? kept_.fact("last_modified") : "";
  one.size_max_bytes = std::min(request_.size_max_bytes, size_max);
  one.memory = nullptr;
  if (one.url.starts_with("file:")) {
    one.url = place_.folder + name;
    return get_file(one);
  }
  auto answer = transfer(one, {.deadline = deadline_}, advice_);
  return answer ? Result<FetchResult>(std::move(answer->result)) : std::unexpected(answer.error());
}

Result<MispManifest> Run::get_manifest(bool& same) {
  const auto got = get("manifest.json", kManifestSizeMax, true);
  if (!got) {
    return std::unexpected(got.error());
  }
  same = got->outcome == Outcome::not_modified;
  if (same) {
    return MispManifest{};
  }
  auto manifest = read_misp_manifest(as_text(got->body));
  if (!manifest) {
    return in(fmt::format("fetch {}manifest.json", shown_), manifest.error());
  }
  kept_.facts["etag"] = got->etag;
  kept_.facts["last_modified"] = got->last_modified;
  return manifest;
}

Status Run::take_event(const MispManifest::Event& event) {
  auto got = get(event.uuid + ".json", request_.size_max_bytes, false);
  if (!got) {
    return std::unexpected(got.error());
  }
  std::string text(without_mark(as_text(got->body)));
  if (auto good = check_misp_event(text); !good) {
    // Not the server's failure, which would be io.
    return fail(ErrorCode::invalid_argument, "fetch {}{}.json: {}", shown_, event.uuid,
                good.error().message);
  }
  // One line, for what shows the line that a value is on. No JSON text has these in a string.
  std::replace_if(text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  Kept::Item& item = kept_.items[event.uuid];
  size_ += text.size();
  size_ -= item.text.size();
  item = {.version = fmt::format("{}", event.timestamp), .text = std::move(text)};
  changed_ = true;
  return {};
}

Status Run::out_of_time(size_t left) const {
  const bool stopped = request_.stop != nullptr && *request_.stop;
  if (!stopped && std::chrono::steady_clock::now() < deadline_) {
    return {};
  }
  return fail(ErrorCode::busy, "fetch {}: {} with {} events to go; {}", shown_,
              stopped ? "stopped" : fmt::format("{} s (time limit) are over", request_.timeout_s),
              left,
              request_.directory.empty() ? "raise the feed's timeout_s"
                                         : "those that came are kept, the next time goes on");
}

Status Run::take_events(const MispManifest& manifest) {
  unsigned failures = 0;
  size_t left = manifest.events.size();
  for (const MispManifest::Event& event : manifest.events) {
    const auto found = kept_.items.find(event.uuid);
    --left;
    if (found != kept_.items.end() && found->second.version == fmt::format("{}", event.timestamp)) {
      continue;
    }
    const Status taken = take_event(event);
    if (size_ > request_.size_max_bytes) {
      return too_large(shown_, request_.size_max_bytes);
    }
    if (auto in_time = out_of_time(left); !in_time) {
      return in_time;
    }
    if (taken) {
      failures = 0;
      continue;
    }
    note(taken.error().message);
    const bool server =
        taken.error().code == ErrorCode::io || taken.error().code == ErrorCode::busy;
    failures = server ? failures + 1 : 0;
    if (failures == kFailuresInARow) {
      return taken;
    }
  }
  return {};
}

std::vector<uint8_t> Run::body() const {
  std::vector<uint8_t> body;
  body.reserve(size_ + kept_.items.size() * 2 + 8);
  const auto add = [&](std::string_view text) {
    body.insert(body.end(), text.begin(), text.end());
  };
  add("[");
  bool first = true;
  for (const auto& [uuid, item] : kept_.items) {
    add(first ? "\n" : ",\n");
    add(item.text);
    first = false;
  }
  add("\n]\n");
  return body;
}

Result<FetchResult> Run::go() {
  bool same = false;
  const auto manifest = get_manifest(same);
  if (!manifest) {
    return std::unexpected(manifest.error());
  }
  Status taken;
  if (!same) {
    std::set<std::string_view> named;
    for (const MispManifest::Event& event : manifest->events) {
      named.insert(event.uuid);
    }
    changed_ |= std::erase_if(kept_.items,
                              [&](const auto& item) { return !named.contains(item.first); }) > 0;
    if (manifest->refused_count > 0) {
      note(
          fmt::format("{}: {} entries of the manifest were not taken: no UUID, no timestamp, or "
                      "beyond the newest {}",
                      shown_, manifest->refused_count, kMispEventsMax));
    }
    size_ = kept_.size();
    taken = take_events(*manifest);
    if (!taken || noted_count_ > 0) {  // something is to be asked for again
      kept_.facts.clear();
    }
    if (auto saved = save_kept(request_, kept_); !saved) {
      return in(fmt::format("fetch {}", shown_), saved.error());
    }
  }
  if (!taken) {
    return std::unexpected(taken.error());
  }
  if (kept_.items.empty() && !notes_.empty()) {
    return fail(ErrorCode::io, "fetch {}: none of {} events could be had: {}", shown_,
                manifest->events.size(), notes_.front());
  }
  if (noted_count_ > kNotesMax) {
    notes_.push_back(fmt::format("{}: and {} more", shown_, noted_count_ - kNotesMax));
  }
  return as_result(body(), std::move(notes_), request_);
}

}  // namespace

Result<MispManifest> read_misp_manifest(std::string_view text) {
  MispManifest manifest;
  std::string key;
  const auto callback = [&](int depth, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::key && depth == 1) {
      key = parsed.get<std::string>();
    } else if (event == json::parse_event_t::key && depth == 2) {
      return parsed == "timestamp";
    } else if (event == json::parse_event_t::object_end && depth == 1) {
      const int64_t timestamp = is_uuid(key) ? timestamp_of(parsed) : 0;
      if (timestamp > 0) {
        manifest.events.push_back({.uuid = key, .timestamp = timestamp});
      } else {
        ++manifest.refused_count;
      }
      return false;
    }
    return depth < 3;
  };
  text = without_mark(text);
  const json document = json::parse(text.begin(), text.end(), callback, false);
  if (!document.is_object()) {
    return fail(ErrorCode::io, "no MISP manifest: \"{}\"", feeds::printable(text, 60));
  }
  auto& events = manifest.events;
  std::stable_sort(events.begin(), events.end(),
                   [](const auto& a, const auto& b) { return a.timestamp > b.timestamp; });
  if (events.size() > kMispEventsMax) {
    manifest.refused_count += events.size() - kMispEventsMax;
    events.resize(kMispEventsMax);
  }
  return manifest;
}

Status check_misp_event(std::string_view text) {
  bool event = false;
  bool too_deep = false;
  const auto callback = [&](int depth, json::parse_event_t kind, json& parsed) {
    too_deep |= depth > kEventDepthMax;
    event |= kind == json::parse_event_t::key && depth == 1 &&
             (parsed == "Event" || parsed == "response");
    const bool end =
        kind == json::parse_event_t::object_end || kind == json::parse_event_t::array_end;
    return !too_deep && !(end && depth > 0);
  };
  const json document = json::parse(text.begin(), text.end(), callback, false);
  if (too_deep) {
    return fail(ErrorCode::io, "the event is nested too deep");
  }
  if (!document.is_object() || !event) {
    return fail(ErrorCode::io, "no MISP event: \"{}\"", feeds::printable(text, 60));
  }
  return {};
}

Result<FetchResult> fetch_misp(const FetchRequest& request, Advice* advice) {
  auto place = place_of(request);
  if (!place) {
    return std::unexpected(place.error());
  }
  return Run(request, std::move(*place), advice).go();
}

}  // namespace merlon::fetch
