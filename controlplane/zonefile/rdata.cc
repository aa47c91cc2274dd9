// SPDX-License-Identifier: Apache-2.0
#include "controlplane/zonefile/rdata.h"

#include <fmt/format.h>
#include <ldns/ldns.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "controlplane/zonefile/fields.h"
#include "zones/wire/wire.h"

namespace merlon::zonefile {
namespace {

// Types that ldns has no name for, or not everywhere.
struct TypeName {
  std::string_view name;
  uint16_t type;
};
constexpr auto kTypeNames = std::to_array<TypeName>({
    {"EID", 31},       {"NIMLOC", 32},   {"ATMA", 34},    {"SINK", 40},   {"NINFO", 56},
    {"RKEY", 57},      {"TA", 32768},    {"DLV", 32769},  {"DSYNC", 66},  {"HHIT", 67},
    {"BRID", 68},      {"SVCB", 64},     {"HTTPS", 65},   {"ZONEMD", 63}, {"DOA", 259},
    {"AMTRELAY", 260}, {"RESINFO", 261}, {"WALLET", 262}, {"CLA", 263},   {"IPN", 264},
});

// Where the names lie in the data of types whose names may come compressed.
struct NamePlaces {
  uint16_t type;
  uint8_t before;   // bytes before the first name
  uint8_t strings;  // character-strings behind those
  uint8_t names;
};
constexpr auto kNamePlaces = std::to_array<NamePlaces>({
    {2, 0, 0, 1},  {3, 0, 0, 1},  {4, 0, 0, 1},   {5, 0, 0, 1},  {6, 0, 0, 2},  {7, 0, 0, 1},
    {8, 0, 0, 1},  {9, 0, 0, 1},  {12, 0, 0, 1},  {14, 0, 0, 2}, {15, 2, 0, 1}, {17, 0, 0, 2},
    {18, 2, 0, 1}, {21, 2, 0, 1}, {24, 18, 0, 1}, {26, 2, 0, 2}, {30, 0, 0, 1}, {33, 6, 0, 1},
    {35, 4, 3, 1}, {36, 2, 0, 1}, {39, 0, 0, 1},
});

const NamePlaces* names_in(uint16_t type) {
  const auto at = std::ranges::lower_bound(kNamePlaces, type, {}, &NamePlaces::type);
  return at != kNamePlaces.end() && at->type == type ? &*at : nullptr;
}

struct RrDeleter {
  void operator()(ldns_rr* rr) const { ldns_rr_free(rr); }
};
using RrPointer = std::unique_ptr<ldns_rr, RrDeleter>;

struct RdfDeleter {
  void operator()(ldns_rdf* rdf) const { ldns_rdf_deep_free(rdf); }
};

struct BufferDeleter {
  void operator()(ldns_buffer* buffer) const { ldns_buffer_free(buffer); }
};

std::string read_by_ldns(uint16_t type, std::span<const Token> tokens, Bytes origin,
                         std::vector<uint8_t>& out) {
  std::string text = ". 0 IN " + type_text(type);
  for (const Token& token : tokens) {
    text += token.quoted ? fmt::format(" \"{}\"", token.text) : fmt::format(" {}", token.text);
  }
  if (text.size() > LDNS_MAX_PACKETLEN - 1) {
    return "a record of more than 65,535 bytes";
  }
  const std::unique_ptr<ldns_rdf, RdfDeleter> from(
      origin.empty() ? nullptr
                     : ldns_rdf_new_frm_data(LDNS_RDF_TYPE_DNAME, origin.size(), origin.data()));
  ldns_rr* made = nullptr;
  const ldns_status status = ldns_rr_new_frm_str(&made, text.c_str(), 0, from.get(), nullptr);
  const RrPointer rr(made);
  if (status != LDNS_STATUS_OK) {
    return ldns_get_errorstr_by_id(status);
  }
  const std::unique_ptr<ldns_buffer, BufferDeleter> buffer(ldns_buffer_new(LDNS_MAX_PACKETLEN));
  if (buffer == nullptr || ldns_rr_get_type(rr.get()) != static_cast<ldns_rr_type>(type) ||
      ldns_rr_rdata2buffer_wire(buffer.get(), rr.get()) != LDNS_STATUS_OK) {
    return "a record of more than 65,535 bytes";
  }
  const uint8_t* data = ldns_buffer_begin(buffer.get());
  out.insert(out.end(), data, data + ldns_buffer_position(buffer.get()));
  return "";
}

// \# <size> <hex>..; tokens are those behind \#.
std::string read_generic(uint16_t type, std::span<const Token> tokens, std::vector<uint8_t>& out) {
  uint64_t size = 0;
  if (tokens.empty() || !read_number(tokens[0].text, UINT16_MAX, size)) {
    return "\\# without the number of bytes";
  }
  const size_t start = out.size();
  if (const auto fault = append_hex(tokens.subspan(1), out); !fault.empty()) {
    return std::string(fault);
  }
  if (out.size() - start != size) {
    return fmt::format("\\# says {} bytes, {} follow", size, out.size() - start);
  }
  return rdata_fault(type, Bytes(out).subspan(start));
}

}  // namespace

uint16_t type_from_text(std::string_view text) {
  if (text.empty() || text.size() > 16) {
    return 0;
  }
  std::array<char, 20> terminated{};
  std::ranges::transform(text, terminated.begin(),
                         [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  const std::string_view upper(terminated.data(), text.size());
  uint64_t number = 0;
  if (upper.starts_with("TYPE") && read_number(upper.substr(4), UINT16_MAX, number)) {
    return static_cast<uint16_t>(number);
  }
  if (upper.starts_with("TYPE")) {
    return 0;
  }
  if (upper.size() == 1) {  // most records there are
    return upper == "A" ? wire::type::a : uint16_t{0};
  }
  const auto at = std::ranges::find(kTypeNames, upper, &TypeName::name);
  if (at != kTypeNames.end()) {
    return at->type;
  }
  return static_cast<uint16_t>(ldns_get_rr_type_by_name(terminated.data()));
}

std::string type_text(uint16_t type) {
  const auto at = std::ranges::find(kTypeNames, type, &TypeName::type);
  if (at != kTypeNames.end()) {
    return std::string(at->name);
  }
  const std::unique_ptr<char, decltype(&std::free)> text(
      ldns_rr_type2str(static_cast<ldns_rr_type>(type)), &std::free);
  return text != nullptr ? std::string(text.get()) : fmt::format("TYPE{}", type);
}

std::string read_rdata(uint16_t type, std::span<const Token> tokens, Bytes origin,
                       std::vector<uint8_t>& out) {
  if (!tokens.empty() && !tokens[0].quoted && tokens[0].text == "\\#") {
    return read_generic(type, tokens.subspan(1), out);
  }
  const size_t start = out.size();
  const std::string_view layout = layout_of(type);
  std::string fault;
  if (!layout.empty()) {
    fault = read_by_layout(layout, tokens, origin, out);
    if (fault.empty()) {
      return out.size() - start <= UINT16_MAX ? "" : "a record of more than 65,535 bytes";
    }
    out.resize(start);
    if (layout.find_first_of("xbB") == std::string_view::npos) {
      return fault;  // there is one way to write those
    }
  }
  std::string ldns_fault = read_by_ldns(type, tokens, origin, out);
  if (!ldns_fault.empty()) {
    out.resize(start);
    return fault.empty() ? ldns_fault : fault;
  }
  return rdata_fault(type, Bytes(out).subspan(start));
}

std::string rdata_fault(uint16_t type, Bytes data) {
  if (data.size() > UINT16_MAX) {
    return "a record of more than 65,535 bytes";
  }
  // ldns reads what it knows of: an owner, the fixed part, then the data.
  std::vector<uint8_t> record = {0};
  append_be(type, 2, record);
  append_be(wire::kClassIn, 2, record);
  append_be(0, 4, record);
  append_be(data.size(), 2, record);
  record.insert(record.end(), data.begin(), data.end());
  if (data.size() <= wire::kMessageSizeMax - 11) {
    ldns_rr* made = nullptr;
    size_t at = 0;
    const ldns_status status =
        ldns_wire2rr(&made, record.data(), record.size(), &at, LDNS_SECTION_ANSWER);
    const RrPointer rr(made);
    if (status != LDNS_STATUS_OK || at != record.size()) {
      return fmt::format("data that is no {} record", type_text(type));
    }
  }
  if (const NamePlaces* places = names_in(type); places != nullptr) {
    std::vector<uint8_t> again;
    if (!decompress_rdata(type, data, 0, data.size(), again) || again.size() != data.size()) {
      return fmt::format("data that is no {} record", type_text(type));
    }
  }
  return "";
}

bool decompress_rdata(uint16_t type, Bytes message, size_t at, size_t size,
                      std::vector<uint8_t>& out) {
  if (at > message.size() || size > message.size() - at) {
    return false;
  }
  const Bytes data = message.subspan(at, size);
  const NamePlaces* places = names_in(type);
  if (places == nullptr) {
    out.insert(out.end(), data.begin(), data.end());
    return true;
  }
  wire::Reader reader(message.first(at + size));
  reader.skip(at + places->before);
  for (unsigned i = 0; i < places->strings; ++i) {
    reader.skip(reader.u8());
  }
  if (!reader.ok()) {
    return false;
  }
  out.insert(out.end(), message.begin() + static_cast<ptrdiff_t>(at),
             message.begin() + static_cast<ptrdiff_t>(reader.offset()));
  for (unsigned i = 0; i < places->names; ++i) {
    const name::Name name = reader.name();
    out.insert(out.end(), name.wire().begin(), name.wire().end());
  }
  if (!reader.ok()) {
    return false;
  }
  const Bytes rest = message.subspan(reader.offset(), reader.remaining());
  out.insert(out.end(), rest.begin(), rest.end());
  return type == wire::type::soa ? rest.size() == 20 : (type == 24 || type == 30 || rest.empty());
}

void fold_rdata(uint16_t type, std::vector<uint8_t>& data) {
  const NamePlaces* places = names_in(type);
  if (places == nullptr || places->strings != 0) {
    return;
  }
  size_t at = places->before;
  for (unsigned i = 0; i < places->names; ++i) {
    while (at < data.size() && data[at] != 0) {  // lengths are below 'A'
      const size_t end = std::min(data.size(), at + 1 + data[at]);
      for (++at; at < end; ++at) {
        data[at] =
            data[at] >= 'A' && data[at] <= 'Z' ? static_cast<uint8_t>(data[at] | 0x20) : data[at];
      }
    }
    ++at;
  }
}

}  // namespace merlon::zonefile
