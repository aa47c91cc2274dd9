// SPDX-License-Identifier: Apache-2.0
#include "zones/snapshot/directory.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "zones/base/file.h"

namespace merlon::snapshot {
namespace {

constexpr uint64_t kManifestSizeMax = uint64_t{64} << 20;
constexpr std::string_view kManifestSuffix = ".manifest";

bool parse_generation(std::string_view text, uint64_t& out) {
  if (text.empty() || text[0] == '0') {
    return false;
  }
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

}  // namespace

std::string Directory::segment_path(const ContentHash& hash) const {
  return fmt::format("{}/{}.seg", segments_path(), hash.to_text());
}

std::string Directory::manifest_path(uint64_t generation) const {
  return fmt::format("{}/{}{}", manifests_path(), generation, kManifestSuffix);
}

Result<uint64_t> Directory::current() const {
  const auto content = read_file(current_path(), 64);
  if (!content) {
    if (content.error().code == ErrorCode::not_found) {
      return fail(ErrorCode::not_found, "{}: nothing is published yet", current_path());
    }
    return std::unexpected(content.error());
  }
  const std::string_view text = as_text(*content);
  uint64_t generation = 0;
  if (text.empty() || text.back() != '\n' ||
      !parse_generation(text.substr(0, text.size() - 1), generation)) {
    return fail(ErrorCode::corruption, "{} at offset 0: does not name a generation",
                current_path());
  }
  return generation;
}

Result<std::vector<uint64_t>> Directory::generations() const {
  std::vector<uint64_t> generations;
  std::error_code error;
  for (auto at = std::filesystem::directory_iterator(manifests_path(), error);
       !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
    const std::string file = at->path().filename().string();
    uint64_t generation = 0;
    if (file.ends_with(kManifestSuffix) &&
        parse_generation(std::string_view(file).substr(0, file.size() - kManifestSuffix.size()),
                         generation)) {
      generations.push_back(generation);
    }
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return fail(ErrorCode::io, "list {}: {}", manifests_path(), error.message());
  }
  std::sort(generations.begin(), generations.end());
  return generations;
}

Result<Manifest> Directory::manifest(uint64_t generation, const PublicKey& trusted) const {
  const std::string path = manifest_path(generation);
  const auto content = read_file(path, kManifestSizeMax);
  if (!content) {
    return std::unexpected(content.error());
  }
  auto manifest = Manifest::parse(as_text(*content), trusted);
  if (!manifest) {
    return in(path, manifest.error());
  }
  if (manifest->generation != generation) {
    return fail(ErrorCode::corruption, "{}: manifest line 2: is generation {}", path,
                manifest->generation);
  }
  return manifest;
}

}  // namespace merlon::snapshot
