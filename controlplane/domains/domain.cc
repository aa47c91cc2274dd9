// SPDX-License-Identifier: Apache-2.0
#include "controlplane/domains/domain.h"

#include <idn2.h>
#include <libpsl.h>

#include <algorithm>
#include <cstring>

#include "zones/address/address.h"
#include "zones/base/assert.h"

namespace merlon::domains {
namespace {

// RFC 6761, 6762, 7686, 9476, the .internal of ICANN; and the names with a meaning of their own in
// policy zones (draft-vixie-dns-rpz sections 3 and 4).
constexpr std::string_view kReserved[] = {
    "alt",      "arpa",         "example",       "internal", "invalid", "local",
    "onion",    "localhost",    "rpz-client-ip", "rpz-drop", "rpz-ip",  "rpz-nsdname",
    "rpz-nsip", "rpz-passthru", "rpz-tcp-only",  "test",
};

// The folded character, or 0 when no listed name has it: letters, digits, '-' and '_', which names
// of services and of careless owners have, also at the ends of labels.
constexpr std::array<char, 256> kFolded = [] {
  std::array<char, 256> table{};
  for (char c = 'a'; c <= 'z'; ++c) {
    table[static_cast<uint8_t>(c)] = c;
    table[static_cast<uint8_t>(c - 'a' + 'A')] = c;
  }
  for (char c = '0'; c <= '9'; ++c) {
    table[static_cast<uint8_t>(c)] = c;
  }
  table['-'] = '-';
  table['_'] = '_';
  return table;
}();

bool is_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<uint8_t>(c) < 0x80; });
}

bool is_number(std::string_view text) {
  return text.find_first_not_of("0123456789") == std::string_view::npos;
}

// The ASCII form of what is not ASCII.
std::expected<std::string, Fault> to_ascii(std::string_view text) {
  const std::string terminated(text);
  char* ascii = nullptr;
  if (terminated.size() != std::strlen(terminated.c_str()) ||
      idn2_to_ascii_8z(terminated.c_str(), &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) !=
          IDN2_OK) {
    return std::unexpected(Fault::bad_idna);
  }
  std::string result(ascii);
  idn2_free(ascii);
  return result;
}

// Takes "*." or "." from the front and says what it means.
Scope take_scope(std::string_view& text, const CanonicalOptions& options) {
  if (text.starts_with("*.")) {
    text.remove_prefix(2);
    return options.wildcard;
  }
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    return Scope::subtree;
  }
  return options.plain;
}

// What is wrong with a text that has a character of no name.
Fault fault_of(std::string_view text) {
  if (address::parse_prefix(text)) {
    return Fault::ip_address;
  }
  return text.find('*') != std::string_view::npos ? Fault::wildcard_inside : Fault::bad_character;
}

}  // namespace

std::string_view to_string(Fault fault) {
  switch (fault) {
#define MERLON_X(name, text) \
  case Fault::name:          \
    return #name;
    MERLON_DOMAIN_FAULTS(MERLON_X)
#undef MERLON_X
  }
  return "unknown";
}

std::string_view explain(Fault fault) {
  switch (fault) {
#define MERLON_X(name, text) \
  case Fault::name:          \
    return text;
    MERLON_DOMAIN_FAULTS(MERLON_X)
#undef MERLON_X
  }
  return "cannot be listed";
}

std::string Domain::to_text() const {
  return (scope == Scope::below ? "*." : "") + text_of(key());
}

Canonicaliser::Canonicaliser(const CanonicalOptions& options) : options_(options) {
  for (const name::Name& zone : options.own_zones) {
    own_keys_.push_back(key_of(zone));
  }
}

Result<Canonicaliser> Canonicaliser::make(const CanonicalOptions& options) {
  Canonicaliser made(options);
  // The distribution's list when it is newer than the one built into the library.
  made.suffixes_ = {psl_latest(nullptr), [](psl_ctx_st* list) { psl_free(list); }};
  if (made.suffixes_ == nullptr) {
    return fail(ErrorCode::internal,
                "there is no list of public suffixes: install the package publicsuffix");
  }
  return made;
}

