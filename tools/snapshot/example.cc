// SPDX-License-Identifier: Apache-2.0
// The smallest zone, t. with an SOA of serial 1: what FORMAT.md shows byte by byte.
#include <fmt/format.h>

#include "tools/snapshot/commands.h"
#include "zones/name/name.h"
#include "zones/snapshot/zone_builder.h"
#include "zones/wire/wire.h"

namespace merlon::tools::snapshot {
namespace {

using merlon::snapshot::BodiesBuilder;

Result<std::vector<uint8_t>> make_example() {
  const auto apex = name::Name::from_text("t.");
  if (!apex) {
    return std::unexpected(apex.error());
  }
  std::vector<uint8_t> soa(64);
  wire::Writer writer(soa);
  writer.name(*apex);  // name server
  writer.name(*apex);  // mailbox
  for (const uint32_t number : {1u, 3600u, 600u, 86400u, 60u}) {
    writer.u32(number);
  }
  soa.resize(writer.size());
  merlon::snapshot::ZoneBuilder zone({.apex = *apex, .serial = 1, .tier_mask = 1});
  zone.own().begin();
  zone.own().add({.type = wire::type::soa, .ttl = 300, .data = soa});
  const auto answer = zone.own().end();
  zone.own().begin();
  zone.own().add({.section = BodiesBuilder::Section::authority,
                  .owner = BodiesBuilder::Owner::apex,
                  .type = wire::type::soa,
                  .ttl = 60,
                  .data = soa});
  const auto negative = zone.own().end();
  if (!answer || !negative) {
    return std::unexpected(answer ? negative.error() : answer.error());
  }
  zone.set_negative_body(*negative);
  if (auto added = zone.add_rrset(*apex, wire::type::soa, 0, *answer); !added) {
    return std::unexpected(added.error());
  }
  return zone.finish();
}

// As `hexdump -C`: runs of equal lines become one "*".
std::string hex_dump(Bytes bytes) {
  std::string text;
  std::string before;
  bool starred = false;
  for (size_t at = 0; at < bytes.size(); at += 16) {
    const Bytes row = bytes.subspan(at, std::min<size_t>(16, bytes.size() - at));
    std::string hex;
    std::string plain;
    for (size_t i = 0; i < row.size(); ++i) {
      hex += fmt::format("{}{:02x}", i == 8 ? "  " : " ", row[i]);
      plain.push_back(row[i] >= 32 && row[i] < 127 ? static_cast<char>(row[i]) : '.');
    }
    if (hex == before) {
      text += starred ? "" : "*\n";
      starred = true;
      continue;
    }
    text += fmt::format("{:08x} {:<49}  |{}|\n", at, hex, plain);
    before = hex;
    starred = false;
  }
  return text + fmt::format("{:08x}\n", bytes.size());
}

}  // namespace

Status example() {
  const auto file = make_example();
  if (!file) {
    return std::unexpected(file.error());
  }
  fmt::print("{}", hex_dump(*file));
  return {};
}

}  // namespace merlon::tools::snapshot
