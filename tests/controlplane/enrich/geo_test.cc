// SPDX-License-Identifier: Apache-2.0
// With databases that tools/mmdb_write.py writes.
#include "controlplane/enrich/geo.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/support/snapshot_fixture.h"

namespace merlon::enrich {
namespace {

class GeoTest : public testing::Test {
 protected:
  // `lines` of Python add networks to `w`.
  std::string make(const std::string& name, const std::string& lines, int version = 6) {
    const std::string path = directory_.path() + "/" + name;
    const std::string script = path + ".py";
    std::ofstream(script) << "import sys\nsys.dont_write_bytecode = True\n"
                             "sys.path.insert(0, 'tools')\nimport mmdb_write\n"
                          << "w = mmdb_write.Writer('test', " << version << ")\n"
                          << lines << "\nopen('" << path << "', 'wb').write(w.to_bytes())\n";
    EXPECT_EQ(std::system(("python3 " + script).c_str()), 0);
    return path;
  }
  std::string countries() {
    return make("country",
                "c = lambda code: {'country': {'iso_code': code}}\n"
                "w.add('45.1.0.0/16', c('DE'))\nw.add('45.1.2.0/24', c('FR'))\n"
                "w.add('46.0.0.0/8', {'country_code': 'DE'})\nw.add('2a00::/16', c('FR'))\n"
                "w.add('47.0.0.0/8', {'country': {'iso_code': 'lower'}})\n");
  }
  std::string asns() {
    return make("asn",
                "a = lambda n, o: {'autonomous_system_number': n,"
                " 'autonomous_system_organization': o}\n"
                "w.add('45.1.0.0/17', a(3320, 'Telekom'))\nw.add('2a00::/32', a(70000, 'Big'))\n");
  }
  static address::Address at(const char* text) { return address::parse_address(text).value(); }

  tests::TemporaryDirectory directory_;
};

TEST_F(GeoTest, TellsCountryAndSystemOfAddresses) {
  const auto geo = Geo::load({.country_file = countries(), .asn_file = asns()});
  ASSERT_TRUE(geo.has_value()) << geo.error().message;
  EXPECT_EQ(geo->place_of(at("45.1.1.1")), (Place{"DE", 3320, "Telekom"}));
  EXPECT_EQ(geo->place_of(at("45.1.2.255")), (Place{"FR", 3320, "Telekom"}));
  EXPECT_EQ(geo->place_of(at("45.1.3.0")), (Place{"DE", 3320, "Telekom"}));
  EXPECT_EQ(geo->place_of(at("45.1.200.1")), (Place{"DE", 0, ""}));
  EXPECT_EQ(geo->place_of(at("46.255.255.255")), (Place{"DE", 0, ""}));
  EXPECT_EQ(geo->place_of(at("47.0.0.1")), Place{});
  EXPECT_EQ(geo->place_of(at("44.255.255.255")), Place{});
  EXPECT_EQ(geo->place_of(at("2a00::1")), (Place{"FR", 70000, "Big"}));
  EXPECT_EQ(geo->place_of(at("2a01::1")), Place{});
}

TEST_F(GeoTest, GivesTheAddressesOfPlaces) {
  const auto geo = Geo::load({.country_file = countries(), .asn_file = asns()});
  ASSERT_TRUE(geo.has_value());
  const std::vector<std::string> france{"FR"};
  const std::vector<uint32_t> telekom{3320};
  const auto french = geo->addresses_of(france, {});
  ASSERT_TRUE(french.has_value());
  ASSERT_EQ(french->v4.ranges().size(), 1U);
  EXPECT_EQ(address::to_text(french->v4.ranges().front()), "45.1.2.0/24");
  EXPECT_EQ(address::to_text(french->v6.ranges().front()), "2a00::/16");
  const std::vector<std::string> both{"DE", "FR"};
  const auto of_both = geo->addresses_of(both, telekom);
  ASSERT_EQ(of_both->v4.ranges().size(), 1U);
  EXPECT_EQ(address::to_text(of_both->v4.ranges().front()), "45.1.0.0/17");
  EXPECT_TRUE(of_both->v6.empty());
  const std::vector<std::string> nowhere{"AQ"};
  EXPECT_TRUE(geo->addresses_of(nowhere, {})->empty());
}

TEST_F(GeoTest, ReadsDatabasesOfIpv4Alone) {
  const auto geo =
      Geo::load({.country_file = make("four", "w.add('45.1.0.0/16', {'country_code': 'NL'})", 4)});
  ASSERT_TRUE(geo.has_value()) << geo.error().message;
  EXPECT_EQ(geo->place_of(at("45.1.9.9")).country, "NL");
  EXPECT_EQ(geo->place_of(at("2a00::1")), Place{});
}

TEST_F(GeoTest, WithoutADatabaseNothingIsKnownAndPlacesAreAnError) {
  const Geo geo;
  EXPECT_EQ(geo.place_of(at("45.1.1.1")), Place{});
  const std::vector<std::string> france{"FR"};
  const auto unknown = geo.addresses_of(france, {});
  ASSERT_FALSE(unknown.has_value());
  EXPECT_NE(unknown.error().message.find("geo_country_file"), std::string::npos);
}

TEST_F(GeoTest, DamagedAndForeignFilesAreErrors) {
  EXPECT_EQ(Geo::load({.country_file = directory_.path() + "/none"}).error().code,
            ErrorCode::not_found);
  const std::string rubbish = directory_.path() + "/rubbish";
  std::ofstream(rubbish) << "not a database";
  EXPECT_EQ(Geo::load({.country_file = rubbish}).error().code, ErrorCode::corruption);
  EXPECT_EQ(Geo::load({.asn_file = countries()}).error().code, ErrorCode::unsupported);
  const std::string loop =
      make("loop", "w.add('45.1.0.0/16', {'country_code': 'NL'})\nw.nodes[-1][0] = 0\n");
  EXPECT_EQ(Geo::load({.country_file = loop}).error().code, ErrorCode::corruption);
  // Cut at any length: an error, or what was left of it, and never more than that.
  const std::string whole = countries();
  std::ifstream in(whole, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), {});
  for (size_t size = 0; size < bytes.size(); size += 37) {
    const std::string cut = directory_.path() + "/cut";
    std::ofstream(cut, std::ios::binary) << bytes.substr(0, size);
    EXPECT_FALSE(Geo::load({.country_file = cut}).has_value()) << size;
  }
}

}  // namespace
}  // namespace merlon::enrich
