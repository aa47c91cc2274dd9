// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <thread>

#include "tools/feed_sets/sets.h"
#include "zones/name/name.h"

namespace merlon::feed_sets {
namespace {

using address::Bits4;
using address::Bits6;
using address::Range;

constexpr size_t kThreadedSize = 4 << 20;  // text that two threads read faster than one
constexpr size_t kRadixSize = 2048;        // fewer values than this are sorted by comparison
constexpr size_t kShownMax = 80;

bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r';
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) {
    text.remove_prefix(1);
  }
  while (!text.empty() && is_blank(text.back())) {
    text.remove_suffix(1);
  }
  return text;
}

// What one thread gathers from its part of the text.
struct Part {
  std::vector<Bits4> singles;
  std::vector<Range<Bits4>> ranges4;
  std::vector<Range<Bits6>> ranges6;
  std::vector<std::string> names;
  uint64_t line_count = 0;
  uint64_t refused_count = 0;
  uint64_t first_refused = 0;
  std::string why;

  void read(std::string_view text);
  void read_slow(std::string_view line);
  void refuse(std::string_view why_not, std::string_view line);
};

void Part::refuse(std::string_view why_not, std::string_view line) {
  if (refused_count++ == 0) {
    first_refused = line_count;
    why = why_not;
    why += ": ";
    for (const char c : line.substr(0, kShownMax)) {
      why.push_back(c < 0x20 || c > 0x7e ? '?' : c);
    }
  }
}

void Part::read_slow(std::string_view line) {
  line = trim(line);
  if (line.empty() || line[0] == '#' || line[0] == ';') {
    return;
  }
  const size_t blank = line.find_first_of(" \t");
  std::string_view token = line.substr(0, blank);
  const std::string_view rest = trim(line.substr(token.size()));
  if (rest.starts_with('-') || token.ends_with('-')) {
    token = trim(line.substr(0, line.find_first_of("#;")));  // a range with blanks
  }
  const auto range = address::parse_range(token);
  if (range) {
    if (range->family == address::Family::v4) {
      ranges4.push_back(range->v4());
    } else {
      ranges6.push_back(range->v6());
    }
    return;
  }
  const bool number =
      token[0] >= '0' && token[0] <= '9' && token.find_first_not_of("0123456789./-") == token.npos;
  if (number || token.find_first_of(":/") != token.npos) {
    refuse(address::explain(range.error()), line);
    return;
  }
  const std::string_view fault = name::host_name_fault(token);
  if (!fault.empty()) {
    refuse(fault, line);
    return;
  }
  std::string& name = names.emplace_back(token);
  for (char& c : name) {
    c = static_cast<char>(name::fold(static_cast<uint8_t>(c)));
  }
  name.resize(name.size() - (name.ends_with('.') ? 1 : 0));
}

// An address at `at`, without leading zeros; nullptr when there is none, else the end of it.
inline const char* read_address(const char* at, const char* end, Bits4& out) {
  Bits4 bits = 0;
  for (int octet = 0; octet < 4; ++octet) {
    if (octet > 0) {
      if (at == end || *at != '.') {
        return nullptr;
      }
      ++at;
    }
    if (at == end) {
      return nullptr;
    }
    unsigned value = static_cast<unsigned char>(*at) - unsigned{'0'};
    if (value > 9) {
      return nullptr;
    }
    ++at;
    if (at != end) {
      unsigned digit = static_cast<unsigned char>(*at) - unsigned{'0'};
      if (digit <= 9) {
        if (value == 0) {
          return nullptr;
        }
        value = value * 10 + digit;
        ++at;
        digit = at != end ? static_cast<unsigned char>(*at) - unsigned{'0'} : 10U;
        if (digit <= 9) {
          value = value * 10 + digit;
          ++at;
        }
      }
    }
    if (value > 255) {
      return nullptr;
    }
    bits = bits << 8 | value;
  }
  out = bits;
  return at;
}

void Part::read(std::string_view text) {
  const char* at = text.data();
  const char* end = at + text.size();
  singles.reserve(text.size() / 15 + 16);
  while (at != end) {
    ++line_count;
    Bits4 bits = 0;
    const char* after = read_address(at, end, bits);
    if (after != nullptr && (after == end || *after == '\n')) {
      singles.push_back(bits);
      at = after == end ? end : after + 1;
      continue;
    }
    const void* found = std::memchr(at, '\n', static_cast<size_t>(end - at));
    const char* stop = found == nullptr ? end : static_cast<const char*>(found);
    read_slow({at, static_cast<size_t>(stop - at)});
    at = stop == end ? end : stop + 1;
  }
}

