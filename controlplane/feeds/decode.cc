// SPDX-License-Identifier: Apache-2.0
#include "controlplane/feeds/decode.h"

#include <iconv.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace merlon::feeds {
namespace {

using namespace std::string_view_literals;

struct Mark {
  std::string_view bytes;
  const char* charset;
};

// UTF-32 before UTF-16: its little-endian mark begins with the other's.
constexpr std::array<Mark, 4> kMarks = {{
    {"\xff\xfe\x00\x00"sv, "UTF-32LE"},
    {"\x00\x00\xfe\xff"sv, "UTF-32BE"},
    {"\xff\xfe"sv, "UTF-16LE"},
    {"\xfe\xff"sv, "UTF-16BE"},
}};

constexpr size_t kSniffSize = 4096;
constexpr size_t kBlock = 64 << 10;

bool is_ascii(std::string_view text) {
  uint64_t high = 0;
  size_t at = 0;
  for (; at + 8 <= text.size(); at += 8) {
    uint64_t word = 0;
    std::memcpy(&word, text.data() + at, 8);
    high |= word;
  }
  for (; at < text.size(); ++at) {
    high |= static_cast<uint8_t>(text[at]);
  }
  return (high & 0x8080808080808080U) == 0;
}

// The bytes of the well-formed UTF-8 character at the front; 0 when there is none (RFC 3629).
size_t utf8_size(std::string_view text) {
  const auto at = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = at(0);
  const size_t size = lead < 0x80   ? 1
                      : lead < 0xc2 ? 0
                      : lead < 0xe0 ? 2
                      : lead < 0xf0 ? 3
                      : lead < 0xf5 ? 4
                                    : 0;
  if (size == 0 || size > text.size()) {
    return 0;
  }
  for (size_t i = 1; i < size; ++i) {
    if ((at(i) & 0xc0) != 0x80) {
      return 0;
    }
  }
  const bool overlong = (lead == 0xe0 && at(1) < 0xa0) || (lead == 0xf0 && at(1) < 0x90);
  const bool beyond = (lead == 0xed && at(1) > 0x9f) || (lead == 0xf4 && at(1) > 0x8f);
  return overlong || beyond ? 0 : size;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const size_t size = utf8_size(text);
    if (size == 0) {
      return false;
    }
    text.remove_prefix(size);
  }
  return true;
}

// UTF-16 without its mark: most of every second byte is NUL.
const char* unmarked_charset(std::string_view text) {
  const std::string_view sample = text.substr(0, kSniffSize);
  if (sample.size() < 4 || sample.size() % 2 != 0) {
    return nullptr;
  }
  std::array<size_t, 2> nuls{};
  for (size_t i = 0; i < sample.size(); ++i) {
    nuls[i % 2] += sample[i] == '\0' ? 1U : 0U;
  }
  const size_t most = sample.size() / 2 * 9 / 10;
  return nuls[1] >= most && nuls[0] == 0   ? "UTF-16LE"
         : nuls[0] >= most && nuls[1] == 0 ? "UTF-16BE"
                                           : nullptr;
}

Result<std::string> convert(std::string_view text, const char* charset, uint64_t size_max) {
  iconv_t converter = iconv_open("UTF-8", charset);
  if (converter == reinterpret_cast<iconv_t>(-1)) {
    return fail(ErrorCode::unsupported, "the content is {} text, which iconv does not know",
                charset);
  }
  std::string out;
  std::array<char, kBlock> block;
  char* in = const_cast<char*>(text.data());
  size_t left = text.size();
  size_t result = 0;
  do {
    char* to = block.data();
    size_t room = block.size();
    result = iconv(converter, &in, &left, &to, &room);
    out.append(block.data(), block.size() - room);
  } while (result == static_cast<size_t>(-1) && errno == E2BIG && out.size() <= size_max);
  const size_t at = text.size() - left;
  iconv_close(converter);
  if (out.size() > size_max) {
    return fail(ErrorCode::invalid_argument, "the content is more than {} bytes as UTF-8",
                size_max);
  }
  if (left > 0) {
    return fail(ErrorCode::unsupported, "the content is no {} text: byte {} fits nothing", charset,
                at);
  }
  return out;
}

// CR CR LF and CR alone end a line, too; CR LF is left to the parsers.
bool has_lone_return(std::string_view text) {
  size_t at = 0;
  while ((at = text.find('\r', at)) != std::string_view::npos) {
    if (at + 1 == text.size() || text[at + 1] != '\n') {
      return true;
    }
    at += 2;
  }
  return false;
}

std::string with_line_feeds(std::string_view text) {
  std::string out(text);
  for (size_t i = 0; i < out.size(); ++i) {
    if (out[i] == '\r' && (i + 1 == out.size() || out[i + 1] != '\n')) {
      out[i] = '\n';
    }
  }
  return out;
}

Status to_utf8(Decoded& decoded, uint64_t size_max) {
  const std::string_view text = decoded.text();
  const char* charset = nullptr;
  size_t skip = 0;
  for (const Mark& mark : kMarks) {
    if (charset == nullptr && text.starts_with(mark.bytes)) {
      charset = mark.charset;
      skip = mark.bytes.size();
    }
  }
  charset = charset == nullptr ? unmarked_charset(text) : charset;
  if (charset == nullptr && !is_ascii(text) && text.find('\0') == std::string_view::npos &&
      !is_utf8(text)) {
    charset = "ISO-8859-1";
  }
  if (charset == nullptr) {
    return {};
  }
  Result<std::string> converted = convert(text.substr(skip), charset, size_max);
  if (!converted) {
    return std::unexpected(converted.error());
  }
  decoded.notes.push_back(fmt::format("converted from {}", charset));
  decoded.replace(std::move(*converted));
  return {};
}

}  // namespace

Result<Decoded> decode(Bytes content, const DecodeLimits& limits) {
  Decoded decoded(content);
  for (uint32_t layer = 0; is_archive(decoded.text()); ++layer) {
    if (layer == limits.layers_max) {
      return fail(ErrorCode::invalid_argument, "the content is packed more than {} times",
                  limits.layers_max);
    }
    Result<std::string> text = unpack(decoded.text(), limits);
    if (!text) {
      return std::unexpected(text.error());
    }
    decoded.notes.push_back(
        fmt::format("unpacked {} bytes to {}", decoded.text().size(), text->size()));
    decoded.replace(std::move(*text));
  }
  const Status converted = to_utf8(decoded, limits.size_max_bytes);
  if (!converted) {
    return std::unexpected(converted.error());
  }
  if (has_lone_return(decoded.text()) && decoded.text().find('\0') == std::string_view::npos) {
    decoded.replace(with_line_feeds(decoded.text()));
  }
  return decoded;
}

}  // namespace merlon::feeds
