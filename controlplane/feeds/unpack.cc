// SPDX-License-Identifier: Apache-2.0
#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <array>
#include <memory>

#include "controlplane/feeds/decode.h"
#include "controlplane/feeds/parse.h"

namespace merlon::feeds {
namespace {

using namespace std::string_view_literals;

constexpr size_t kBlock = 64 << 10;
constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kMagics = {{
    {"\x1f\x8b"sv, "gzip data"},
    {"PK\x03\x04"sv, "a zip archive"},
    {"\xfd"
     "7zXZ\x00"sv,
     "xz data"},
    {"\x28\xb5\x2f\xfd"sv, "zstd data"},
    {"7z\xbc\xaf\x27\x1c"sv, "a 7z archive"},
}};
constexpr std::array<std::string_view, 9> kNoText = {".png", ".jpg", ".jpeg", ".gif", ".pdf",
                                                     ".exe", ".dll", ".mmdb", ".ico"};

struct Closer {
  void operator()(archive* handle) const { archive_read_free(handle); }
};
using Archive = std::unique_ptr<archive, Closer>;

std::string_view kind_of(std::string_view content) {
  for (const auto& [magic, kind] : kMagics) {
    if (content.starts_with(magic)) {
      return kind;
    }
  }
  // bzip2 has its block size, 1 to 9, in the fourth byte.
  const bool bzip2 =
      content.size() > 7 && content.starts_with("BZh") && content.substr(4, 3) == "1AY";
  return bzip2 ? "bzip2 data" : "";
}

// A zip archive has its directory at the end; one that is read as a stream does not need it.
bool is_cut_zip(std::string_view content) {
  constexpr size_t kDirectoryEndMax = 22 + 65535;  // with the longest comment
  const size_t from = content.size() - std::min(content.size(), kDirectoryEndMax);
  return content.starts_with("PK\x03\x04") &&
         content.find("PK\x05\x06", from) == std::string_view::npos;
}

std::unexpected<Error> damaged(archive* handle, std::string_view content, uint64_t unpacked) {
  const char* text = archive_error_string(handle);
  return fail(ErrorCode::unsupported,
              "the content is {} that is truncated or damaged after {} unpacked bytes ({}); the "
              "download may have been cut off",
              kind_of(content), unpacked,
              printable(text != nullptr ? text : "it ends too early or is none", 120));
}

// Appends one member. `packed` is the size of the archive.
Status read_member(archive* handle, std::string_view content, const DecodeLimits& limits,
                   std::string& out) {
  std::array<char, kBlock> block;
  while (true) {
    const la_ssize_t size = archive_read_data(handle, block.data(), block.size());
    if (size == 0) {
      return {};
    }
    if (size < 0) {
      return damaged(handle, content, out.size());
    }
    out.append(block.data(), static_cast<size_t>(size));
    if (out.size() > limits.size_max_bytes) {
      return fail(ErrorCode::invalid_argument,
                  "the content is {} that unpacks to more than {} bytes; raise the feed's size "
                  "limit if that is right",
                  kind_of(content), limits.size_max_bytes);
    }
    if (out.size() > limits.ratio_free_bytes && out.size() / limits.ratio_max > content.size()) {
      return fail(ErrorCode::invalid_argument,
                  "the content is {} that expands more than {} times, as only archives made to "
                  "do harm do",
                  kind_of(content), limits.ratio_max);
    }
  }
}

bool is_text_member(archive_entry* entry) {
  if (archive_entry_filetype(entry) != AE_IFREG && archive_entry_filetype(entry) != 0) {
    return false;
  }
  const char* path = archive_entry_pathname(entry);
  const std::string_view name = path != nullptr ? path : "";
  return std::none_of(kNoText.begin(), kNoText.end(),
                      [&](std::string_view end) { return name.ends_with(end); });
}

}  // namespace

bool is_archive(std::string_view content) {
  return !kind_of(content).empty();
}

Result<std::string> unpack(std::string_view content, const DecodeLimits& limits) {
  const Archive handle(archive_read_new());
  // Each by name: "all" would include some that run another program.
  archive_read_support_filter_gzip(handle.get());
  archive_read_support_filter_bzip2(handle.get());
  archive_read_support_filter_xz(handle.get());
  archive_read_support_filter_zstd(handle.get());
  archive_read_support_format_zip_streamable(handle.get());
  archive_read_support_format_zip_seekable(handle.get());
  archive_read_support_format_7zip(handle.get());
  archive_read_support_format_tar(handle.get());
  archive_read_support_format_raw(handle.get());
  if (archive_read_open_memory(handle.get(), content.data(), content.size()) != ARCHIVE_OK) {
    return damaged(handle.get(), content, 0);
  }
  std::string out;
  uint32_t members = 0;
  while (true) {
    archive_entry* entry = nullptr;
    const int code = archive_read_next_header(handle.get(), &entry);
    if (code == ARCHIVE_EOF) {
      break;
    }
    if (code < ARCHIVE_WARN || ++members > limits.members_max) {
      return code < ARCHIVE_WARN
                 ? Result<std::string>(damaged(handle.get(), content, out.size()))
                 : Result<std::string>(fail(ErrorCode::invalid_argument,
                                            "the content is {} with more than {} members",
                                            kind_of(content), limits.members_max));
    }
    // The library unpacks gzip in gzip by itself; "none" counts as one.
    if (archive_filter_count(handle.get()) > static_cast<int>(limits.layers_max) + 1) {
      return fail(ErrorCode::invalid_argument, "the content is packed more than {} times",
                  limits.layers_max);
    }
    if (archive_entry_is_encrypted(entry) != 0) {
      return fail(ErrorCode::unsupported, "the content is {} that is locked by a password",
                  kind_of(content));
    }
    if (!is_text_member(entry)) {
      continue;
    }
    if (!out.empty() && out.back() != '\n') {
      out.push_back('\n');
    }
    const Status read = read_member(handle.get(), content, limits, out);
    if (!read) {
      return std::unexpected(read.error());
    }
  }
  // Taken for no archive by the library, or without the directory at its end.
  if (out == content || is_cut_zip(content)) {
    return damaged(handle.get(), content, out == content ? 0 : out.size());
  }
  if (members == 0 || out.empty()) {
    return fail(ErrorCode::unsupported, "the content is {} without a text in it", kind_of(content));
  }
  return out;
}

}  // namespace merlon::feeds
