// SPDX-License-Identifier: Apache-2.0
// What counters make findings, and above all which do not: a row a case.
#include "controlplane/doctor/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "tests/controlplane/doctor/scene.h"

namespace merlon::doctor {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

struct Row {
  const char* what;
  std::function<void(Device&)> spoil;
  std::vector<std::string> expected = {};
};

std::vector<int64_t> times(int64_t newest, size_t count = 4) {
  std::vector<int64_t> all;
  for (size_t i = 0; i < count; ++i) {
    all.push_back(newest - static_cast<int64_t>(i));
  }
  return all;
}

AskedName failing(const char* name = "basic.merlon.internal.") {
  return {.name = name,
          .type = "A",
          .count = 50,
          .last = kNow - 10,
          .records = 4000,
          .ttl_s = 900,
          .within_ttl = 6};
}

const std::vector<Row>& udp_rows() {
  static const std::vector<Row> rows = {
      {"healthy", [](Device&) {}},
      {"truncated, never over TCP",
       [](Device& d) {
         d.udp.truncated_times = times(kNow - 10);
         d.tcp = {};
       },
       {"error tcp_blocked fw1"}},
      {"came over TCP once, not since",
       [](Device& d) {
         d.udp.truncated_times = times(kNow - 10);
         d.tcp.last = kNow - 3600;
       },
       {"error tcp_blocked fw1"}},
      {"TCP in the same second",
       [](Device& d) {
         d.udp.truncated_times = times(kNow - 10, 1);
         d.tcp.last = kNow - 10;
       }},
      {"too few to be sure",
       [](Device& d) {
         d.udp.truncated_times = times(kNow - 10, 2);
         d.tcp = {};
       }},
      {"a moment ago: it may be on its way",
       [](Device& d) {
         d.udp.truncated_times = times(kNow - 1);
         d.tcp.last = kNow - 7200;
       }},
      {"before TCP was counted",
       [](Device& d) {
         d.udp.truncated_times = times(kNow - 21 * kDayS);
         d.tcp = {};
       }},
      {"days ago",
       [](Device& d) {
         d.udp.truncated_times = times(kNow - 2 * kDayS);
         d.tcp.last = kNow - 3 * kDayS;
       }},
  };
  return rows;
}

const std::vector<Row>& limit_rows() {
  static const std::vector<Row> rows = {
      {"512 bytes only, TCP works",
       [](Device& d) { d.udp.would_fit = 100; },
       {"info edns_missing fw1"}},
      {"512 bytes only, no TCP",
       [](Device& d) {
         d.udp.would_fit = 100;
         d.udp.truncated_times = times(kNow - 10);
         d.tcp = {};
       },
       {"error tcp_blocked fw1", "warning edns_missing fw1"}},
      {"512 bytes a few times", [](Device& d) { d.udp.would_fit = 5; }},
      {"rate limited",
       [](Device& d) {
         d.udp.limited = 100;
         d.udp.limited_last = kNow - 60;
       },
       {"warning rate_limited fw1"}},
      {"cookies of somebody else",
       [](Device& d) {
         d.udp.limited = d.udp.badcookie = 100;
         d.udp.limited_last = kNow - 60;
       },
       {"warning cookies_foreign fw1"}},
      {"limited once upon a time",
       [](Device& d) {
         d.udp.limited = 100;
         d.udp.limited_last = kNow - 2 * kDayS;
       }},
      {"limited one in a thousand",
       [](Device& d) {
         d.udp.queries = 100'000;
         d.udp.limited = 100;
         d.udp.limited_last = kNow - 60;
       }},
  };
  return rows;
}

const std::vector<Row>& refused_rows() {
  static const std::vector<Row> rows = {
      {"refused by its entry",
       [](Device& d) {
         d.udp.refused_by_verb = 9;
         d.udp.last_useful = 0;
       },
       {"error refused_by_entry fw1"}},
      {"refused by its entry before it was changed", [](Device& d) { d.udp.refused_by_verb = 9; }},
      {"asks everything of us",
       [](Device& d) {
         d.udp.outside = 900;
         d.udp.outside_last = kNow - 9;
       },
       {"error recursion_refused fw1"}},
      {"asks some names of others",
       [](Device& d) {
         d.udp.outside = 200;
         d.udp.outside_last = kNow - 9;
       },
       {"warning recursion_refused fw1"}},
      {"asks others' names, and may",
       [](Device& d) {
         d.recursion = true;
         d.udp.outside = 900;
         d.udp.outside_last = kNow - 9;
       }},
      {"a few names of others",
       [](Device& d) {
         d.udp.outside = 30;
         d.udp.outside_last = kNow - 9;
       }},
  };
  return rows;
}

const std::vector<Row>& name_rows() {
  static const std::vector<Row> rows = {
      {"only names that are gone",
       [](Device& d) {
         d.udp.last_useful = d.tcp.last_useful = 0;
         d.tcp.names.clear();
       },
       {"error only_missing fw1"}},
      {"only names that are gone, for two days",
       [](Device& d) {
         d.udp.last_useful = d.tcp.last_useful = kNow - 2 * kDayS;
         d.tcp.names.clear();
       },
       {"error only_missing fw1"}},
      {"misses beside names that are looked up elsewhere",
       [](Device& d) {
         d.recursion = true;
         d.udp.last_useful = d.tcp.last_useful = 0;
         d.tcp.names.clear();
       }},
      {"one miss of a new device",
       [](Device& d) {
         d.udp = {.queries = 1, .last_seen = kNow - 9, .nxdomain = 1, .missed_last = kNow - 9};
         d.tcp = {};
       }},
      {"one list of several is gone",
       [](Device& d) {
         d.tcp.names.push_back({.name = "spamhaus.merlon.internal.",
                                .type = "A",
                                .told = Told::missing,
                                .count = 9,
                                .last = kNow - 60});
       },
       {"warning name_missing fw1"}},
      {"a list that is gone, asked for long ago",
       [](Device& d) {
         d.tcp.names.push_back({.name = "spamhaus.merlon.internal.",
                                .type = "A",
                                .told = Told::missing,
                                .count = 9,
                                .last = kNow - 3 * kDayS});
       }},
      {"only names that are not for it",
       [](Device& d) {
         d.udp = {.queries = 20,
                  .last_seen = kNow - 9,
                  .hidden = 20,
                  .hidden_last = kNow - 9,
                  .refused_name = "basic.merlon.internal."};
         d.tcp = {};
       },
       {"error not_for_it fw1"}},
      {"many names that are not for it",
       [](Device& d) {
         d.udp.hidden = 500;
         d.udp.hidden_last = kNow - 9;
       },
       {"warning not_for_it fw1"}},
      {"a few names that are not for it",
       [](Device& d) {
         d.udp.hidden = 50;
         d.udp.hidden_last = kNow - 9;
       }},
  };
  return rows;
}

const std::vector<Row>& repeat_rows() {
  static const std::vector<Row> rows = {
      {"asks again and again",
       [](Device& d) { d.tcp.names.push_back(failing()); },
       {"error list_too_long fw1"}},
      {"asks again and again for what any resolver keeps",
       [](Device& d) {
         AskedName name = failing();
         name.records = 100;
         d.tcp.names.push_back(name);
       }},
      {"two resolvers behind one address",
       [](Device& d) {
         AskedName name = failing();
         name.within_ttl = 2;
         d.tcp.names.push_back(name);
       }},
      {"asked again and again, days ago",
       [](Device& d) {
         AskedName name = failing();
         name.last = kNow - 2 * kDayS;
         d.tcp.names.push_back(name);
       }},
  };
  return rows;
}

const std::vector<Row>& silence_rows() {
  static const auto never = [](Device& d, int64_t age) {
    d.udp = {};
    d.tcp = {};
    d.created = kNow - age;
  };
  static const std::vector<Row> rows = {
      {"added a minute ago", [](Device& d) { never(d, 60); }},
      {"added two hours ago", [](Device& d) { never(d, 2 * kHourS); }, {"info never_asked fw1"}},
      {"added two days ago", [](Device& d) { never(d, 2 * kDayS); }, {"warning never_asked fw1"}},
      {"added before the counting",
       [](Device& d) { never(d, 99 * kDayS); },
       {"warning never_asked fw1"}},
      {"nothing is known of UDP",
       [](Device& d) {
         never(d, 99 * kDayS);
         d.has_udp = false;
       }},
      {"only transfers, over TCP",
       [](Device& d) {
         d.udp = {};
         d.tcp.names.clear();
       }},
      {"silent for a day",
       [](Device& d) {
         d.udp.last_seen = d.udp.last_useful = d.tcp.last = kNow - kDayS;
         d.tcp.names.clear();
         d.udp.truncated_times = {kNow - kDayS};
       }},
      {"silent for three days",
       [](Device& d) {
         d.udp = {.queries = 9, .last_seen = kNow - 3 * kDayS};
         d.tcp = {};
       },
       {"warning silent fw1"}},
      {"not in the snapshot",
       [](Device& d) {
         never(d, 300);
         d.has_udp = false;
         d.is_served = false;
       },
       {"error not_served fw1"}},
      {"not in the snapshot yet",
       [](Device& d) {
         never(d, 5);
         d.has_udp = false;
         d.is_served = false;
       }},
  };
  return rows;
}

void check(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    Device device = healthy();
    row.spoil(device);
    EXPECT_EQ(diagnosed(device), row.expected) << row.what;
  }
}

