// SPDX-License-Identifier: Apache-2.0
#include "controlplane/dnssec/key_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>

#include "controlplane/dnssec/digest.h"
#include "controlplane/dnssec/state_file.h"
#include "zones/base/file.h"

namespace merlon::dnssec {
namespace {

constexpr uint64_t kFileSizeMax = 1 << 20;
constexpr size_t kFileNameMax = 200;
constexpr std::string_view kKnown = "known";
constexpr std::string_view kState = "state.json";
constexpr unsigned kOwnerOnlyFile = 0600;
constexpr unsigned kOwnerOnlyDirectory = 0700;

Status make_private(const std::string& path) {
  if (::mkdir(path.c_str(), kOwnerOnlyDirectory) != 0 && errno != EEXIST) {
    return fail_errno(fmt::format("create directory {}", path), errno);
  }
  return {};
}

// Errors: not_found; invalid_argument when others may read or write it.
Status check_private(const std::string& path) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) {
    return fail_errno(path, errno);
  }
  const bool directory = S_ISDIR(info.st_mode);
  const unsigned mode = directory ? kOwnerOnlyDirectory : kOwnerOnlyFile;
  if ((info.st_mode & 0077) != 0) {
    return fail(
        ErrorCode::invalid_argument,
        "{}: others may use it (mode {:04o}), so its keys may be known; `chmod {:o} {}`, and "
        "roll the keys over when somebody may have read them",
        path, info.st_mode & 07777u, mode, path);
  }
  if (info.st_uid != ::geteuid() && ::geteuid() != 0) {
    return fail(ErrorCode::invalid_argument, "{}: belongs to user {}, not to this process ({})",
                path, info.st_uid, ::geteuid());
  }
  if (!directory && !S_ISREG(info.st_mode)) {
    return fail(ErrorCode::invalid_argument, "{}: not a regular file", path);
  }
  return {};
}

Result<std::vector<uint8_t>> read_private(const std::string& path) {
  if (auto checked = check_private(path); !checked) {
    return std::unexpected(checked.error());
  }
  return read_file(path, kFileSizeMax);
}

std::optional<uint32_t> id_of_key_file(std::string_view name) {
  constexpr std::string_view kPrefix = "key-";
  constexpr std::string_view kSuffix = ".pem";
  if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) {
    return std::nullopt;
  }
  uint32_t id = 0;
  for (const char digit :
       name.substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size())) {
    if (digit < '0' || digit > '9') {
      return std::nullopt;
    }
    id = id * 10 + static_cast<uint32_t>(digit - '0');
  }
  return id;
}

bool exists(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(path, error);
}

}  // namespace

std::string file_name_of(const name::Name& apex) {
  std::string out;
  for (const char c : apex.folded().to_text()) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<uint8_t>(c));
  }
  if (out == ".") {
    return "%2E";
  }
  if (out.size() > kFileNameMax) {
    return "%" + to_hex(sha256({apex.folded().wire()}));
  }
  out.pop_back();  // the final dot
  return out == kKnown ? "%" + out : out;
}

Result<KeyStore> KeyStore::open(const std::string& directory) {
  KeyStore store(directory);
  const auto parent = std::filesystem::path(directory).parent_path();
  if (auto made = parent.empty() ? Status{} : make_directories(parent.string()); !made) {
    return std::unexpected(made.error());
  }
  for (const std::string& path : {directory, fmt::format("{}/{}", directory, kKnown)}) {
    if (auto made = make_private(path); !made) {
      return std::unexpected(made.error());
    }
    if (auto checked = check_private(path); !checked) {
      return std::unexpected(checked.error());
    }
  }
  return store;
}

std::string KeyStore::zone_directory(const name::Name& apex) const {
  return fmt::format("{}/{}", directory_, file_name_of(apex));
}

std::string KeyStore::key_path(const name::Name& apex, uint32_t id) const {
  return fmt::format("{}/key-{}.pem", zone_directory(apex), id);
}

Result<ZoneKeys> KeyStore::load(const name::Name& apex) const {
  const std::string directory = zone_directory(apex);
  const std::string state_path = fmt::format("{}/{}", directory, kState);
  if (!exists(state_path)) {
    if (exists(fmt::format("{}/{}/{}", directory_, kKnown, file_name_of(apex)))) {
      return fail(ErrorCode::conflict,
                  "zone {}: its keys are gone: {} is missing; restore the directory from a backup, "
                  "or remove {}/{}/{} too, to begin with new keys and a new trust anchor",
                  apex.to_text(), state_path, directory_, kKnown, file_name_of(apex));
    }
    return fail(ErrorCode::not_found, "zone {} has no keys", apex.to_text());
  }
  if (auto checked = check_private(directory); !checked) {
    return in(fmt::format("zone {}", apex.to_text()), checked.error());
  }
  const auto text = read_private(state_path);
  if (!text) {
    return in(fmt::format("zone {}", apex.to_text()), text.error());
  }
  auto zone = parse_state(apex, as_text(*text));
  if (!zone) {
    return in(fmt::format("zone {}: {}", apex.to_text(), state_path), zone.error());
  }
  return zone;
}

