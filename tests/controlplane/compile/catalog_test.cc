// SPDX-License-Identifier: Apache-2.0
// Catalog zones and the digests of zones that are not signed, before ldns-verify-zone.
#include "controlplane/compile/catalog.h"

#include <gmock/gmock.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "tests/controlplane/compile/compiled.h"
#include "tests/controlplane/compile/zones.h"
#include "zones/base/bytes.h"

namespace merlon::compile {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;

int status_of(const std::string& command) {
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  char buffer[512];
  while (std::fread(buffer, 1, sizeof buffer, pipe) > 0) {
  }
  const int status = ::pclose(pipe);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// A zone as a file, all data in the form of RFC 3597.
std::string file_of(const ZoneContent& zone) {
  std::string soa;
  std::string rest;
  for (const RecordView record : records_of(zone)) {
    std::string hex;
    for (const uint8_t byte : record.data()) {
      hex += fmt::format("{:02x}", byte);
    }
    std::string line = fmt::format(
        "{} {} IN {} \\# {} {}\n", name::Name::from_wire(record.owner()).value().to_text(),
        record.ttl(), wire::type_to_text(record.type()), record.data().size(), hex);
    (record.type() == wire::type::soa ? soa : rest) += line;
  }
  return soa + rest;
}

// Whether ldns finds the digest of the zone right.
bool digest_is_right(const std::string& text) {
  std::string path = std::filesystem::temp_directory_path() / "merlon-zonemd-XXXXXX";
  const int descriptor = ::mkstemp(path.data());
  ::close(descriptor);
  std::ofstream(path) << text;
  const bool right = status_of("ldns-verify-zone -Z " + path) == 0;
  std::filesystem::remove(path);
  return right;
}

const RpzSettings kSettings;

CatalogInput catalog(const std::vector<std::string>& members) {
  CatalogInput input{
      .apex = name_of("fw.catalog.acme.merlon.internal."), .account = 7, .members = {}};
  for (const std::string& member : members) {
    input.members.push_back({.apex = name_of(member), .group = "rpz"});
  }
  return input;
}

CompiledCatalog compiled(const CatalogInput& input, uint32_t serial = 100,
                         const RpzMemory& before = {}) {
  auto made = compile_catalog(input, {.settings = kSettings, .next_serial = serial}, before);
  EXPECT_TRUE(made.has_value()) << made.error().message;
  return std::move(*made);
}

// "owner below the apex" -> data, of one type.
std::map<std::string, std::string> records(const CompiledCatalog& made, uint16_t type) {
  const auto loaded = load_zone(made.bytes);
  std::map<std::string, std::string> found;
  for (const RecordView record : records_of(loaded->content())) {
    if (record.type() == type) {
      const std::string owner = name::Name::from_wire(record.owner()).value().to_text();
      found[owner.substr(0, owner.find(".catalog.") - 3)] =
          type == wire::type::ptr ? name::Name::from_wire(record.data()).value().to_text()
                                  : std::string(as_text(record.data().subspan(1)));
    }
  }
  return found;
}

TEST(CatalogZone, NamesItsVersionAndItsMembersUnderLabelsThatStay) {
  const auto one = compiled(catalog({"a.rpz.acme.merlon.internal.", "acme.merlon.internal."}));
  const auto members = records(one, wire::type::ptr);
  ASSERT_EQ(members.size(), 2u);
  std::vector<std::string> targets;
  for (const auto& [owner, target] : members) {
    EXPECT_THAT(owner, HasSubstr(".zones"));
    targets.push_back(target);
  }
  EXPECT_THAT(targets,
              UnorderedElementsAre("a.rpz.acme.merlon.internal.", "acme.merlon.internal."));
  const auto texts = records(one, wire::type::txt);
  EXPECT_EQ(texts.at("version"), "2");
  EXPECT_EQ(texts.size(), 3u);  // and a group each
  const auto two = compiled(catalog(
      {"0.rpz.acme.merlon.internal.", "A.rpz.acme.merlon.internal.", "acme.merlon.internal."}));
  for (const auto& [owner, target] : records(one, wire::type::ptr)) {
    EXPECT_EQ(records(two, wire::type::ptr).at(owner), target);
  }
  EXPECT_EQ(load_zone(one.bytes)->view.info().account, 7u);
}

TEST(CatalogZone, KeepsItsSerialWhileItSaysTheSame) {
  const auto first = compiled(catalog({"a.rpz.acme.merlon.internal."}), 100);
  EXPECT_EQ(first.memory.serial, 100u);
  const auto again = compiled(catalog({"a.rpz.acme.merlon.internal."}), 200, first.memory);
  EXPECT_EQ(again.bytes, first.bytes);
  EXPECT_EQ(again.memory, first.memory);
  // After a restart that lost what it said but for hash and serial.
  const auto lost = compiled(catalog({"a.rpz.acme.merlon.internal."}), 200,
                             {.serial = 100, .digest = {}, .hash = first.memory.hash});
  EXPECT_EQ(lost.bytes, first.bytes);
  const auto more = compiled(catalog({"a.rpz.acme.merlon.internal.", "b."}), 200, first.memory);
  EXPECT_EQ(more.memory.serial, 200u);
  const auto none = compiled(catalog({}), 300, more.memory);
  EXPECT_EQ(none.memory.serial, 300u);
  EXPECT_THAT(records(none, wire::type::ptr), IsEmpty());
}

TEST(ZoneDigest, OfACatalogIsRight) {
  const auto made = compiled(catalog({"a.rpz.acme.merlon.internal.", "b.", "c.d."}));
  const std::string text = file_of(load_zone(made.bytes)->content());
  EXPECT_TRUE(digest_is_right(text)) << text;
  std::string damaged = text;
  damaged[damaged.rfind(" 60 IN") == std::string::npos ? damaged.find(" 300 IN") + 1 : 0] = '9';
  EXPECT_FALSE(digest_is_right(damaged));
}

TEST(ZoneDigest, OfAnAccountsListsIsRightAndTheSameForTheSame) {
  const Settings made = settings();
  const ZoneInput input{
      .apex = name_of("acme.merlon.internal."),
      .account = 7,
      .lists = {list("edge", ips({"20.0.0.0-20.0.2.9", "2a00::/124"}), ips({"30.0.0.0/8"})),
                list("other", ips({"25.0.0.1", "25.0.0.9"}))}};
  const auto compiled = compile_zone(input, {.settings = made, .next_serial = 5}, {});
  ASSERT_TRUE(compiled.has_value()) << compiled.error().message;
  auto zone = load_zone(compiled->segments.back().bytes);
  for (const snapshot::ContentHash& hash : zone->view.dependencies()) {
    for (const CompiledSegment& segment : compiled->segments) {
      if (segment.listed.hash == hash) {
        zone->bodies_segments.push_back(snapshot::Segment::from_bytes(segment.content()).value());
      }
    }
  }
  for (const snapshot::Segment& segment : zone->bodies_segments) {
    zone->bodies_views.push_back(
        std::make_unique<snapshot::BodiesView>(snapshot::BodiesView::open(segment).value()));
    zone->bodies.push_back(zone->bodies_views.back().get());
  }
  const std::string text = file_of(zone->content());
  EXPECT_THAT(text, HasSubstr(" A "));
  EXPECT_TRUE(digest_is_right(text));
  const auto again = compile_zone(input, {.settings = made, .next_serial = 9}, compiled->memory);
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->segments.back().bytes, compiled->segments.back().bytes);
}

}  // namespace
}  // namespace merlon::compile
