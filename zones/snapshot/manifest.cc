// SPDX-License-Identifier: Apache-2.0
#include "zones/snapshot/manifest.h"

#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "zones/base/assert.h"
#include "zones/base/file.h"

namespace merlon::snapshot {
namespace {

constexpr std::string_view kFirstLine = "merlon-manifest 1.0";
constexpr size_t kLineSizeUsual = 140;

bool comes_before(const ManifestSegment& a, const ManifestSegment& b) {
  if (a.kind != b.kind) {
    return a.kind < b.kind;
  }
  if (const auto order = a.apex <=> b.apex; order != 0) {
    return order < 0;
  }
  return a.hash < b.hash;
}

template <class Number>
bool parse_number(std::string_view text, Number& out) {
  // One form for one number: no sign, no leading zero.
  if (text.empty() || text[0] < '0' || text[0] > '9' || (text.size() > 1 && text[0] == '0')) {
    return false;
  }
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

// The words of a line. No line has more than five; a generation has thousands of lines, so they
// take no memory of the heap.
class Fields {
 public:
  void add(std::string_view word) {
    if (count_ < words_.size()) {
      words_[count_] = word;
    }
    ++count_;
  }
  size_t size() const { return count_; }
  std::string_view operator[](size_t i) const { return words_[i]; }

 private:
  std::array<std::string_view, 5> words_{};
  size_t count_ = 0;
};

constexpr std::string_view kHexDigits = "0123456789abcdef";

void append_hex(Bytes bytes, std::string& out) {
  for (const uint8_t byte : bytes) {
    out.push_back(kHexDigits[byte >> 4]);
    out.push_back(kHexDigits[byte & 15]);
  }
}

// There is one form of a hash: in lower case.
bool parse_hash(std::string_view text, ContentHash& out) {
  const bool upper = std::ranges::any_of(text, [](char c) { return c >= 'A' && c <= 'F'; });
  return !upper && from_hex(text, out.bytes);
}

// Splits the text into lines while counting them, and a line into its fields.
class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text) {}

  bool next() {
    const size_t end = rest_.find('\n');
    if (end == std::string_view::npos) {
      return false;
    }
    line_ = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    ++number_;
    return true;
  }
  Fields fields() const {
    Fields fields;
    std::string_view left = line_;
    while (true) {
      const size_t blank = left.find(' ');
      fields.add(left.substr(0, blank));
      if (blank == std::string_view::npos) {
        return fields;
      }
      left.remove_prefix(blank + 1);
    }
  }
  std::string_view line() const { return line_; }
  std::string_view rest() const { return rest_; }
  size_t number() const { return number_; }

  template <class... Args>
  std::unexpected<Error> fault(fmt::format_string<Args...> format, Args&&... args) const {
    return fail(ErrorCode::corruption, "manifest line {}: {}", number_,
                fmt::format(format, std::forward<Args>(args)...));
  }

 private:
  std::string_view rest_;
  std::string_view line_;
  size_t number_ = 0;
};

Status parse_segment(const Lines& lines, const Fields& fields, ManifestSegment& segment) {
  if (fields.size() != 5 || !parse_segment_kind(fields[1], segment.kind)) {
    return lines.fault("not a segment line: \"{}\"", lines.line());
  }
  if (!parse_hash(fields[2], segment.hash) || !parse_number(fields[3], segment.size_bytes) ||
      segment.size_bytes > kSegmentSizeMax) {
    return lines.fault("bad hash or size");
  }
  if (segment.kind == SegmentKind::zone) {
    const auto apex = name::Name::from_text(fields[4]);
    if (!apex || apex->folded().to_text() != fields[4]) {
      return lines.fault("bad apex \"{}\"", fields[4]);
    }
    segment.apex = *apex;
  } else if (fields[4] != "-") {
    return lines.fault("only zones have an apex");
  }
  return {};
}

Status check_signature(const Lines& lines, const Fields& fields, std::string_view covered,
                       const PublicKey& trusted) {
  PublicKey key{};
  std::array<uint8_t, crypto_sign_BYTES> signature{};
  if (fields.size() != 4 || fields[1] != "ed25519" || !from_hex(fields[2], key) ||
      !from_hex(fields[3], signature) || to_hex(key) != fields[2] ||
      to_hex(signature) != fields[3]) {
    return lines.fault("not an ed25519 signature line");
  }
  if (key != trusted) {
    return fail(ErrorCode::invalid_argument,
                "manifest line {}: signed by key {}, trusted is {}: set the manifest key of this "
                "process to the publisher's",
                lines.number(), to_hex(key), to_hex(trusted));
  }
  if (crypto_sign_verify_detached(signature.data(), as_bytes(covered).data(), covered.size(),
                                  key.data()) != 0) {
    return lines.fault("signature does not match the content");
  }
  return {};
}

}  // namespace

SigningKey SigningKey::generate() {
  MERLON_ASSERT(sodium_init() >= 0);
  SigningKey key;
  crypto_sign_keypair(key.public_key.data(), key.secret_key.data());
  return key;
}

