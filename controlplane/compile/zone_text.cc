// SPDX-License-Identifier: Apache-2.0
#include "controlplane/compile/zone_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "zones/address/address.h"
#include "zones/name/name.h"
#include "zones/wire/wire.h"

namespace merlon::compile {
namespace {

namespace type = wire::type;
using Out = std::back_insert_iterator<std::string>;

void append_name(Bytes wire, std::string& text) {
  const auto name = name::Name::from_wire(wire);
  text += name ? name->to_text() : ".";
}

void append_texts(Bytes data, std::string& text) {
  while (!data.empty()) {
    const Bytes string = data.subspan(1, data[0]);
    text += text.ends_with(' ') ? "\"" : " \"";
    for (const uint8_t byte : string) {
      if (byte == '"' || byte == '\\') {
        text.push_back('\\');
        text.push_back(static_cast<char>(byte));
      } else if (byte < ' ' || byte > '~') {
        fmt::format_to(Out(text), "\\{:03}", byte);
      } else {
        text.push_back(static_cast<char>(byte));
      }
    }
    text.push_back('"');
    data = data.subspan(1 + string.size());
  }
}

void append_soa(Bytes data, std::string& text) {
  wire::Reader reader(data);
  text += reader.name().to_text();
  text += " " + reader.name().to_text();
  for (int i = 0; i < 5; ++i) {
    fmt::format_to(Out(text), " {}", reader.u32());
  }
}

void append_unknown(Bytes data, std::string& text) {
  fmt::format_to(Out(text), "\\# {}", data.size());
  text += data.empty() ? "" : " ";
  for (const uint8_t byte : data) {
    fmt::format_to(Out(text), "{:02x}", byte);
  }
}

void append_data(uint16_t rrtype, Bytes data, std::string& text) {
  switch (rrtype) {
    case type::a:
      text += address::to_text(address::Address{.family = address::Family::v4,
                                                .bits = address::load_network_v4(data.data())});
      return;
    case type::aaaa:
      text += address::to_text(address::Address{.family = address::Family::v6,
                                                .bits = address::load_network_v6(data.data())});
      return;
    case type::ns:
    case type::cname:
    case type::ptr:
      return append_name(data, text);
    case type::soa:
      return append_soa(data, text);
    case type::txt:
      return append_texts(data, text);
    default:
      return append_unknown(data, text);
  }
}

}  // namespace

std::string zone_text(const ZoneContent& zone) {
  std::string text;
  std::string owner;
  Bytes owner_wire;
  const auto append = [&](const RecordView& record) {
    if (!std::ranges::equal(owner_wire, record.owner())) {
      owner.clear();
      append_name(record.owner(), owner);
      owner_wire = record.owner();
    }
    fmt::format_to(Out(text), "{} {} IN {} ", owner, record.ttl(),
                   wire::type_to_text(record.type()));
    append_data(record.type(), record.data(), text);
    text.push_back('\n');
  };
  const RecordList records = records_of(zone);
  for (const RecordView record : records) {
    if (record.type() == type::soa) {
      append(record);
    }
  }
  for (const RecordView record : records) {
    if (record.type() != type::soa) {
      append(record);
    }
  }
  return text;
}

}  // namespace merlon::compile