std::expected<Domain, Fault> Canonicaliser::read(std::string_view text) const {
  Domain domain;
  domain.scope = take_scope(text, options_);
  std::string ascii;
  if (!is_ascii(text)) {
    auto converted = to_ascii(text);
    if (!converted) {
      return std::unexpected(converted.error());
    }
    ascii = std::move(*converted);
    text = ascii;
  }
  if (text.ends_with('.')) {
    text.remove_suffix(1);
  }
  if (text.empty()) {
    return std::unexpected(Fault::empty);
  }
  // Wire form below the apex with a wildcard: one byte per label and the root more than the text.
  if (text.size() + 2 + 2 + (options_.apex_size_max - 1) > name::kWireSizeMax) {
    return std::unexpected(Fault::too_long);
  }
  char folded[kKeySizeMax + 1];
  bool good = true;
  for (size_t i = 0; i < text.size(); ++i) {
    folded[i] = text[i] == '.' ? '.' : kFolded[static_cast<uint8_t>(text[i])];
    good = good && folded[i] != 0;
  }
  if (!good) {
    return std::unexpected(fault_of(text));
  }
  folded[text.size()] = 0;
  size_t end = text.size();
  while (true) {
    size_t start = end;
    while (start > 0 && folded[start - 1] != '.') {
      --start;
    }
    if (start == end || end - start > name::kLabelSizeMax) {
      return std::unexpected(Fault::bad_label);
    }
    std::memcpy(domain.key_.data() + domain.size_, folded + start, end - start);
    domain.size_ = static_cast<uint8_t>(domain.size_ + end - start);
    domain.key_[domain.size_++] = 0;
    if (start == 0) {
      break;
    }
    end = start - 1;
  }
  if (auto listable = check_listable(domain, folded); !listable) {
    return std::unexpected(listable.error());
  }
  return domain;
}

// `text`: folded, without dots at its ends.
std::expected<void, Fault> Canonicaliser::check_listable(const Domain& domain,
                                                         const char* text) const {
  const std::string_view key = domain.key();
  const std::string_view top = key.substr(0, key.find('\0'));
  if (is_number(top)) {
    return std::unexpected(Fault::ip_address);
  }
  if (options_.purpose == CanonicalOptions::Purpose::allow) {
    return {};
  }
  for (const std::string& own : own_keys_) {
    if (key.starts_with(own) || (has_below(domain.scope) && own.starts_with(key))) {
      return std::unexpected(Fault::own_zone);
    }
  }
  if (std::ranges::find(kReserved, top) != std::end(kReserved)) {
    return std::unexpected(Fault::reserved);
  }
  if (top.size() + 1 == key.size()) {
    return std::unexpected(Fault::single_label);
  }
  if (psl_is_public_suffix(suffixes_.get(), text) != 0) {
    return std::unexpected(Fault::public_suffix);
  }
  return {};
}

std::string key_of(const name::Name& name) {
  const name::Name folded = name.folded();
  const Bytes wire = folded.wire();
  std::string key;
  std::vector<size_t> labels;
  for (size_t at = 0; wire[at] != 0; at += size_t{wire[at]} + 1) {
    labels.push_back(at);
  }
  for (size_t i = labels.size(); i-- > 0;) {
    key += as_text(wire.subspan(labels[i] + 1, wire[labels[i]]));
    key += '\0';
  }
  return key;
}

std::string text_of(std::string_view key) {
  std::string text;
  size_t end = key.size();
  while (end > 0) {
    const size_t before = end < 2 ? std::string_view::npos : key.rfind('\0', end - 2);
    const size_t start = before == std::string_view::npos ? 0 : before + 1;
    text += text.empty() ? "" : ".";
    text += key.substr(start, end - 1 - start);
    end = start;
  }
  return text;
}

Result<name::Name> name_below(const name::Name& apex, std::string_view key, Scope scope) {
  const size_t size = key.size() + apex.size() + (scope == Scope::below ? 2 : 0);
  if (size > name::kWireSizeMax) {
    return fail(ErrorCode::invalid_argument, "{} is too long for a name below {}", text_of(key),
                apex.to_text());
  }
  uint8_t wire[name::kWireSizeMax];
  size_t at = 0;
  if (scope == Scope::below) {
    wire[at++] = 1;
    wire[at++] = '*';
  }
  // The key from its end: each label is the bytes between two zeros.
  size_t end = key.size();
  while (end > 0) {
    size_t start = end - 1;
    while (start > 0 && key[start - 1] != 0) {
      --start;
    }
    const size_t label_size = end - 1 - start;
    wire[at++] = static_cast<uint8_t>(label_size);
    std::memcpy(wire + at, key.data() + start, label_size);
    at += label_size;
    end = start;
  }
  std::memcpy(wire + at, apex.wire().data(), apex.size());
  return name::Name::from_wire({wire, size});
}

}  // namespace merlon::domains
