// SPDX-License-Identifier: Apache-2.0
#include "zones/cookie/cookie.h"

#include <sys/random.h>

#include <bit>
#include <cstring>

#include "zones/base/assert.h"

namespace merlon::cookie {
namespace {

constexpr uint8_t kVersion = 1;
constexpr size_t kPrefixSize = 8;  // of a server cookie: version, reserved, timestamp

uint64_t load_le64(const uint8_t* at) {
  static_assert(std::endian::native == std::endian::little);
  uint64_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

// The state of SipHash (Aumasson, Bernstein 2012). Word is uint64_t, or a vector of them: then each
// element is a computation of its own.
template <class Word>
struct SipHash {
  Word v0, v1, v2, v3;

  // Words go by reference: a vector wider than the machine's registers has no way to be passed.
  template <int kCount>
  static void rotate(Word& value) {
    value = (value << kCount) | (value >> (64 - kCount));
  }
  void round() {
    v0 += v1;
    v2 += v3;
    rotate<13>(v1);
    rotate<16>(v3);
    v1 ^= v0;
    v3 ^= v2;
    rotate<32>(v0);
    v2 += v1;
    v0 += v3;
    rotate<17>(v1);
    rotate<21>(v3);
    v1 ^= v2;
    v3 ^= v0;
    rotate<32>(v2);
  }
  void absorb(const Word& word) {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }
  void finish(Word& hash) {
    v2 ^= 0xFF;
    round();
    round();
    round();
    round();
    hash = v0 ^ v1 ^ v2 ^ v3;
  }
  void key(const Secret& secret) {
    const uint64_t k0 = load_le64(secret.data());
    const uint64_t k1 = load_le64(secret.data() + 8);
    v0 = Word{} + (k0 ^ 0x736f6d6570736575u);
    v1 = Word{} + (k1 ^ 0x646f72616e646f6du);
    v2 = Word{} + (k0 ^ 0x6c7967656e657261u);
    v3 = Word{} + (k1 ^ 0x7465646279746573u);
  }
};

// Eight computations side by side; the compiler lays them over the registers there are.
constexpr size_t kLanes = 8;
typedef uint64_t Lanes __attribute__((vector_size(kLanes * sizeof(uint64_t))));

// One family's part of a burst: what is hashed, as words, each kind side by side. IPv4 is 8 + 8 + 4
// bytes, so the address shares its word with the length; IPv6 is 8 + 8 + 16.
constexpr uint64_t kLength4 = uint64_t{20} << 56;
constexpr uint64_t kLength6 = uint64_t{32} << 56;

struct Batch {
  using Words = std::array<uint64_t, kBurstMax + kLanes>;

  Words clients;
  Words prefixes;  // of the server cookie
  Words highs;     // of the address; IPv6 only
  Words lows;
  Words hashes;
  std::array<uint8_t, kBurstMax> checks;  // whose
  size_t count = 0;

  // What is left of the last lanes is hashed, too, and forgotten: it only has to be something.
  void fill_lanes() {
    for (size_t i = count; i % kLanes != 0; ++i) {
      clients[i] = prefixes[i] = highs[i] = lows[i] = 0;
    }
  }
};

void load_lanes(const Batch::Words& words, size_t at, Lanes& lanes) {
  std::memcpy(&lanes, &words[at], sizeof lanes);
}

template <address::Family kFamily>
void hash_batch(const Secret& secret, Batch& batch) {
  batch.fill_lanes();
  for (size_t at = 0; at < batch.count; at += kLanes) {
    Lanes word;
    SipHash<Lanes> state;
    state.key(secret);
    load_lanes(batch.clients, at, word);
    state.absorb(word);
    load_lanes(batch.prefixes, at, word);
    state.absorb(word);
    if constexpr (kFamily == address::Family::v6) {
      load_lanes(batch.highs, at, word);
      state.absorb(word);
    }
    load_lanes(batch.lows, at, word);
    state.absorb(word);
    if constexpr (kFamily == address::Family::v6) {
      word = Lanes{} + kLength6;
      state.absorb(word);
    }
    state.finish(word);
    std::memcpy(&batch.hashes[at], &word, sizeof word);
  }
}

// Both families' jobs of one pass.
struct Pass {
  Batch v4;
  Batch v6;

  void add(uint8_t index, const Check& check, uint64_t prefix) {
    const bool is_v4 = check.source.family == address::Family::v4;
    Batch& batch = is_v4 ? v4 : v6;
    const size_t at = batch.count++;
    batch.checks[at] = index;
    batch.clients[at] = load_le64(check.client.data());
    batch.prefixes[at] = prefix;
    const uint64_t low = static_cast<uint64_t>(check.source.bits);
    if (is_v4) {
      batch.lows[at] = __builtin_bswap32(static_cast<uint32_t>(low)) | kLength4;
    } else {
      batch.highs[at] = __builtin_bswap64(static_cast<uint64_t>(check.source.bits >> 64));
      batch.lows[at] = __builtin_bswap64(low);
    }
  }
  template <class F>
  void run(const Secret& secret, F&& done) {
    hash_batch<address::Family::v4>(secret, v4);
    hash_batch<address::Family::v6>(secret, v6);
    for (const Batch* batch : {&v4, &v6}) {
      for (size_t i = 0; i < batch->count; ++i) {
        done(batch->checks[i], batch->prefixes[i], batch->hashes[i]);
      }
    }
    v4.count = 0;
    v6.count = 0;
  }
};

uint64_t fresh_prefix(uint32_t now) {
  uint8_t bytes[kPrefixSize] = {kVersion};
  store_be32(bytes + 4, now);
  return load_le64(bytes);
}

bool looks_ours(const Check& check, uint32_t now) {
  if (check.server_size != kServerSize || check.server[0] != kVersion) {
    return false;
  }
  const auto age = static_cast<int32_t>(now - load_be32(check.server.data() + 4));
  return age <= static_cast<int32_t>(kPastMax) && age >= -static_cast<int32_t>(kFutureMax);
}

void put_answer(Check& check, uint64_t prefix, uint64_t hash) {
  std::memcpy(check.answer.data(), &prefix, sizeof prefix);
  std::memcpy(check.answer.data() + kPrefixSize, &hash, sizeof hash);
}

}  // namespace

void check_burst(const Secrets& secrets, uint32_t now, std::span<Check> checks) {
  MERLON_DASSERT(checks.size() <= kBurstMax);
  const uint64_t fresh = fresh_prefix(now);
  Pass pass;
  // First pass, active secret: what came with a plausible server cookie is compared, for the others
  // a fresh one is made at once.
  for (size_t i = 0; i < checks.size(); ++i) {
    Check& check = checks[i];
    const bool compare = looks_ours(check, now);
    check.state = check.server_size == 0 ? State::unverified : State::invalid;
    pass.add(static_cast<uint8_t>(i), check, compare ? load_le64(check.server.data()) : fresh);
  }
  std::array<uint8_t, kBurstMax> renew;
  std::array<uint8_t, kBurstMax> retry;
  size_t renew_count = 0;
  size_t retry_count = 0;
  pass.run(secrets.active, [&](uint8_t index, uint64_t prefix, uint64_t hash) {
    Check& check = checks[index];
    if (prefix == fresh && !looks_ours(check, now)) {
      put_answer(check, prefix, hash);
      return;
    }
    if (load_le64(check.server.data() + kPrefixSize) != hash) {
      retry[retry_count++] = index;
      renew[renew_count++] = index;
      return;
    }
    check.state = State::valid;
    const auto age = static_cast<int32_t>(now - load_be32(check.server.data() + 4));
    if (age > static_cast<int32_t>(kRenewAfter) || age < 0) {
      renew[renew_count++] = index;
    } else {
      check.answer = check.server;
    }
  });
  // The rare rest: cookies made with the other secret, and those that get a new one.
  if (secrets.has_other && retry_count != 0) {
    for (size_t i = 0; i < retry_count; ++i) {
      pass.add(retry[i], checks[retry[i]], load_le64(checks[retry[i]].server.data()));
    }
    pass.run(secrets.other, [&](uint8_t index, uint64_t, uint64_t hash) {
      if (load_le64(checks[index].server.data() + kPrefixSize) == hash) {
        checks[index].state = State::valid;
      }
    });
  }
  if (renew_count != 0) {
    for (size_t i = 0; i < renew_count; ++i) {
      pass.add(renew[i], checks[renew[i]], fresh);
    }
    pass.run(secrets.active, [&](uint8_t index, uint64_t prefix, uint64_t hash) {
      put_answer(checks[index], prefix, hash);
    });
  }
}

uint64_t siphash(const Secret& secret, Bytes data) {
  SipHash<uint64_t> state;
  state.key(secret);
  size_t at = 0;
  for (; data.size() - at >= 8; at += 8) {
    state.absorb(load_le64(data.data() + at));
  }
  uint64_t last = uint64_t{data.size() & 0xFF} << 56;
  for (size_t i = 0; at + i < data.size(); ++i) {
    last |= uint64_t{data[at + i]} << (8 * i);
  }
  state.absorb(last);
  uint64_t hash;
  state.finish(hash);
  return hash;
}

Secrets Secrets::random() {
  Secrets secrets;
  MERLON_ASSERT(::getrandom(secrets.active.data(), secrets.active.size(), 0) ==
                static_cast<ssize_t>(secrets.active.size()));
  return secrets;
}

Result<Secrets> parse_secrets(std::string_view text) {
  Secrets secrets;
  size_t found = 0;
  size_t line_number = 0;
  while (!text.empty()) {
    ++line_number;
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ' || line.back() == '\t')) {
      line.remove_suffix(1);
    }
    if (line.empty() || line.front() == '#') {
      continue;
    }
    if (found == 2) {
      return fail(ErrorCode::invalid_argument,
                  "cookie secrets: line {}: a third secret; there are the active one and one other",
                  line_number);
    }
    if (!from_hex(line, found == 0 ? secrets.active : secrets.other)) {
      return fail(ErrorCode::invalid_argument, "cookie secrets: line {}: not 32 hex digits",
                  line_number);
    }
    ++found;
  }
  if (found == 0) {
    return fail(ErrorCode::invalid_argument,
                "cookie secrets: no secret; write one line of 32 hex digits");
  }
  secrets.has_other = found == 2;
  return secrets;
}

}  // namespace merlon::cookie
