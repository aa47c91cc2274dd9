// SPDX-License-Identifier: Apache-2.0
// Domain names as lists hold them: one spelling for each, and what must never be listed refused
// with the reason.
//
// Inside lists a name is a *key*: its labels from the top down, folded, a zero byte behind each:
// www.example.com is "com\0example\0www\0". Bytewise order of keys is the canonical order of the
// names (RFC 4034 section 6.1), a name stands directly before all that is below it, and "is below"
// is "begins with".
//
// What is written in ASCII is taken as it is: an xn-- label that IDNA 2008 would not make (emoji,
// names from IDNA 2003) is a name that resolves all the same. What is not ASCII must be a name of
// IDNA 2008, mapped as UTS 46 says (non-transitional: the German sharp s stays).
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "zones/base/error.h"
#include "zones/name/name.h"

struct psl_ctx_st;

namespace merlon::domains {

// Which names an entry stands for. The values are bits.
enum class Scope : uint8_t {
  exact = 1,    // the name alone
  below = 2,    // everything below it, not the name: *.example.com
  subtree = 3,  // both
};
constexpr bool has_exact(Scope scope) {
  return (static_cast<unsigned>(scope) & 1) != 0;
}
constexpr bool has_below(Scope scope) {
  return (static_cast<unsigned>(scope) & 2) != 0;
}
constexpr Scope operator|(Scope a, Scope b) {
  return static_cast<Scope>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}

// Why a text cannot be listed. One list gives enum, name and explanation.
#define MERLON_DOMAIN_FAULTS(X)                                                    \
  X(empty, "is empty")                                                             \
  X(bad_character, "has a character that no host name has")                        \
  X(bad_label, "has an empty label or one of more than 63 bytes")                  \
  X(too_long, "is too long to be a name below a policy zone")                      \
  X(bad_idna, "is not a name of IDNA 2008")                                        \
  X(wildcard_inside, "has a * elsewhere than as its first label")                  \
  X(ip_address, "is an IP address, or ends in a number as one does")               \
  X(single_label, "has a single label")                                            \
  X(reserved, "ends in a name that is reserved for special use")                   \
  X(public_suffix, "is a public suffix: the names below it belong to many owners") \
  X(own_zone, "is in, or covers, a zone of ours")

enum class Fault : uint8_t {
#define MERLON_X(name, text) name,
  MERLON_DOMAIN_FAULTS(MERLON_X)
#undef MERLON_X
};
std::string_view to_string(Fault fault);  // the enumerator's name
std::string_view explain(Fault fault);    // a predicate: "<text> is empty"

inline constexpr size_t kKeySizeMax = name::kWireSizeMax - 1;

// A canonical name with its scope; a value without heap memory.
class Domain {
 public:
  Scope scope = Scope::subtree;

  std::string_view key() const { return {key_.data(), size_}; }
  std::string to_text() const;  // "example.com", "*.example.com" for what is below it

 private:
  friend class Canonicaliser;
  std::array<char, kKeySizeMax> key_;
  uint8_t size_ = 0;
};

struct CanonicalOptions {
  // What is allowed may be anything; what is blocked may be no public suffix, reserved name, single
  // label or zone of ours.
  enum class Purpose : uint8_t { block, allow };
  Purpose purpose = Purpose::block;
  Scope plain = Scope::subtree;   // of "example.com"
  Scope wildcard = Scope::below;  // of "*.example.com"; some feeds mean the name as well
  std::vector<name::Name> own_zones{};
  // The longest apex of a policy zone that the names must fit below, with a wildcard label.
  size_t apex_size_max = 64;
};

// Thread-safe.
class Canonicaliser {
 public:
  // Errors: internal when there is no list of public suffixes.
  static Result<Canonicaliser> make(const CanonicalOptions& options);

  // "example.com", "Example.COM.", "*.example.com", ".example.com" (the name and all below it),
  // "bücher.example" in UTF-8.
  std::expected<Domain, Fault> read(std::string_view text) const;

 private:
  explicit Canonicaliser(const CanonicalOptions& options);
  std::expected<void, Fault> check_listable(const Domain& domain, const char* text) const;

  CanonicalOptions options_;
  std::vector<std::string> own_keys_;
  std::shared_ptr<psl_ctx_st> suffixes_;
};

// The key of a name, its wire form and its text. A key holds only what Canonicaliser lets through.
std::string key_of(const name::Name& name);
std::string text_of(std::string_view key);  // without the final dot
// The name below an apex, with the label * in front when `scope` is below. Errors: invalid_argument
// (too long).
Result<name::Name> name_below(const name::Name& apex, std::string_view key, Scope scope);

}  // namespace merlon::domains
