// SPDX-License-Identifier: Apache-2.0
#include "controlplane/zonefile/zone_file.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "controlplane/zonefile/rdata.h"
#include "controlplane/zonefile/text.h"
#include "zones/base/bytes.h"
#include "zones/base/file.h"
#include "zones/wire/wire.h"

namespace merlon::zonefile {
namespace {

std::string directory_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

// The path without links and dots; "" when there is no such file.
std::string real_path(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr),
                                                         &std::free);
  return real != nullptr ? std::string(real.get()) : std::string();
}

bool is_equal_folded(std::string_view a, std::string_view upper) {
  return std::ranges::equal(
      a, upper, {}, [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
}

class FileReader {
 public:
  explicit FileReader(const ReadOptions& options) : options_(options) {
    if (options.apex) {
      assembler_.emplace(*options.apex);
    }
  }

  Status read_file_at(const std::string& path, Bytes origin, unsigned depth);
  Status read_text(std::string_view text, FileState state, Bytes origin, unsigned depth);
  Result<ZoneData> finish(std::string_view file_name);

 private:
  // What holds from here to the end of one file.
  struct Scope {
    uint32_t file = 0;
    unsigned depth = 0;
    std::string path;
    std::vector<uint8_t> origin;  // empty: none
  };

  std::unexpected<Error> fault(const Scope& scope, uint32_t line, std::string_view text) const {
    return std::unexpected(
        Error{ErrorCode::invalid_argument, fmt::format("{}:{}: {}", scope.path, line, text)});
  }
  Status directive(const Entry& entry, Scope& scope);
  Status include(const Entry& entry, Scope& scope);
  Status record(const Entry& entry, const Scope& scope);
  // [TTL] [class] type in any order before the type; `at` moves behind the type.
  Status read_fixed(const Entry& entry, const Scope& scope, size_t& at);
  Status settle_ttl(const Entry& entry, const Scope& scope, bool given);
  std::string record_text(uint16_t type) const;

  const ReadOptions& options_;
  std::optional<ZoneAssembler> assembler_;  // none before the apex is known
  std::vector<FileState> files_before_apex_;
  uint32_t file_count_ = 0;
  uint64_t size_ = 0;
  std::optional<uint32_t> default_ttl_;  // of $TTL
  std::optional<uint32_t> last_ttl_;
  WireName owner_{};  // size 0: there was none yet
  uint16_t type_ = 0;
  uint32_t ttl_ = 0;
  bool ttl_given_ = false;
  std::vector<uint8_t> data_;
};

Status FileReader::read_file_at(const std::string& path, Bytes origin, unsigned depth) {
  const auto state = file_state(path);
  if (!state) {
    return std::unexpected(state.error());
  }
  if (state->size > options_.size_max - std::min(size_, options_.size_max)) {
    return fail(ErrorCode::invalid_argument, "{}: a zone of more than {} bytes", path,
                options_.size_max);
  }
  const auto bytes = merlon::read_file(path, options_.size_max - size_);
  if (!bytes) {
    return std::unexpected(bytes.error());
  }
  return read_text(as_text(*bytes), *state, origin, depth);
}

Status FileReader::read_text(std::string_view text, FileState state, Bytes origin, unsigned depth) {
  size_ += text.size();
  if (file_count_ == options_.include_count_max) {
    return fail(ErrorCode::invalid_argument, "{}: more than {} files in one zone", state.path,
                options_.include_count_max);
  }
  Scope scope{.file = file_count_++,
              .depth = depth,
              .path = state.path,
              .origin = {origin.begin(), origin.end()}};
  if (assembler_) {
    assembler_->add_file(std::move(state));
  } else {
    files_before_apex_.push_back(std::move(state));
  }
  EntryReader reader(text);
  Entry entry;
  while (reader.next(entry)) {
    const Token& first = entry.tokens[0];
    const bool is_directive = !first.quoted && !entry.without_owner && first.text[0] == '$';
    auto done = is_directive ? directive(entry, scope) : record(entry, scope);
    if (!done) {
      return done;
    }
  }
  return reader.fault().empty() ? Status() : fault(scope, reader.fault_line(), reader.fault());
}

Status FileReader::directive(const Entry& entry, Scope& scope) {
  const std::string_view word = entry.tokens[0].text;
  if (is_equal_folded("$INCLUDE", word)) {
    return include(entry, scope);
  }
  if (is_equal_folded("$ORIGIN", word)) {
    WireName origin;
    if (entry.tokens.size() != 2) {
      return fault(scope, entry.line, "$ORIGIN takes one name");
    }
    if (const auto wrong = read_name(entry.tokens[1], scope.origin, origin); !wrong.empty()) {
      return fault(scope, entry.line, fmt::format("$ORIGIN: {}", wrong));
    }
    scope.origin.assign(origin.bytes, origin.bytes + origin.size);
    return {};
  }
  if (is_equal_folded("$TTL", word)) {
    uint32_t ttl = 0;
    if (entry.tokens.size() != 2 || !read_period(entry.tokens[1].text, ttl)) {
      return fault(scope, entry.line, "$TTL takes one time, at most 2147483647 seconds");
    }
    default_ttl_ = ttl;
    return {};
  }
  return fault(
      scope, entry.line,
      fmt::format("{} is unknown; there are $ORIGIN, $TTL and $INCLUDE", word.substr(0, 40)));
}

// The origin and the last owner of an included file end with it (RFC 1035 section 5.1).
Status FileReader::include(const Entry& entry, Scope& scope) {
  if (entry.tokens.size() < 2 || entry.tokens.size() > 3) {
    return fault(scope, entry.line, "$INCLUDE takes a file and, when wanted, an origin");
  }
  if (scope.depth >= options_.include_depth_max) {
    return fault(scope, entry.line,
                 fmt::format("$INCLUDE nested more than {} deep", options_.include_depth_max));
  }
  WireName origin;
  std::vector<uint8_t> file;
  Bytes origin_there = scope.origin;
  if (entry.tokens.size() == 3) {
    if (const auto wrong = read_name(entry.tokens[2], scope.origin, origin); !wrong.empty()) {
      return fault(scope, entry.line, fmt::format("$INCLUDE: {}", wrong));
    }
    origin_there = origin.wire();
  }
  if (const auto wrong = append_unescaped(entry.tokens[1].text, file); !wrong.empty()) {
    return fault(scope, entry.line, fmt::format("$INCLUDE: {}", wrong));
  }
  const std::string named(as_text(file));
  if (options_.include_directory.empty()) {
    return fault(scope, entry.line, "$INCLUDE: no file may be included here");
  }
  const std::string path = named.starts_with('/') ? named : directory_of(scope.path) + '/' + named;
  const std::string allowed = real_path(options_.include_directory);
  const std::string real = real_path(path);
  if (real.empty()) {
    return fault(scope, entry.line, fmt::format("$INCLUDE {}: {}", named, std::strerror(errno)));
  }
  if (!real.starts_with(allowed + '/')) {
    return fault(scope, entry.line,
                 fmt::format("$INCLUDE {}: outside of {}", named, options_.include_directory));
  }
  const WireName owner = owner_;
  auto done = read_file_at(path, origin_there, scope.depth + 1);
  owner_ = owner;
  if (!done && !done.error().message.contains(':')) {
    return fault(scope, entry.line, fmt::format("$INCLUDE {}: {}", named, done.error().message));
  }
  return done;
}

Status FileReader::read_fixed(const Entry& entry, const Scope& scope, size_t& at) {
  bool class_given = false;
  ttl_given_ = false;
  for (; at < entry.tokens.size(); ++at) {
    const std::string_view text = entry.tokens[at].text;
    const bool is_number = !text.empty() && text[0] >= '0' && text[0] <= '9';
    if (is_number && !ttl_given_) {
      if (!read_period(text, ttl_)) {
        return fault(scope, entry.line,
                     fmt::format("TTL \"{}\": no time of at most 2147483647", text.substr(0, 40)));
      }
      ttl_given_ = true;
      continue;
    }
    if (!class_given && (is_equal_folded("IN", text) || is_equal_folded("CLASS1", text))) {
      class_given = true;
      continue;
    }
    if (is_equal_folded("CH", text) || is_equal_folded("HS", text) || is_equal_folded("CS", text) ||
        (text.size() > 5 && is_equal_folded("CLASS", text.substr(0, 5)))) {
      return fault(scope, entry.line, fmt::format("class {}: only IN is served", text));
    }
    type_ = type_from_text(text);
    if (type_ == 0) {
      return fault(scope, entry.line,
                   fmt::format("\"{}\" is no type; unknown ones are written TYPE<number>",
                               text.substr(0, 40)));
    }
    ++at;
    return {};
  }
  return fault(scope, entry.line, "a record without a type");
}

// What stands in the record, else $TTL, else what the record before had (RFC 1035 section 5.1, RFC
// 2308 section 4); the SOA record's own minimum when it comes first.
Status FileReader::settle_ttl(const Entry& entry, const Scope& scope, bool given) {
  if (!given && !default_ttl_ && !last_ttl_ && type_ != wire::type::soa) {
    return fault(scope, entry.line, "no TTL: write one here, or $TTL before it");
  }
  if (!given) {
    ttl_ = default_ttl_ ? *default_ttl_
           : last_ttl_  ? *last_ttl_
                        : std::min(load_be32(data_.data() + data_.size() - 4), uint32_t{INT32_MAX});
  }
  last_ttl_ = ttl_;
  return {};
}

std::string FileReader::record_text(uint16_t type) const {
  const auto name = name::Name::from_wire(owner_.wire());
  return fmt::format("{} {}", name ? name->to_text() : to_hex(owner_.wire()), type_text(type));
}

Status FileReader::record(const Entry& entry, const Scope& scope) {
  size_t at = 0;
  if (!entry.without_owner) {
    WireName owner;
    if (const auto wrong = read_name(entry.tokens[0], scope.origin, owner); !wrong.empty()) {
      return fault(scope, entry.line,
                   fmt::format("owner \"{}\": {}", entry.tokens[0].text.substr(0, 80), wrong));
    }
    owner_ = owner;
    at = 1;
  } else if (owner_.size == 0) {
    return fault(scope, entry.line, "a record without an owner, and none before it");
  }
  if (auto fixed = read_fixed(entry, scope, at); !fixed) {
    return fixed;
  }
  data_.clear();
  const std::string wrong =
      read_rdata(type_, std::span(entry.tokens).subspan(at), scope.origin, data_);
  if (!wrong.empty()) {
    return fault(scope, entry.line, fmt::format("{}: {}", record_text(type_), wrong));
  }
  if (auto settled = settle_ttl(entry, scope, ttl_given_); !settled) {
    return settled;
  }
  if (!assembler_) {
    if (type_ != wire::type::soa) {
      return fault(scope, entry.line,
                   fmt::format("{}: the first record must be the SOA record", record_text(type_)));
    }
    const auto apex = name::Name::from_wire(owner_.wire());
    if (!apex) {
      return fault(scope, entry.line, apex.error().message);
    }
    assembler_.emplace(*apex);
    for (FileState& file : files_before_apex_) {
      assembler_->add_file(std::move(file));
    }
  }
  return assembler_->add({.owner = owner_.wire(),
                          .type = type_,
                          .ttl = ttl_,
                          .data = data_,
                          .place = {scope.file, entry.line}});
}

Result<ZoneData> FileReader::finish(std::string_view file_name) {
  if (!assembler_) {
    return fail(ErrorCode::invalid_argument, "{}: no records", file_name);
  }
  return assembler_->finish();
}

}  // namespace

Result<FileState> file_state(const std::string& path) {
  struct stat state{};
  if (::stat(path.c_str(), &state) != 0) {
    const int error = errno;
    if (error == ENOENT || error == ENOTDIR) {
      return fail(ErrorCode::not_found, "{}: no such file", path);
    }
    return fail_errno(path, error);
  }
  return FileState{
      .path = path,
      .modified_ns = int64_t{state.st_mtim.tv_sec} * 1'000'000'000 + state.st_mtim.tv_nsec,
      .size = static_cast<uint64_t>(state.st_size),
      .inode = state.st_ino};
}

Result<ZoneData> read_zone_file(const std::string& path, const ReadOptions& options) {
  ReadOptions mine = options;
  if (mine.include_directory.empty()) {
    mine.include_directory = directory_of(path);
  }
  FileReader reader(mine);
  const name::Name origin = mine.apex.value_or(name::Name());
  if (auto done = reader.read_file_at(path, mine.apex ? origin.wire() : Bytes(), 0); !done) {
    return std::unexpected(done.error());
  }
  return reader.finish(path);
}

Result<ZoneData> read_zone_text(std::string_view text, std::string_view file_name,
                                const ReadOptions& options) {
  FileReader reader(options);
  const name::Name origin = options.apex.value_or(name::Name());
  const FileState state{.path = std::string(file_name), .size = text.size()};
  if (auto done = reader.read_text(text, state, options.apex ? origin.wire() : Bytes(), 0); !done) {
    return std::unexpected(done.error());
  }
  return reader.finish(file_name);
}

}  // namespace merlon::zonefile
