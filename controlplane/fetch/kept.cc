// SPDX-License-Identifier: Apache-2.0
// The file: a line that says of which URL it is (by hash, for URLs may hold secrets), then records
//   KIND KEY_SIZE VERSION_SIZE TEXT_SIZE \n key version text
// and the hash of all before it.
#include "controlplane/fetch/kept.h"

#include <array>
#include <charconv>
#include <optional>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "zones/base/file.h"

namespace merlon::fetch {
namespace {

constexpr size_t kDigestSize = 16;
constexpr uint64_t kOverheadMax = 64 << 20;  // of keys, versions and facts
constexpr char kFact = 'F';
constexpr char kItem = 'I';

std::string digest_of(std::string_view text) {
  return fmt::format("{:016x}", XXH3_64bits(text.data(), text.size()));
}

std::string first_line(std::string_view url) {
  return fmt::format("merlon-kept 1 {}\n", digest_of(url));
}

std::string path_in(const FetchRequest& request) {
  return request.directory + "/kept";
}

struct Record {
  char kind = 0;
  std::string_view key;
  std::string_view version;
  std::string_view text;
};

void append(std::string& out, const Record& record) {
  out += fmt::format("{} {} {} {}\n", record.kind, record.key.size(), record.version.size(),
                     record.text.size());
  out += record.key;
  out += record.version;
  out += record.text;
}

// Takes one record off the front; nullopt: that is none.
std::optional<Record> take(std::string_view& rest) {
  const size_t end = rest.find('\n');
  if (end == std::string_view::npos || end < 2) {
    return std::nullopt;
  }
  Record record;
  record.kind = rest[0];
  std::array<size_t, 3> sizes{};
  const char* at = rest.data() + 1;
  const char* const stop = rest.data() + end;
  for (size_t& size : sizes) {
    if (at == stop || *at != ' ') {
      return std::nullopt;
    }
    const auto [next, error] = std::from_chars(at + 1, stop, size);
    if (error != std::errc()) {
      return std::nullopt;
    }
    at = next;
  }
  rest.remove_prefix(end + 1);
  std::array<std::string_view, 3> parts;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (sizes[i] > rest.size()) {
      return std::nullopt;
    }
    parts[i] = rest.substr(0, sizes[i]);
    rest.remove_prefix(sizes[i]);
  }
  record.key = parts[0];
  record.version = parts[1];
  record.text = parts[2];
  return at == stop ? std::optional(record) : std::nullopt;
}

}  // namespace

std::string Kept::fact(const std::string& name) const {
  const auto found = facts.find(name);
  return found == facts.end() ? std::string() : found->second;
}

uint64_t Kept::size() const {
  uint64_t size = 0;
  for (const auto& [key, item] : items) {
    size += item.text.size();
  }
  return size;
}

std::string write_kept(std::string_view url, const Kept& kept) {
  std::string out = first_line(url);
  out.reserve(kept.size() + kept.items.size() * 128 + 1024);
  for (const auto& [name, value] : kept.facts) {
    append(out, {.kind = kFact, .key = name, .version = "", .text = value});
  }
  for (const auto& [key, item] : kept.items) {
    append(out, {.kind = kItem, .key = key, .version = item.version, .text = item.text});
  }
  return out + digest_of(out);
}

Kept read_kept(std::string_view url, std::string_view text) {
  const std::string first = first_line(url);
  if (!text.starts_with(first) || text.size() < first.size() + kDigestSize) {
    return {};
  }
  const std::string_view digest = text.substr(text.size() - kDigestSize);
  text.remove_suffix(kDigestSize);
  if (digest_of(text) != digest) {
    return {};
  }
  Kept kept;
  for (text.remove_prefix(first.size()); !text.empty();) {
    const auto record = take(text);
    if (!record) {
      return {};
    }
    if (record->kind == kFact) {
      kept.facts.emplace(record->key, record->text);
    } else {
      kept.items.emplace(record->key, Kept::Item{.version = std::string(record->version),
                                                 .text = std::string(record->text)});
    }
  }
  return kept;
}

Kept load_kept(const FetchRequest& request) {
  if (request.directory.empty()) {
    return {};
  }
  const auto bytes = read_file(path_in(request), request.size_max_bytes + kOverheadMax);
  return bytes ? read_kept(request.url, as_text(*bytes)) : Kept{};
}

Status save_kept(const FetchRequest& request, const Kept& kept) {
  if (request.directory.empty()) {
    return {};
  }
  if (auto made = make_directories(request.directory); !made) {
    return made;
  }
  return write_file_durably(path_in(request), as_bytes(write_kept(request.url, kept)), 0600);
}

Result<FetchResult> as_result(std::vector<uint8_t> body, std::vector<std::string> notes,
                              const FetchRequest& request) {
  FetchResult result;
  result.notes = std::move(notes);
  result.etag = fmt::format("\"{}\"", digest_of(as_text(body)));
  if (result.etag == request.etag) {
    result.outcome = FetchResult::Outcome::not_modified;
    return result;
  }
  result.memory = MemoryBudget::Share(request.memory);
  if (result.memory.grow_to(body.size(), request.stop) == MemoryBudget::Share::Grown::stopped) {
    return fail(ErrorCode::busy, "fetch {}: given up because we stop",
                url_for_display(request.url));
  }
  result.body = std::move(body);
  return result;
}

std::string inner_url(std::string_view url) {
  return std::string(url.substr(url.find('+') + 1));
}

}  // namespace merlon::fetch
