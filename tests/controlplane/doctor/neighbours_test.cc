// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/controlplane/doctor/scene.h"

namespace merlon::doctor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Unknown unknown(const char* address, uint64_t count = 9, int64_t last = kNow - 30) {
  return {.address = *address::parse_address(address), .count = count, .last = last};
}

Device device(const char* name, const char* source, int64_t last_seen = kNow - 300) {
  Device made{.account = "acme",
              .name = name,
              .sources = {*address::parse_prefix(source)},
              .created = kNow - 9 * kDayS,
              .has_udp = true};
  made.udp.last_seen = made.udp.last_useful = last_seen;
  made.udp.queries = last_seen == 0 ? 0 : 9;
  return made;
}

std::vector<std::string> found(std::vector<Device> devices, std::vector<Unknown> unknown) {
  Input input = input_of(std::move(devices));
  input.unknown = std::move(unknown);
  return words(diagnose(input));
}

TEST(DoctorNeighbours, ASilentDevicesNeighbourIsTheDeviceWithAnotherAddress) {
  EXPECT_THAT(found({device("fw1", "192.0.2.7", 0)}, {unknown("192.0.2.9")}),
              ElementsAre("error address_changed fw1"));
  EXPECT_THAT(found({device("fw1", "192.0.2.7", kNow - 3 * kDayS)}, {unknown("192.0.2.9")}),
              ElementsAre("error address_changed fw1"))
      << "in place of its silence";
  EXPECT_THAT(found({device("fw1", "192.0.2.7", kNow - 3 * kHourS)}, {unknown("192.0.2.9")}),
              ElementsAre("warning address_changed fw1"));
  EXPECT_THAT(found({device("fw1", "2001:db8:7:1::7", 0)}, {unknown("2001:db8:7:9::9")}),
              ElementsAre("error address_changed fw1"));
}

TEST(DoctorNeighbours, OfADeviceThatAsksItIsOnlyANote) {
  EXPECT_THAT(found({device("fw1", "192.0.2.7")}, {unknown("192.0.2.9")}),
              ElementsAre("info neighbour_refused fw1"));
}

TEST(DoctorNeighbours, StrangersAreNobodysNeighbours) {
  const std::vector<Device> devices = {device("fw1", "192.0.2.7"),
                                       device("fw2", "2001:db8:7::/48")};
  EXPECT_THAT(found(devices, {unknown("192.0.3.9")}), IsEmpty());
  EXPECT_THAT(found(devices, {unknown("2001:db8:8::1")}), IsEmpty());
  EXPECT_THAT(found(devices, {unknown("192.0.2.9", 2)}), IsEmpty()) << "too few";
  EXPECT_THAT(found(devices, {unknown("192.0.2.9", 9, kNow - 2 * kDayS)}), IsEmpty()) << "long ago";
  EXPECT_THAT(found(devices, {unknown("192.0.2.7")}), IsEmpty()) << "registered meanwhile";
  EXPECT_THAT(found(devices, {unknown("::c000:209")}), IsEmpty()) << "of the other family";
}

TEST(DoctorNeighbours, TheAccountsOwnRangeCountsToo) {
  const std::vector<Device> devices = {device("a", "198.51.7.1"), device("b", "198.51.200.1", 0)};
  EXPECT_THAT(found(devices, {unknown("198.51.100.1")}), ElementsAre("error address_changed b"))
      << "the silent one";
  EXPECT_THAT(found(devices, {unknown("198.52.100.1")}), ElementsAre("warning never_asked b"));
  std::vector<Device> wide = {device("a", "198.51.7.1"), device("b", "203.0.113.1")};
  EXPECT_THAT(found(wide, {unknown("200.0.0.1")}), IsEmpty()) << "that is half the Internet";
  wide[1].account = "other";
  wide[1].sources = {*address::parse_prefix("198.51.200.1")};
  EXPECT_THAT(found(wide, {unknown("198.51.100.1")}), IsEmpty()) << "two accounts are no range";
}

TEST(DoctorNeighbours, TheNearestOfThoseThatAskIsNamed) {
  EXPECT_THAT(found({device("far", "192.0.2.200"), device("near", "192.0.2.8")},
                    {unknown("192.0.2.9"), unknown("192.0.2.10")}),
              ElementsAre("info neighbour_refused near"));
}

TEST(DoctorNeighbours, AddressesAreNamedThoseThatAskMostFirst) {
  Input input = input_of({device("fw1", "192.0.2.7", 0)});
  for (int i = 20; i < 25; ++i) {
    input.unknown.push_back(
        unknown(("192.0.2." + std::to_string(i)).c_str(), static_cast<uint64_t>(i)));
  }
  const Finding finding = diagnose(input).at(0);
  EXPECT_THAT(finding.cause, HasSubstr("192.0.2.24, 192.0.2.23, 192.0.2.22 and 2 more"));
  EXPECT_THAT(finding.cause, HasSubstr("last seen never: its address has changed?"));
  EXPECT_THAT(finding.todo, HasSubstr("merlonctl device set fw1 --source"));
  EXPECT_EQ(finding.numbers.at(0).second, 20 + 21 + 22 + 23 + 24);
}

}  // namespace
}  // namespace merlon::doctor