// Least significant digit first, 11 bits at a time.
void radix_sort(std::vector<Bits4>& values) {
  if (values.size() < kRadixSize) {
    std::sort(values.begin(), values.end());
    return;
  }
  constexpr int kBits = 11;
  constexpr size_t kBuckets = size_t{1} << kBits;
  std::vector<std::array<uint32_t, kBuckets>> counts(3);
  for (const Bits4 value : values) {
    ++counts[0][value & (kBuckets - 1)];
    ++counts[1][value >> kBits & (kBuckets - 1)];
    ++counts[2][value >> (2 * kBits)];
  }
  std::vector<Bits4> other(values.size());
  for (size_t pass = 0; pass < 3; ++pass) {
    uint32_t sum = 0;
    for (uint32_t& count : counts[pass]) {
      sum += count;
      count = sum - count;
    }
    const int shift = static_cast<int>(pass) * kBits;
    for (const Bits4 value : values) {
      other[counts[pass][value >> shift & (kBuckets - 1)]++] = value;
    }
    values.swap(other);
  }
}

std::vector<Range<Bits4>> merge_singles(const std::vector<Bits4>& sorted) {
  std::vector<Range<Bits4>> ranges;
  ranges.reserve(sorted.size());
  for (const Bits4 bits : sorted) {
    if (!ranges.empty() && (ranges.back().last == bits || ranges.back().last + 1 == bits)) {
      ranges.back().last = bits;
    } else {
      ranges.push_back({bits, bits});
    }
  }
  return ranges;
}

void append(Part& to, Part&& from) {
  if (to.refused_count == 0 && from.refused_count > 0) {
    to.first_refused = to.line_count + from.first_refused;
    to.why = std::move(from.why);
  }
  to.refused_count += from.refused_count;
  to.line_count += from.line_count;
  to.singles.insert(to.singles.end(), from.singles.begin(), from.singles.end());
  to.ranges4.insert(to.ranges4.end(), from.ranges4.begin(), from.ranges4.end());
  to.ranges6.insert(to.ranges6.end(), from.ranges6.begin(), from.ranges6.end());
  std::move(from.names.begin(), from.names.end(), std::back_inserter(to.names));
}

}  // namespace

Sets read_sets(std::string_view text, ReadReport& report) {
  if (text.starts_with("\xef\xbb\xbf")) {
    text.remove_prefix(3);
  }
  Part part;
  const size_t middle = text.size() < kThreadedSize ? text.npos : text.find('\n', text.size() / 2);
  if (middle == text.npos) {
    part.read(text);
  } else {
    Part second;
    std::thread helper([&] { second.read(text.substr(middle + 1)); });
    part.read(text.substr(0, middle + 1));
    helper.join();
    append(part, std::move(second));
  }
  report.refused_count = part.refused_count;
  if (part.refused_count > 0) {
    report.first_refused = fmt::format("line {} {}", part.first_refused, part.why);
  }
  radix_sort(part.singles);
  Sets sets;
  sets.addresses.v4 = address::RangeSet4::from_normal(merge_singles(part.singles));
  if (!part.ranges4.empty()) {
    sets.addresses.v4 =
        sets.addresses.v4.united(address::RangeSet4::from_unsorted(std::move(part.ranges4)));
  }
  sets.addresses.v6 = address::RangeSet6::from_unsorted(std::move(part.ranges6));
  std::sort(part.names.begin(), part.names.end());
  part.names.erase(std::unique(part.names.begin(), part.names.end()), part.names.end());
  sets.names = std::move(part.names);
  return sets;
}

Sets Sets::united(const Sets& other) const {
  Sets out{addresses.united(other.addresses), {}};
  std::set_union(names.begin(), names.end(), other.names.begin(), other.names.end(),
                 std::back_inserter(out.names));
  return out;
}

Sets Sets::minus(const Sets& other) const {
  Sets out{addresses.minus(other.addresses), {}};
  std::set_difference(names.begin(), names.end(), other.names.begin(), other.names.end(),
                      std::back_inserter(out.names));
  return out;
}

Sets Sets::intersected(const Sets& other) const {
  Sets out{addresses.intersected(other.addresses), {}};
  std::set_intersection(names.begin(), names.end(), other.names.begin(), other.names.end(),
                        std::back_inserter(out.names));
  return out;
}

}  // namespace merlon::feed_sets
