// SPDX-License-Identifier: Apache-2.0
#include "controlplane/zonefile/fields.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <ctime>

#include "controlplane/zonefile/rdata.h"

namespace merlon::zonefile {
namespace {

int hex_value(char c) {
  return c >= '0' && c <= '9'                     ? c - '0'
         : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                  : -1;
}

}  // namespace

void append_be(uint64_t number, unsigned size, std::vector<uint8_t>& out) {
  for (unsigned i = size; i-- > 0;) {
    out.push_back(static_cast<uint8_t>(number >> (8 * i)));
  }
}

std::string_view append_hex(std::span<const Token> tokens, std::vector<uint8_t>& out) {
  int high = -1;
  for (const Token& token : tokens) {
    for (const char c : token.text) {
      const int value = hex_value(c);
      if (value < 0) {
        return "a character that is no hexadecimal digit";
      }
      if (high < 0) {
        high = value;
      } else {
        out.push_back(static_cast<uint8_t>(high << 4 | value));
        high = -1;
      }
    }
  }
  return high < 0 ? "" : "an odd number of hexadecimal digits";
}

namespace {

// A letter a field:
//   n name   1 2 4 number of so many bytes   t seconds, with units   a A address   6 AAAA address
//   s string   S strings to the end   l string without a length, to the end   g CAA tag
//   x hex to the end   b base64 to the end, - for none   I number of 8 bytes, or two of 4   M ATM
//   address R AMTRELAY's second to fourth field   T type   D date of a signature   B bitmap of
//   types
struct Layout {
  uint16_t type;
  std::string_view fields;
};
constexpr auto kLayouts = std::to_array<Layout>({
    {1, "a"},        {2, "n"},     {3, "n"},          {4, "n"},     {5, "n"},     {6, "nn4tttt"},
    {7, "n"},        {8, "n"},     {9, "n"},          {12, "n"},    {13, "ss"},   {14, "nn"},
    {15, "2n"},      {16, "S"},    {17, "nn"},        {18, "2n"},   {19, "s"},    {21, "2n"},
    {26, "2nn"},     {27, "sss"},  {28, "6"},         {30, "nX"},   {31, "x"},    {32, "x"},
    {33, "222n"},    {34, "M"},    {35, "22sssn"},    {36, "2n"},   {39, "n"},    {40, "11b"},
    {43, "211x"},    {44, "11x"},  {46, "T114DD2nb"}, {47, "nB"},   {48, "211b"}, {49, "b"},
    {52, "111x"},    {53, "111x"}, {56, "S"},         {57, "211b"}, {58, "nn"},   {59, "211x"},
    {60, "211b"},    {61, "b"},    {62, "42B"},       {63, "411x"}, {66, "T12n"}, {67, "b"},
    {68, "b"},       {99, "S"},    {107, "2n"},       {256, "22l"}, {257, "1gl"}, {259, "441sb"},
    {260, "1R"},     {261, "S"},   {262, "S"},        {263, "S"},   {264, "I"},   {32768, "211x"},
    {32769, "211x"},
});

int base64_value(char c) {
  if (c >= 'A' && c <= 'Z') {
    return c - 'A';
  }
  if (c >= 'a' && c <= 'z') {
    return c - 'a' + 26;
  }
  return c >= '0' && c <= '9' ? c - '0' + 52 : c == '+' ? 62 : c == '/' ? 63 : -1;
}

std::string_view append_base64(std::span<const Token> tokens, std::vector<uint8_t>& out) {
  uint32_t bits = 0;
  unsigned count = 0;
  unsigned padding = 0;
  if (tokens.size() == 1 && tokens[0].text == "-") {
    return "";
  }
  for (const Token& token : tokens) {
    for (const char c : token.text) {
      if (c == '=') {
        ++padding;
        continue;
      }
      const int value = base64_value(c);
      if (value < 0 || padding != 0) {
        return "no base64";
      }
      bits = bits << 6 | static_cast<uint32_t>(value);
      if (++count == 4) {
        append_be(bits, 3, out);
        bits = 0;
        count = 0;
      }
    }
  }
  if (count == 1 || (count != 0 && padding != 4 - count) || (count == 0 && padding != 0)) {
    return "base64 that ends too early";
  }
  if (count == 2) {
    out.push_back(static_cast<uint8_t>(bits >> 4));
  } else if (count == 3) {
    append_be(bits >> 2, 2, out);
  }
  return "";
}

// YYYYMMDDHHmmSS or seconds since 1970 (RFC 4034 section 3.2).
bool read_date(std::string_view text, uint32_t& seconds) {
  uint64_t number = 0;
  if (!read_number(text, UINT64_MAX, number)) {
    return false;
  }
  if (text.size() != 14) {
    seconds = static_cast<uint32_t>(number);
    return number <= UINT32_MAX;
  }
  const auto part = [&text](size_t at, size_t size) {
    uint64_t value = 0;
    static_cast<void>(read_number(text.substr(at, size), UINT64_MAX, value));
    return static_cast<int>(value);
  };
  std::tm date{};
  date.tm_year = part(0, 4) - 1900;
  date.tm_mon = part(4, 2) - 1;
  date.tm_mday = part(6, 2);
  date.tm_hour = part(8, 2);
  date.tm_min = part(10, 2);
  date.tm_sec = part(12, 2);
  if (date.tm_mon < 0 || date.tm_mon > 11 || date.tm_mday < 1 || date.tm_mday > 31 ||
      date.tm_hour > 23 || date.tm_min > 59 || date.tm_sec > 60) {
    return false;
  }
  seconds = static_cast<uint32_t>(::timegm(&date));
  return true;
}

// RFC 4034 section 4.1.2.
std::string_view append_bitmap(std::span<const Token> tokens, std::vector<uint8_t>& out) {
  std::vector<uint16_t> types;
  for (const Token& token : tokens) {
    const uint16_t type = type_from_text(token.text);
    if (type == 0) {
      return "a type in the bitmap that does not exist";
    }
    types.push_back(type);
  }
  std::ranges::sort(types);
  for (size_t i = 0; i < types.size();) {
    const unsigned window = types[i] >> 8u;
    std::array<uint8_t, 32> bits{};
    size_t used = 0;
    for (; i < types.size() && types[i] >> 8u == window; ++i) {
      const unsigned low = types[i] & 0xffu;
      bits[low / 8] = static_cast<uint8_t>(bits[low / 8] | (0x80u >> (low % 8)));
      used = low / 8 + 1;
    }
    out.push_back(static_cast<uint8_t>(window));
    out.push_back(static_cast<uint8_t>(used));
    out.insert(out.end(), bits.begin(), bits.begin() + static_cast<ptrdiff_t>(used));
  }
  return "";
}

// RFC 2535 section 5.2: bit n of the first 128 is type n.
std::string_view append_old_bitmap(std::span<const Token> tokens, std::vector<uint8_t>& out) {
  std::array<uint8_t, 16> bits{};
  size_t used = 0;
  for (const Token& token : tokens) {
    const uint16_t type = type_from_text(token.text);
    if (type == 0 || type > 127) {
      return "a type in the bitmap that does not exist";
    }
    bits[type / 8u] = static_cast<uint8_t>(bits[type / 8u] | (0x80u >> (type % 8u)));
    used = std::max<size_t>(used, type / 8u + 1);
  }
  out.insert(out.end(), bits.begin(), bits.begin() + static_cast<ptrdiff_t>(used));
  return "";
}

std::string_view append_string(const Token& token, std::vector<uint8_t>& out) {
  const size_t start = out.size();
  out.push_back(0);
  if (const auto fault = append_unescaped(token.text, out); !fault.empty()) {
    return fault;
  }
  const size_t size = out.size() - start - 1;
  if (size > 255) {
    return "a string of more than 255 bytes";
  }
  out[start] = static_cast<uint8_t>(size);
  return "";
}

std::string_view append_address(int family, std::string_view text, std::vector<uint8_t>& out) {
  std::array<char, 64> terminated{};
  std::array<uint8_t, 16> bytes{};
  if (text.size() < terminated.size()) {
    std::ranges::copy(text, terminated.begin());
    if (::inet_pton(family, terminated.data(), bytes.data()) == 1) {
      out.insert(out.end(), bytes.begin(), bytes.begin() + (family == AF_INET ? 4 : 16));
      return "";
    }
  }
  return family == AF_INET ? "no IPv4 address" : "no IPv6 address";
}

// af-saa-0069: an E.164 number, or an address in hexadecimal digits; dots are for the eye.
std::string_view append_atm_address(const Token& token, std::vector<uint8_t>& out) {
  std::string text(token.text);
  std::erase(text, '.');
  if (text.starts_with('+')) {
    out.push_back(1);
    out.insert(out.end(), text.begin() + 1, text.end());
    return text.find_first_not_of("0123456789", 1) == std::string::npos ? "" : "no number";
  }
  out.push_back(0);
  const Token digits{text, false, token.line};
  return append_hex({&digits, 1}, out);
}

// RFC 8777 section 4.3.1: discovery optional, type of the relay, the relay.
std::string_view append_relay(std::span<const Token> tokens, Bytes origin,
                              std::vector<uint8_t>& out) {
  uint64_t optional = 0;
  uint64_t type = 0;
  if (tokens.size() != 3 || !read_number(tokens[0].text, 1, optional) ||
      !read_number(tokens[1].text, 3, type)) {
    return "no relay";
  }
  out.push_back(static_cast<uint8_t>(optional << 7 | type));
  if (type == 0) {
    return tokens[2].text == "." ? "" : "a relay of type 0 is written as a dot";
  }
  if (type == 3) {
    WireName name;
    const auto fault = read_name(tokens[2], origin, name);
    if (fault.empty()) {
      out.insert(out.end(), name.bytes, name.bytes + name.size);
    }
    return fault;
  }
  return append_address(type == 1 ? AF_INET : AF_INET6, tokens[2].text, out);
}

std::string_view append_number(char field, std::string_view text, std::vector<uint8_t>& out) {
  const auto size = static_cast<unsigned>(field - '0');
  uint64_t number = 0;
  if (!read_number(text, UINT64_MAX >> (64 - 8 * size), number)) {
    return "no number that fits";
  }
  append_be(number, size, out);
  return "";
}

// A number of eight bytes, also as its two halves with a dot between.
std::string_view append_halves(std::string_view text, std::vector<uint8_t>& out) {
  const size_t dot = text.find('.');
  uint64_t high = 0;
  uint64_t low = 0;
  const bool good = dot == std::string_view::npos
                        ? read_number(text, UINT64_MAX, low)
                        : read_number(text.substr(0, dot), UINT32_MAX, high) &&
                              read_number(text.substr(dot + 1), UINT32_MAX, low);
  append_be(high << 32 | low, 8, out);
  return good ? "" : "no number that fits";
}

// One field of one token.
std::string_view append_field(char field, const Token& token, Bytes origin,
                              std::vector<uint8_t>& out) {
  uint32_t seconds = 0;
  switch (field) {
    case 'n': {
      WireName name;
      const auto fault = read_name(token, origin, name);
      if (fault.empty()) {
        out.insert(out.end(), name.bytes, name.bytes + name.size);
      }
      return fault;
    }
    case 'a':
      return append_address(AF_INET, token.text, out);
    case '6':
      return append_address(AF_INET6, token.text, out);
    case 's':
      return append_string(token, out);
    case 't':
      if (!read_period(token.text, seconds)) {
        return "no time";
      }
      append_be(seconds, 4, out);
      return "";
    case 'I':
      return append_halves(token.text, out);
    case 'M':
      return append_atm_address(token, out);
    case 'D':
      if (!read_date(token.text, seconds)) {
        return "no date";
      }
      append_be(seconds, 4, out);
      return "";
    case 'T': {
      const uint16_t type = type_from_text(token.text);
      append_be(type, 2, out);
      return type != 0 ? "" : "a type that does not exist";
    }
    case 'g':
      if (token.text.empty() || token.text.size() > 255 ||
          !std::ranges::all_of(token.text, [](unsigned char c) { return std::isalnum(c) != 0; })) {
        return "a tag that is not letters and digits";
      }
      return append_string(token, out);
    default:
      return append_number(field, token.text, out);
  }
}

// Fields that take all tokens that are left.
std::string_view append_rest(char field, std::span<const Token> tokens, Bytes origin,
                             std::vector<uint8_t>& out) {
  switch (field) {
    case 'S':
      for (const Token& token : tokens) {
        if (const auto fault = append_string(token, out); !fault.empty()) {
          return fault;
        }
      }
      return tokens.empty() ? "a field that is missing" : "";
    case 'l':
      return tokens.size() == 1 ? append_unescaped(tokens[0].text, out)
             : tokens.empty()   ? "a field that is missing"
                                : "more fields than the type has";
    case 'R':
      return append_relay(tokens, origin, out);
    case 'x':
      return append_hex(tokens, out);
    case 'b':
      return append_base64(tokens, out);
    case 'X':
      return append_old_bitmap(tokens, out);
    default:
      return append_bitmap(tokens, out);
  }
}

constexpr std::string_view kRestFields = "SlxbBRX";

}  // namespace

std::string_view layout_of(uint16_t type) {
  const auto at = std::ranges::lower_bound(kLayouts, type, {}, &Layout::type);
  return at != kLayouts.end() && at->type == type ? at->fields : std::string_view();
}

std::string read_by_layout(std::string_view fields, std::span<const Token> tokens, Bytes origin,
                           std::vector<uint8_t>& out) {
  for (const char field : fields) {
    if (kRestFields.contains(field)) {
      return std::string(append_rest(field, tokens, origin, out));
    }
    if (tokens.empty()) {
      return "a field that is missing";
    }
    if (const auto fault = append_field(field, tokens[0], origin, out); !fault.empty()) {
      return fmt::format("\"{}\": {}", tokens[0].text.substr(0, 80), fault);
    }
    tokens = tokens.subspan(1);
  }
  return tokens.empty() ? "" : "more fields than the type has";
}

}  // namespace merlon::zonefile