TEST(Doctor, CountersOverUdpMakeFindingsOnlyWhenTheyMust) {
  check(udp_rows());
  check(limit_rows());
  check(refused_rows());
}

TEST(Doctor, NamesThatAreAskedMakeFindingsOnlyWhenTheyMust) {
  check(name_rows());
  check(repeat_rows());
}

TEST(Doctor, SilenceIsSaidWhenItIsLongEnough) {
  check(silence_rows());
}

TEST(Doctor, ProcessesThatStartedJustNowKnowNothing) {
  Device device = healthy();
  device.udp = {};
  device.tcp = {};
  Input input = input_of({device});
  input.dataplane_started = input.tcp_started = kNow - 60;
  EXPECT_THAT(diagnose(input), IsEmpty());
  // The one that answers TCP was away while UDP answers were cut off.
  device.udp.last_seen = kNow - 100;
  device.udp.truncated_times = times(kNow - 100);
  input.devices = {device};
  EXPECT_THAT(diagnose(input), IsEmpty());
}

TEST(Doctor, TheDataPlaneIsMissedAndTheRestIsSaidAllTheSame) {
  Device device = healthy();
  device.has_udp = false;
  device.udp = {};
  device.tcp.names.push_back(failing());
  Input input = input_of({device});
  input.dataplane_error = "connect: no such file";
  EXPECT_THAT(words(diagnose(input)), ElementsAre("error no_dataplane", "error list_too_long fw1"));
  input.has_dataplane = false;
  EXPECT_THAT(words(diagnose(input)), ElementsAre("error list_too_long fw1", "info no_dataplane"));
}

