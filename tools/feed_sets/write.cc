// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "tools/feed_sets/sets.h"

namespace merlon::feed_sets {
namespace {

using address::Bits4;
using address::Bits6;
using address::Prefix;
using address::Range;

constexpr size_t kBufferSize = 1 << 20;
constexpr size_t kLineMax = 512;  // the longest line is a name's
constexpr Bits6 kSinglesMax = Bits6{1} << 32;

struct Octet {
  std::array<char, 4> text{};
  size_t size = 0;
};

constexpr std::array<Octet, 256> kOctets = [] {
  std::array<Octet, 256> octets{};
  for (unsigned i = 0; i < 256; ++i) {
    Octet& octet = octets[i];
    if (i >= 100) {
      octet.text[octet.size++] = static_cast<char>('0' + i / 100);
    }
    if (i >= 10) {
      octet.text[octet.size++] = static_cast<char>('0' + i / 10 % 10);
    }
    octet.text[octet.size++] = static_cast<char>('0' + i % 10);
    octet.text[octet.size] = '.';
  }
  return octets;
}();

class Writer {
 public:
  explicit Writer(int descriptor) : descriptor_(descriptor), buffer_(kBufferSize + kLineMax) {}

  void put(Bits4 bits) {
    for (int shift = 24; shift >= 0; shift -= 8) {
      const Octet& octet = kOctets[bits >> shift & 0xff];
      std::memcpy(buffer_.data() + used_, octet.text.data(), 4);  // with the dot behind it
      used_ += octet.size + 1;
    }
    --used_;
  }
  void put(Bits6 bits) { put(address::to_text_v6(bits)); }
  void put(std::string_view text) {
    std::memcpy(buffer_.data() + used_, text.data(), text.size());
    used_ += text.size();
  }
  void end_line() {
    buffer_[used_++] = '\n';
    if (used_ >= kBufferSize) {
      flush();
    }
  }
  Status flush() {
    size_t done = 0;
    while (done < used_ && error_ == 0) {
      const ssize_t size = ::write(descriptor_, buffer_.data() + done, used_ - done);
      if (size < 0 && errno != EINTR) {
        error_ = errno;
      }
      done += size > 0 ? static_cast<size_t>(size) : 0;
    }
    used_ = 0;
    return error_ == 0 ? Status() : Status(fail_errno("write the result", error_));
  }
  bool failed() const { return error_ != 0; }

 private:
  int descriptor_;
  std::vector<char> buffer_;
  size_t used_ = 0;
  int error_ = 0;
};

template <class Bits>
void put_range(Writer& writer, const Range<Bits>& range, Form form) {
  if (range.first == range.last) {
    writer.put(range.first);
    writer.end_line();
  } else if (form == Form::ranges) {
    writer.put(range.first);
    writer.put("-");
    writer.put(range.last);
    writer.end_line();
  } else if (form == Form::cidr) {
    address::for_each_prefix<Bits>(range, [&](const Prefix<Bits>& prefix) {
      writer.put(prefix.bits);
      if (prefix.length < address::kWidth<Bits>) {
        std::array<char, 8> text{};
        const auto end = fmt::format_to(text.data(), "/{}", prefix.length);
        writer.put(std::string_view(text.data(), static_cast<size_t>(end - text.data())));
      }
      writer.end_line();
    });
  } else {
    for (Bits at = range.first;; ++at) {
      writer.put(at);
      writer.end_line();
      if (at == range.last || writer.failed()) {
        break;
      }
    }
  }
}

}  // namespace

Status write_sets(const Sets& sets, Form form, int descriptor) {
  if (form == Form::single && sets.addresses.v6.address_count() > kSinglesMax) {
    return fail(ErrorCode::invalid_argument,
                "--single: the set holds more than 2^32 IPv6 addresses; use --cidr or --ranges");
  }
  Writer writer(descriptor);
  for (const Range<Bits4>& range : sets.addresses.v4.ranges()) {
    put_range(writer, range, form);
  }
  for (const Range<Bits6>& range : sets.addresses.v6.ranges()) {
    put_range(writer, range, form);
  }
  for (const std::string& name : sets.names) {
    writer.put(name);
    writer.end_line();
  }
  return writer.flush();
}

}  // namespace merlon::feed_sets
