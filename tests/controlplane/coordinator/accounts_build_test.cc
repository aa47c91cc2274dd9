// SPDX-License-Identifier: Apache-2.0
// Zones of accounts: what they hold, what a change compiles, what is remembered.
#include <fstream>

#include "tests/controlplane/coordinator/fixture.h"

namespace merlon::coordinator {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::Not;
using testing::UnorderedElementsAre;

class AccountZones : public CoordinatorTest {
 protected:
  void add_account(const std::string& name) {
    ASSERT_GOOD(store_->add_account({.name = name, .title = {}}, 1000));
  }
  void add_list(const std::string& account, const std::string& list,
                store::Direction direction = store::Direction::block) {
    store::CustomList made;
    made.account = account;
    made.name = list;
    made.direction = direction;
    ASSERT_GOOD(store_->add_list(made, 1000));
  }
  void add_entry(const std::string& account, const std::string& list, const std::string& value,
                 int64_t expires = 0) {
    const std::array<store::CustomEntry, 1> entries{
        store::CustomEntry{.value = value, .comment = {}, .created = 0, .expires = expires}};
    const auto added =
        coordinator_->add_entries(account, list, entries, store::OnFault::apply_nothing);
    ASSERT_GOOD(added);
    ASSERT_TRUE(added->applied);
  }
  void add_policy(const std::string& account, const std::string& name,
                  std::vector<std::string> feeds, std::vector<std::string> lists = {},
                  uint64_t capacity = 0) {
    store::Policy policy;
    policy.account = account;
    policy.name = name;
    if (!feeds.empty()) {
      policy.targets.push_back({.feeds = std::move(feeds), .categories = {}});
    }
    policy.lists = std::move(lists);
    policy.capacity = capacity;
    ASSERT_GOOD(store_->add_policy(policy, 1000));
  }
  api::BuildReport build() {
    const auto built = coordinator_->build_snapshot();
    EXPECT_GOOD(built);
    return built ? *built : api::BuildReport{};
  }
  // What the coordinator does by itself: without looking at what is on disk.
  const snapshot::LoadedZone* zone(const std::string& apex) const {
    const auto wanted = name::Name::from_text(apex).value();
    for (const auto& loaded : slot_->get()->zones()) {
      if (name::Name::from_wire(loaded->view().apex()).value() == wanted) {
        return loaded.get();
      }
    }
    return nullptr;
  }
};

TEST_F(AccountZones, HaveOneListPerPolicyAndPerBlockListWithAddresses) {
  publish_feed("first", "45.1.2.3\n45.1.2.4\n");
  add_account("acme");
  add_list("acme", "own");
  add_entry("acme", "own", "45.7.7.7");
  add_list("acme", "names");
  add_entry("acme", "names", "bad.example");
  add_list("acme", "good", store::Direction::allow);
  add_entry("acme", "good", "45.1.2.4");
  add_policy("acme", "edge", {"first"}, {"own", "good"});
  build();
  ASSERT_NE(zone("acme.merlon.internal."), nullptr);
  EXPECT_NE(zone("acme.merlon.internal.")->view().info().account, 0u);
  EXPECT_THAT(carriers("45.7.7.7"),
              UnorderedElementsAre("own.acme.merlon.internal.", "edge.acme.merlon.internal."));
  EXPECT_THAT(carriers("45.1.2.3"), Contains("edge.acme.merlon.internal."));
  EXPECT_THAT(carriers("45.1.2.4"), Not(Contains("edge.acme.merlon.internal.")))
      << "the account allows it";
  EXPECT_THAT(carriers("45.1.2.4"), Contains("first.merlon.internal."))
      << "which changes nothing for others";
  EXPECT_THAT(coordinator_->status()->problems, IsEmpty());
}

TEST_F(AccountZones, AccountWithoutListsHasNoZoneAndOneThatGoesTakesItAlong) {
  add_account("acme");
  build();
  EXPECT_EQ(zone("acme.merlon.internal."), nullptr);
  add_list("acme", "own");
  add_entry("acme", "own", "45.7.7.7");
  build();
  EXPECT_NE(zone("acme.merlon.internal."), nullptr);
  EXPECT_GOOD(store_->remove_account("acme", {.with_contents = true}));
  build();
  EXPECT_EQ(zone("acme.merlon.internal."), nullptr);
  EXPECT_THAT(carriers("45.7.7.7"), IsEmpty());
}

TEST_F(AccountZones, EditCompilesItsZoneAlone) {
  publish_feed("first", "45.1.2.3\n");
  for (const char* account : {"acme", "blue", "corp"}) {
    add_account(account);
    add_list(account, "own");
    add_entry(account, "own", "45.7.7.7");
    add_policy(account, "edge", {"first"}, {"own"});
  }
  build();
  const auto before = slot_->get();
  const auto* acme = zone("acme.merlon.internal.");
  const auto* blue = zone("blue.merlon.internal.");
  const auto* shared = zone("merlon.internal.");
  add_entry("acme", "own", "45.7.7.8");
  const api::BuildReport report = build();
  EXPECT_TRUE(report.changed);
  EXPECT_NE(zone("acme.merlon.internal."), acme);
  EXPECT_EQ(zone("blue.merlon.internal."), blue);
  EXPECT_EQ(zone("merlon.internal."), shared);
  EXPECT_EQ(slot_->get()->access(), before->access());
  EXPECT_LE(report.segments_written, 3u) << "the zone, the list's bodies, the policy's bodies";
  EXPECT_GE(report.segments_reused, 4u);
  EXPECT_THAT(carriers("45.7.7.8"),
              IsSupersetOf({"own.acme.merlon.internal.", "edge.acme.merlon.internal."}));
}

TEST_F(AccountZones, FeedConcernsThosePoliciesThatTakeIt) {
  publish_feed("first", "45.1.2.3\n");
  publish_feed("second", "45.2.2.3\n");
  add_account("acme");
  add_policy("acme", "edge", {"first"});
  add_account("blue");
  add_policy("blue", "edge", {"second"});
  build();
  const auto before = slot_->get();
  const auto* acme = zone("acme.merlon.internal.");
  const auto* blue = zone("blue.merlon.internal.");
  publish_feed("second", "45.2.2.3\n45.2.2.4\n");
  EXPECT_EQ(zone("acme.merlon.internal."), acme);
  EXPECT_NE(zone("blue.merlon.internal."), blue);
  EXPECT_THAT(carriers("45.2.2.4"), Contains("edge.blue.merlon.internal."));
  // A feed whose severity changes may meet other targets.
  store::FeedDefinition definition = store_->feed("first")->definition;
  definition.enabled = false;
  EXPECT_GOOD(store_->replace_feed(definition));
  build();
  EXPECT_THAT(carriers("45.1.2.3"), IsEmpty());
}

TEST_F(AccountZones, AllowFeedConcernsEverybody) {
  publish_feed("first", "45.1.2.3\n45.1.2.4\n");
  add_account("acme");
  add_policy("acme", "edge", {"first"});
  build();
  EXPECT_THAT(carriers("45.1.2.4"), Contains("edge.acme.merlon.internal."));
  write_feed("allowed", "45.1.2.4\n");
  auto allowed = definition("allowed", "file://" + feed_path("allowed"));
  allowed.direction = store::Direction::allow;
  EXPECT_GOOD(coordinator_->add_feed(allowed));
  EXPECT_GOOD(coordinator_->refresh_feed("allowed"));
  build();
  EXPECT_THAT(carriers("45.1.2.4"), IsEmpty());
}

TEST_F(AccountZones, DeviceChangesTheAccessSegmentAlone) {
  publish_feed("first", "45.1.2.3\n");
  EXPECT_GOOD(coordinator_->add_device(device("fw1", "127.0.0.1")));
  build();
  const auto before = slot_->get();
  EXPECT_GOOD(coordinator_->add_device(device("fw2", "127.0.0.2")));
  const api::BuildReport report = build();
  EXPECT_EQ(report.segments_written, 1u);
  EXPECT_EQ(slot_->get()->zones(), before->zones());
  EXPECT_NE(slot_->get()->access(), before->access());
}

TEST_F(AccountZones, WhatHasNoRoomIsCounted) {
  publish_feed("first", "45.1.2.3\n45.1.2.4\n45.1.2.5\n45.1.2.6\n");
  add_account("acme");
  add_policy("acme", "edge", {"first"}, {}, 4);  // two of them are test addresses
  build();
  size_t held = 0;
  for (const char* address : {"45.1.2.3", "45.1.2.4", "45.1.2.5", "45.1.2.6"}) {
    const auto names = carriers(address);
    held += std::ranges::count(names, "edge.acme.merlon.internal.") != 0 ? 1u : 0u;
  }
  EXPECT_EQ(held, 2u);
}

TEST_F(AccountZones, RestartGoesOnWhereItWas) {
  options_.zone_log_path = directory_.path() + "/zones.log";
  close();
  open();
  publish_feed("first", "45.1.2.3\n");
  for (const char* account : {"acme", "blue"}) {
    add_account(account);
    add_list(account, "own");
    add_entry(account, "own", "45.7.7.7");
    add_policy(account, "edge", {"first"}, {"own"});
  }
  const uint64_t generation = build().generation;
  restart();
  EXPECT_EQ(served(), generation);
  const auto before = slot_->get();
  const api::BuildReport same = build();
  EXPECT_FALSE(same.changed);
  EXPECT_EQ(same.segments_written, 0u);
  EXPECT_EQ(same.generation, generation);
  const auto* blue = zone("blue.merlon.internal.");
  add_entry("acme", "own", "45.7.7.8");
  ASSERT_TRUE(eventually([&] { return served() > generation; }));
  EXPECT_EQ(zone("blue.merlon.internal."), blue);
  EXPECT_THAT(carriers("45.7.7.8"), Contains("own.acme.merlon.internal."));
}

TEST_F(AccountZones, LostOrDamagedMemoryIsCompiledAnewWithTheSameAnswers) {
  options_.zone_log_path = directory_.path() + "/zones.log";
  close();
  open();
  publish_feed("first", "45.1.2.3\n");
  add_account("acme");
  add_list("acme", "own");
  add_entry("acme", "own", "45.7.7.7");
  uint64_t generation = build().generation;
  for (const char* damage : {"lost", "garbage", "cut", "flipped"}) {
    const std::string kind = damage;
    close();
    const std::string path = options_.zone_log_path;
    if (kind == "lost") {
      std::filesystem::remove(path);
    } else if (kind == "garbage") {
      std::ofstream(path, std::ios::trunc) << "not a log";
    } else if (kind == "cut") {
      std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
    } else {
      std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
      file.seekp(40);
      file.put('\x7f');
    }
    open();
    EXPECT_GOOD(coordinator_->start());
    const api::BuildReport report = build();
    EXPECT_EQ(report.generation, generation) << damage << ": the same content keeps its serial";
    add_entry("acme", "own", "45.7.8." + std::to_string(generation));
    ASSERT_TRUE(eventually([&] { return served() > generation; })) << damage;
    generation = served();
    EXPECT_THAT(carriers("45.7.7.7"), ElementsAre("own.acme.merlon.internal.")) << damage;
  }
}

TEST_F(AccountZones, EditIsNotHeldUpByTheQuietTimeOfFeeds) {
  options_.build_quiet_ms = 60'000;
  options_.build_delay_max_ms = 60'000;
  close();
  open();
  add_account("acme");
  add_list("acme", "own");
  EXPECT_GOOD(coordinator_->start());
  const uint64_t before = served();
  add_entry("acme", "own", "45.7.7.7");
  EXPECT_TRUE(eventually([&] { return served() > before; }, 10s));
  EXPECT_THAT(carriers("45.7.7.7"), ElementsAre("own.acme.merlon.internal."));
}

TEST_F(AccountZones, ExpiredEntriesGoByThemselves) {
  add_account("acme");
  add_list("acme", "own");
  add_list("acme", "other");
  EXPECT_GOOD(coordinator_->start());
  add_entry("acme", "other", "45.7.7.9");
  add_entry("acme", "own", "45.7.7.7", std::time(nullptr) + 3);
  ASSERT_TRUE(eventually([&] { return !carriers("45.7.7.7").empty(); }));
  EXPECT_TRUE(eventually([&] { return carriers("45.7.7.7").empty(); }, 20s));
  EXPECT_THAT(carriers("45.7.7.9"), ElementsAre("other.acme.merlon.internal."));
}

// One account's zone cannot be compiled: the others are.
TEST_F(AccountZones, AccountThatCannotBeCompiledKeepsItsZoneAndIsNamed) {
  std::string suffix;
  for (int i = 0; i < 3; ++i) {
    suffix += std::string(60, static_cast<char>('a' + i)) + ".";
  }
  options_.compile.suffix = name::Name::from_text(suffix).value();
  close();
  open();
  const std::string narrow = std::string(40, 'n');
  add_account(narrow);
  add_list(narrow, "own");
  add_entry(narrow, "own", "45.7.7.7");
  add_account("acme");
  add_list("acme", "own");
  add_entry("acme", "own", "45.7.7.8");
  build();
  EXPECT_THAT(coordinator_->status()->problems, IsEmpty());
  add_list(narrow, std::string(40, 'l'));
  add_entry(narrow, std::string(40, 'l'), "45.7.7.9");
  add_entry("acme", "own", "45.7.7.10");
  build();
  EXPECT_THAT(coordinator_->status()->problems, ElementsAre(HasSubstr(narrow)));
  EXPECT_EQ(coordinator_->status()->last_build_error, "");
  EXPECT_EQ(carriers("45.7.7.7").size(), 1u) << "what it had";
  EXPECT_EQ(carriers("45.7.7.9").size(), 0u);
  EXPECT_EQ(carriers("45.7.7.10").size(), 1u) << "the other account's";
  EXPECT_GOOD(store_->remove_list(narrow, std::string(40, 'l')));
  build();
  EXPECT_THAT(coordinator_->status()->problems, IsEmpty());
}

TEST_F(AccountZones, DnsPolicyIsAResponsePolicyZone) {
  options_.zone_log_path = directory_.path() + "/zones.log";
  close();
  open();
  publish_feed("names", "bad.example.com\nworse.example.org\n");
  add_account("acme");
  add_list("acme", "own");
  add_entry("acme", "own", "evil.example.net");
  add_list("acme", "good", store::Direction::allow);
  add_entry("acme", "good", "www.worse.example.org");
  store::Policy policy;
  policy.account = "acme";
  policy.name = "resolver";
  policy.kind = store::PolicyKind::dns;
  policy.targets.push_back({.feeds = {"names"}, .categories = {}});
  policy.lists = {"own", "good"};
  ASSERT_GOOD(store_->add_policy(policy, 1000));
  build();
  EXPECT_THAT(coordinator_->status()->problems, IsEmpty());
  const std::string apex = "resolver.rpz.acme.merlon.internal.";
  ASSERT_NE(zone(apex), nullptr);
  const auto names = [&] {
    std::vector<std::string> texts;
    const auto* loaded = zone(apex);
    for (const auto& node : loaded->view().nodes()) {
      texts.push_back(name::Name::from_wire(loaded->view().name_of(node))->to_text());
    }
    return texts;
  };
  EXPECT_THAT(names(), IsSupersetOf({"bad.example.com." + apex, "*.bad.example.com." + apex,
                                     "worse.example.org." + apex, "evil.example.net." + apex,
                                     "www.worse.example.org." + apex}));
  // Nothing changed: nothing is written; also after a restart.
  const uint64_t generation = served();
  EXPECT_FALSE(build().changed);
  restart();
  EXPECT_FALSE(build().changed);
  EXPECT_EQ(served(), generation);
  add_entry("acme", "own", "more.example.net");
  ASSERT_TRUE(eventually([&] { return served() > generation; }));
  EXPECT_THAT(names(), Contains("more.example.net." + apex));
  EXPECT_GOOD(store_->remove_policy("acme", "resolver"));
  build();
  EXPECT_EQ(zone(apex), nullptr);
}

// Stands for a signer whose keys are away.
class MissingKeys final : public compile::ZoneSigner {
 public:
  bool signs(const name::Name&) const override { return true; }
  Status sign(snapshot::ZoneBuilder& zone) override {
    if (missing) {
      return fail(ErrorCode::not_found, "{}: no key", zone.settings().apex.to_text());
    }
    return {};
  }
  int64_t due_at(const name::Name&) const override { return due; }
  Status published() override {
    ++publications;
    return {};
  }
  std::atomic<bool> missing = false;
  std::atomic<int64_t> due = INT64_MAX;
  std::atomic<int> publications = 0;
};

TEST_F(AccountZones, WithoutKeysNothingIsPublishedAndTheLastGenerationStays) {
  MissingKeys signer;
  options_.signer = &signer;
  close();
  open();
  const uint64_t before = publish_feed("first", "45.1.2.3\n");
  signer.missing = true;
  write_feed("first", "45.1.2.4\n");
  EXPECT_GOOD(coordinator_->refresh_feed("first"));
  EXPECT_FAILS(coordinator_->build_snapshot(), not_found, HasSubstr("no key"));
  EXPECT_THAT(coordinator_->status()->last_build_error, HasSubstr("no key"));
  EXPECT_EQ(served(), before);
  EXPECT_EQ(current(), before);
  EXPECT_FALSE(carriers("45.1.2.3").empty());
  signer.missing = false;
  const int publications = signer.publications;
  build();
  EXPECT_EQ(signer.publications, publications + 1);
  EXPECT_EQ(coordinator_->status()->last_build_error, "");
  EXPECT_FALSE(carriers("45.1.2.4").empty());
  close();
}

// A damaged segment of one zone: that zone alone is compiled again.
TEST_F(AccountZones, DamagedSegmentIsWrittenAgain) {
  publish_feed("first", "45.1.2.3\n");
  add_account("acme");
  add_list("acme", "own");
  add_entry("acme", "own", "45.7.7.7");
  const uint64_t generation = build().generation;
  const auto manifest = publisher_->directory().manifest(generation, publisher_->public_key());
  ASSERT_GOOD(manifest);
  for (const snapshot::ManifestSegment& segment : manifest->segments) {
    const std::string path = publisher_->directory().segment_path(segment.hash);
    std::filesystem::resize_file(path, segment.size_bytes - 1);
    const api::BuildReport healed = build();
    EXPECT_EQ(healed.generation, generation);
    EXPECT_EQ(healed.segments_written, 1u) << to_string(segment.kind);
    EXPECT_GOOD(coordinator_->verify_snapshot(generation));
  }
}

}  // namespace
}  // namespace merlon::coordinator