Result<PrivateKey> KeyStore::read_key(const name::Name& apex, const KeyState& state) const {
  const std::string path = key_path(apex, state.id);
  const std::string context = fmt::format("zone {}: {} with tag {}", apex.to_text(),
                                          to_string(state.role), key_tag(state.dnskey()));
  const auto pem = read_private(path);
  if (!pem) {
    Error error = pem.error().in(context);
    if (error.code == ErrorCode::not_found) {
      error.message += "; restore the key from a backup: nothing is published without it";
    }
    return std::unexpected(error);
  }
  auto key = PrivateKey::from_pem(as_text(*pem));
  if (!key) {
    return in(fmt::format("{}: {}", context, path), key.error());
  }
  if (key->algorithm() != state.algorithm ||
      !std::ranges::equal(key->public_key(), state.public_key)) {
    return fail(ErrorCode::conflict, "{}: {} holds another key; restore the one from the backup",
                context, path);
  }
  return key;
}

Status KeyStore::generate_missing(const name::Name& apex, ZoneKeys& zone) const {
  for (KeyState& state : zone.keys) {
    if (!state.public_key.empty()) {
      continue;
    }
    Result<PrivateKey> key = PrivateKey::generate(state.algorithm);
    // Two keys with one tag make validators try both, and people mistake one for the other.
    const auto is_taken = [&](const KeyState& other) {
      return !other.public_key.empty() &&
             key_tag(other.dnskey()) ==
                 key_tag(dnskey_rdata(flags_of(state.role), state.algorithm, key->public_key()));
    };
    while (key && std::ranges::any_of(zone.keys, is_taken)) {
      key = PrivateKey::generate(state.algorithm);
    }
    if (!key) {
      return std::unexpected(key.error());
    }
    const auto pem = key->to_pem();
    if (!pem) {
      return std::unexpected(pem.error());
    }
    if (auto done = write_file_durably(key_path(apex, state.id), as_bytes(*pem), kOwnerOnlyFile);
        !done) {
      return done;
    }
    state.public_key.assign(key->public_key().begin(), key->public_key().end());
  }
  return {};
}

Status KeyStore::save(const name::Name& apex, ZoneKeys& zone) const {
  const std::string directory = zone_directory(apex);
  const auto failed = [&](const Error& error) {
    return in(fmt::format("zone {}: keep its keys", apex.to_text()), error);
  };
  if (auto made = make_private(directory); !made) {
    return failed(made.error());
  }
  if (auto checked = check_private(directory); !checked) {
    return failed(checked.error());
  }
  if (auto done = generate_missing(apex, zone); !done) {
    return failed(done.error());
  }
  const std::string text = to_state_text(apex, zone);
  if (auto done = write_file_durably(fmt::format("{}/{}", directory, kState), as_bytes(text),
                                     kOwnerOnlyFile);
      !done) {
    return failed(done.error());
  }
  const std::string known = fmt::format("{}/{}/{}", directory_, kKnown, file_name_of(apex));
  const int fd = ::open(known.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, kOwnerOnlyFile);
  if (fd < 0) {
    return fail_errno(fmt::format("create {}", known), errno);
  }
  ::close(fd);
  remove_unused(apex, zone);
  return {};
}

void KeyStore::remove_unused(const name::Name& apex, const ZoneKeys& zone) const {
  std::error_code error;
  std::vector<std::string> unused;
  for (std::filesystem::directory_iterator at(zone_directory(apex), error), end;
       !error && at != end; at.increment(error)) {
    const auto id = id_of_key_file(at->path().filename().string());
    if (id && std::ranges::find(zone.keys, *id, &KeyState::id) == zone.keys.end()) {
      unused.push_back(at->path().string());
    }
  }
  for (const std::string& path : unused) {
    std::filesystem::remove(path, error);
  }
}

std::vector<name::Name> KeyStore::zones() const {
  std::vector<name::Name> found;
  std::error_code error;
  for (std::filesystem::directory_iterator at(directory_, error), end; !error && at != end;
       at.increment(error)) {
    const std::string file = at->path().filename().string();
    if (file == kKnown || !at->is_directory(error)) {
      continue;
    }
    // The name is in the state: the directory's may be a hash.
    const auto text = read_file(fmt::format("{}/{}", at->path().string(), kState), kFileSizeMax);
    const auto zone = text ? zone_of_state(as_text(*text)) : std::nullopt;
    if (zone && file_name_of(*zone) == file) {
      found.push_back(*zone);
    }
  }
  return found;
}

}  // namespace merlon::dnssec
