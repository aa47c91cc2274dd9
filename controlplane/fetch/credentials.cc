// SPDX-License-Identifier: Apache-2.0
#include "controlplane/fetch/credentials.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "controlplane/feeds/parse.h"
#include "zones/base/bytes.h"
#include "zones/base/file.h"

namespace merlon::fetch {
namespace {

constexpr size_t kSecretSizeMax = 4096;
constexpr std::string_view kFile = "file:";
constexpr std::string_view kForms =
    "\"header NAME file:PATH\", \"basic USER file:PATH\", \"certificate CERT KEY\", "
    "\"key USER PATH\" and \"host SHA256:FINGERPRINT\", with ; between several";

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  while (true) {
    const size_t begin = text.find_first_not_of(' ');
    if (begin == std::string_view::npos) {
      return words;
    }
    const size_t end = std::min(text.find(' ', begin), text.size());
    words.emplace_back(text.substr(begin, end - begin));
    text.remove_prefix(end);
  }
}

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_';
  });
}

// What a feed's definition must never be able to set: these are how requests are framed.
bool is_ours(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name == "host" || name == "content-length" || name == "transfer-encoding" ||
         name == "connection";
}

// "file:/path" to "/path".
Result<std::string> secret_path(std::string_view what, const std::string& word) {
  const std::string path = word.starts_with(kFile) ? word.substr(kFile.size()) : "";
  if (!path.starts_with('/')) {
    // The word is not shown: it may be the secret itself.
    return fail(ErrorCode::invalid_argument,
                "credentials: {} must be in a file: write file:/absolute/path", what);
  }
  return path;
}

Status absolute(const std::string& path) {
  return path.starts_with('/')
             ? Status()
             : fail(ErrorCode::invalid_argument, "credentials: \"{}\" is no absolute path",
                    feeds::printable(path, 80));
}

Status read_statement(const std::vector<std::string>& words, Credentials& out) {
  const std::string& kind = words[0];
  if (kind == "header" && words.size() == 3) {
    if (!is_token(words[1]) || is_ours(words[1])) {
      return fail(ErrorCode::invalid_argument, "credentials: \"{}\" is no header of a request",
                  feeds::printable(words[1], 40));
    }
    const auto path = secret_path("the header's value", words[2]);
    if (!path) {
      return std::unexpected(path.error());
    }
    out.header_name = words[1];
    out.header_file = *path;
    return {};
  }
  if (kind == "basic" && words.size() == 3) {
    const auto path = secret_path("the password", words[2]);
    if (!path) {
      return std::unexpected(path.error());
    }
    out.user = words[1];
    out.password_file = *path;
    return {};
  }
  if (kind == "certificate" && words.size() == 3) {
    out.certificate_file = words[1];
    out.key_file = words[2];
    const Status first = absolute(words[1]);
    return first ? absolute(words[2]) : first;
  }
  if (kind == "key" && words.size() == 3) {
    out.user = words[1];
    out.key_file = words[2];
    return absolute(words[2]);
  }
  if (kind == "host" && words.size() == 2 && words[1].starts_with("SHA256:") &&
      words[1].size() > 40) {
    out.host_key = words[1].substr(7);
    return {};
  }
  return fail(ErrorCode::invalid_argument, "credentials: \"{} ..\" is not understood; known: {}",
              feeds::printable(kind, 20), kForms);
}

}  // namespace

Result<Credentials> parse_credentials(std::string_view text) {
  Credentials credentials;
  while (!text.empty()) {
    const size_t end = std::min(text.find(';'), text.size());
    const std::vector<std::string> words = words_of(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (words.empty()) {
      continue;
    }
    const Status read = read_statement(words, credentials);
    if (!read) {
      return std::unexpected(read.error());
    }
  }
  return credentials;
}

Status check_private(const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) {
    return errno == ENOENT
               ? Status(fail(ErrorCode::not_found, "credentials: {}: no such file", path))
               : Status(fail_errno(fmt::format("credentials: {}", path), errno));
  }
  if (!S_ISREG(info.st_mode)) {
    return fail(ErrorCode::invalid_argument, "credentials: {}: not a regular file", path);
  }
  if ((info.st_mode & 0077) != 0) {
    return fail(ErrorCode::invalid_argument,
                "credentials: {}: others may read it (mode {:o}); chmod 600 {}", path,
                info.st_mode & 0777, path);
  }
  return {};
}

Result<std::string> read_secret(const std::string& path) {
  const Status secret = check_private(path);
  if (!secret) {
    return std::unexpected(secret.error());
  }
  const auto bytes = read_file(path, kSecretSizeMax);
  if (!bytes) {
    return in("credentials", bytes.error());
  }
  std::string text(as_text(*bytes));
  text.resize(std::min(text.find_first_of("\r\n"), text.size()));
  const bool good = !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return c >= 0x20 && c != 0x7f;
  });
  if (!good) {
    return fail(ErrorCode::invalid_argument,
                "credentials: {}: its first line is empty or holds control characters", path);
  }
  return text;
}

}  // namespace merlon::fetch
