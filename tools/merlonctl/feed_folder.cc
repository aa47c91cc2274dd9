// SPDX-License-Identifier: Apache-2.0
#include "tools/merlonctl/feed_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "tools/merlonctl/client.h"
#include "tools/merlonctl/table.h"
#include "zones/base/bytes.h"
#include "zones/base/file.h"

namespace merlon::merlonctl {
namespace {

namespace fs = std::filesystem;

constexpr size_t kIdSizeMax = 40;
constexpr uint64_t kIndexSizeMax = 16 << 20;

void trim_dashes(std::string& id) {
  while (!id.empty() && id.back() == '-') {
    id.pop_back();
  }
  id.erase(0, std::min(id.find_first_not_of('-'), id.size()));
}

// "a".."z", "aa".. : letters, because "x-1" would look like a part of the split list "x".
std::string letters(size_t number) {
  std::string text;
  for (size_t rest = number + 1; rest > 0; rest = (rest - 1) / 26) {
    text.insert(text.begin(), static_cast<char>('a' + (rest - 1) % 26));
  }
  return text;
}

void append_suffix(std::string& id, const std::string& suffix) {
  id.resize(std::min(id.size(), kIdSizeMax - suffix.size()));
  trim_dashes(id);
  id += suffix;
}

bool is_feed_file(const fs::directory_entry& entry) {
  const std::string name = entry.path().filename().string();
  std::error_code error;
  return entry.is_regular_file(error) && !error && !name.starts_with('.') && name != "INDEX.tsv" &&
         !name.starts_with("README") && !name.ends_with(".md");
}

FolderFeed make_feed(const fs::path& directory, const std::string& file, const Json& own,
                     const Json& defaults, std::set<std::string>& taken) {
  Json definition = Json::object();
  definition["id"] = own.contains("id") ? own.at("id") : Json(make_id(file, taken));
  definition["url"] = file_url((directory / file).string());
  definition.update(defaults);
  for (const auto& item : own.items()) {
    if (item.key() != "file") {
      definition[item.key()] = item.value();
    }
  }
  return {file, std::move(definition)};
}

// An entry's own form is judged by the API; here only what this tool needs of it.
Outcome<std::vector<FolderFeed>> from_index(const fs::path& directory, const Json& defaults) {
  const std::string path = (directory / "feeds.json").string();
  const Result<std::vector<uint8_t>> bytes = read_file(path, kIndexSizeMax);
  if (!bytes) {
    return failed(fmt::format("{}: {}", path, bytes.error().message));
  }
  Json index;
  try {
    index = Json::parse(as_text(*bytes));
  } catch (const Json::exception& exception) {
    return failed(fmt::format("{} is not JSON: {}", path, printable(exception.what())));
  }
  if (!index.is_array()) {
    return failed(fmt::format("{} must be an array of definitions with a \"file\" key", path));
  }
  std::set<std::string> taken;
  for (const Json& own : index) {
    if (own.is_object() && own.contains("id") && own.at("id").is_string()) {
      taken.insert(own.at("id").get<std::string>());
    }
  }
  std::vector<FolderFeed> feeds;
  for (const Json& own : index) {
    const bool names_file = own.is_object() && own.contains("file") && own.at("file").is_string();
    const std::string file = names_file ? own.at("file").get<std::string>() : "";
    if (file.empty() || fs::path(file).is_absolute()) {
      return failed(fmt::format("{}: entry {} must have a \"file\" key that names a file in {}",
                                path, feeds.size(), directory.string()));
    }
    feeds.push_back(make_feed(directory, file, own, defaults, taken));
  }
  return feeds;
}

}  // namespace

std::string make_id(std::string_view file, std::set<std::string>& taken) {
  std::string id;
  for (const char c : file) {
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    const bool plain = (lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9');
    if (plain || (!id.empty() && id.back() != '-')) {
      id.push_back(plain ? lower : '-');
    }
  }
  id.resize(std::min(id.size(), kIdSizeMax));
  trim_dashes(id);
  if (id.empty()) {
    id = "feed";
  }
  const size_t dash = id.rfind('-');
  if (dash != std::string::npos && id.find_first_not_of("0123456789", dash + 1) == id.npos) {
    append_suffix(id, "x");  // "list-2024": a number after the dash is the compiler's to give
  }
  const std::string base = id;
  for (size_t number = 1; !taken.insert(id).second; ++number) {
    id = base;
    append_suffix(id, "-" + letters(number));
  }
  return id;
}

std::string file_url(const std::string& path) {
  std::string url = "file://";
  size_t at = 0;
  while (at < path.size()) {
    const size_t slash = std::min(path.find('/', at), path.size());
    url += escaped(std::string_view(path).substr(at, slash - at));
    url += slash < path.size() ? "/" : "";
    at = slash + 1;
  }
  return url;
}

Outcome<std::vector<FolderFeed>> read_folder(const std::string& directory, const Json& defaults) {
  std::error_code error;
  const fs::path absolute = fs::canonical(directory, error);
  if (error || !fs::is_directory(absolute, error)) {
    return failed(fmt::format("--dir {}: {}", printable(directory),
                              error ? error.message() : "is not a directory"));
  }
  if (fs::exists(absolute / "feeds.json", error)) {
    return from_index(absolute, defaults);
  }
  std::vector<std::string> files;
  fs::directory_iterator entries(absolute, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    if (is_feed_file(*entries)) {
      files.push_back(entries->path().filename().string());
    }
  }
  if (error) {
    return failed(fmt::format("--dir {}: {}", printable(directory), error.message()));
  }
  std::sort(files.begin(), files.end());
  std::vector<FolderFeed> feeds;
  std::set<std::string> taken;
  for (const std::string& file : files) {
    feeds.push_back(make_feed(absolute, file, Json::object(), defaults, taken));
  }
  return feeds;
}

}  // namespace merlon::merlonctl