TEST(Doctor, ALongListIsSaidWithItsProfileAndTheWayOut) {
  Device device = healthy();
  device.tcp.names = {failing("edge.acme.merlon.internal.")};
  Input input = input_of({device});
  input.lists["edge.acme.merlon.internal."] = {
      .list = "edge", .profile = "default", .per_name = 4000};
  Finding finding = diagnose(input).at(0);
  EXPECT_THAT(finding.cause, HasSubstr("stock BIND takes 100"));
  EXPECT_THAT(finding.cause, HasSubstr("PowerDNS Recursor 256"));
  EXPECT_THAT(finding.cause, HasSubstr("edge is compiled with the profile \"default\", 4000"));
  EXPECT_THAT(finding.todo, HasSubstr("merlonctl policy add acme edge --replace --profile bind"));
  EXPECT_THAT(finding.todo, HasSubstr("max-records-per-type 0"));
  input.lists["edge.acme.merlon.internal."].is_shared = true;
  finding = diagnose(input).at(0);
  EXPECT_THAT(finding.todo, HasSubstr("take it from a policy of the profile bind"));
  input.lists.clear();
  input.devices[0].tcp.names[0].records = 200;
  finding = diagnose(input).at(0);
  EXPECT_THAT(finding.cause, Not(HasSubstr("PowerDNS")));
  EXPECT_THAT(finding.cause, Not(HasSubstr("profile")));
}

TEST(Doctor, EveryFindingIsOneLineWithACauseAndADeed) {
  for (const auto* rows : {&udp_rows(), &limit_rows(), &refused_rows(), &name_rows(),
                           &repeat_rows(), &silence_rows()}) {
    for (const Row& row : *rows) {
      Device device = healthy();
      row.spoil(device);
      for (const Finding& finding : diagnose(input_of({device}))) {
        EXPECT_FALSE(finding.cause.empty() || finding.todo.empty()) << row.what;
        EXPECT_EQ((finding.cause + finding.todo).find('\n'), std::string::npos) << row.what;
        EXPECT_FALSE(finding.numbers.empty()) << row.what;
        EXPECT_EQ(finding.account, "acme") << row.what;
      }
    }
  }
}

TEST(Doctor, TheWorstComeFirst) {
  Device first = healthy();
  first.name = "a";
  first.udp.would_fit = 100;
  Device second = healthy();
  second.name = "b";
  second.sources = {*address::parse_prefix("203.0.113.9")};
  second.tcp.names.push_back(failing());
  EXPECT_THAT(words(diagnose(input_of({first, second}))),
              ElementsAre("error list_too_long b", "info edns_missing a"));
}

}  // namespace
}  // namespace merlon::doctor