Result<SigningKey> SigningKey::load_or_create(const std::string& path) {
  MERLON_ASSERT(sodium_init() >= 0);
  auto content = read_file(path, 4096);
  if (!content && content.error().code == ErrorCode::not_found) {
    const SigningKey key = generate();
    const std::string text = to_hex(key.secret_key) + "\n";
    if (auto written = write_file_durably(path, as_bytes(text), 0600); !written) {
      return std::unexpected(written.error());
    }
    return key;
  }
  if (!content) {
    return std::unexpected(content.error());
  }
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0 || (info.st_mode & 077) != 0) {
    return fail(ErrorCode::invalid_argument,
                "{}: a secret key that others can read; run chmod 600 on it", path);
  }
  std::string_view text = as_text(*content);
  while (!text.empty() && text.back() == '\n') {
    text.remove_suffix(1);
  }
  SigningKey key;
  if (!from_hex(text, key.secret_key)) {
    return fail(ErrorCode::corruption, "{}: not a signing key of 128 hex digits", path);
  }
  // The file holds seed and public key; a damaged half would sign what nobody can verify.
  std::array<uint8_t, crypto_sign_SEEDBYTES> seed;
  crypto_sign_ed25519_sk_to_seed(seed.data(), key.secret_key.data());
  SecretKey derived{};
  crypto_sign_seed_keypair(key.public_key.data(), derived.data(), seed.data());
  if (derived != key.secret_key) {
    return fail(ErrorCode::corruption, "{}: the two halves of the signing key do not match", path);
  }
  return key;
}

Result<PublicKey> parse_public_key(std::string_view hex) {
  PublicKey key{};
  while (!hex.empty() && (hex.back() == '\n' || hex.back() == ' ')) {
    hex.remove_suffix(1);
  }
  if (!from_hex(hex, key)) {
    return fail(ErrorCode::invalid_argument, "a manifest key has 64 hex digits");
  }
  return key;
}

void Manifest::normalise() {
  if (!std::is_sorted(segments.begin(), segments.end(), comes_before)) {
    std::sort(segments.begin(), segments.end(), comes_before);
  }
  segments.erase(std::unique(segments.begin(), segments.end()), segments.end());
}

std::string Manifest::render(const SigningKey& key) const {
  std::string text =
      fmt::format("{}\ngeneration {}\ncreated {}\n", kFirstLine, generation, created);
  text.reserve(text.size() + segments.size() * kLineSizeUsual);
  for (const ManifestSegment& segment : segments) {
    text += "segment ";
    text += to_string(segment.kind);
    text += ' ';
    append_hex(segment.hash.bytes, text);
    text += ' ';
    text += fmt::format_int(segment.size_bytes).c_str();
    text += ' ';
    text += segment.kind == SegmentKind::zone ? segment.apex.folded().to_text() : "-";
    text += '\n';
  }
  std::array<uint8_t, crypto_sign_BYTES> signature{};
  crypto_sign_detached(signature.data(), nullptr, as_bytes(text).data(), text.size(),
                       key.secret_key.data());
  text += fmt::format("signature ed25519 {} {}\n", to_hex(key.public_key), to_hex(signature));
  return text;
}

Result<Manifest> Manifest::parse(std::string_view text, const PublicKey& trusted) {
  MERLON_ASSERT(sodium_init() >= 0);
  Manifest manifest;
  Lines lines(text);
  if (!lines.next() || lines.line() != kFirstLine) {
    return fail(ErrorCode::corruption, "manifest line 1: not \"{}\"", kFirstLine);
  }
  if (!lines.next() || lines.fields().size() != 2 || lines.fields()[0] != "generation" ||
      !parse_number(lines.fields()[1], manifest.generation) || manifest.generation == 0) {
    return fail(ErrorCode::corruption, "manifest line 2: no generation");
  }
  if (!lines.next() || lines.fields().size() != 2 || lines.fields()[0] != "created" ||
      !parse_number(lines.fields()[1], manifest.created)) {
    return fail(ErrorCode::corruption, "manifest line 3: no creation time");
  }
  manifest.segments.reserve(text.size() / kLineSizeUsual);
  size_t access_count = 0;
  while (lines.next()) {
    const auto fields = lines.fields();
    if (fields[0] == "signature") {
      const size_t covered = static_cast<size_t>(lines.line().data() - text.data());
      if (auto good = check_signature(lines, fields, text.substr(0, covered), trusted); !good) {
        return std::unexpected(good.error());
      }
      if (!lines.rest().empty()) {
        return lines.fault("{} bytes behind the signature", lines.rest().size());
      }
      if (access_count != 1) {
        return lines.fault("{} access segments instead of one", access_count);
      }
      return manifest;
    }
    if (fields[0] != "segment") {
      return lines.fault("unknown word \"{}\"", fields[0]);
    }
    ManifestSegment& segment = manifest.segments.emplace_back();
    if (auto good = parse_segment(lines, fields, segment); !good) {
      return std::unexpected(good.error());
    }
    const size_t count = manifest.segments.size();
    if (count > 1 && !comes_before(manifest.segments[count - 2], segment)) {
      return lines.fault("segments are out of order");
    }
    access_count += segment.kind == SegmentKind::access ? 1u : 0u;
  }
  return fail(ErrorCode::corruption, "manifest line {}: ends without a signature",
              lines.number() + 1);
}

}  // namespace merlon::snapshot
