// SPDX-License-Identifier: Apache-2.0
// Replacing what is served under running workers, and keeping it when the next is damaged.
#include "dataplane/swap/live.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "dataplane/pipeline/worker.h"
#include "tests/dataplane/live_support.h"
#include "zones/base/file.h"

namespace merlon::swap {
namespace {

using snapshot::SegmentKind;
using testing::AllOf;
using testing::HasSubstr;
using tests::Fixture;
using tests::make_fixture;
using tests::make_live;

constexpr tests::FixtureOptions kSmall{.basic_count = 4, .basic1_count = 2};
constexpr tests::FixtureOptions kSmallSalted{.basic_count = 4, .basic1_count = 2, .salt = 1};

// Served and held by nobody else.
std::weak_ptr<const snapshot::Snapshot> serve_new(LiveSlot& slot) {
  const Fixture fixture = make_fixture(kSmall);
  slot.replace(make_live(fixture));
  return fixture.snapshot;
}

TEST(LiveSlot, ServesNothingBeforeTheFirstReplace) {
  LiveSlot slot(2);
  EXPECT_EQ(slot.enter(0), nullptr);
  slot.leave(0);
  EXPECT_EQ(slot.served(), nullptr);
}

TEST(LiveSlot, OldSnapshotIsFreedOnlyAfterWorkersLeave) {
  LiveSlot slot(3);
  const auto old = serve_new(slot);
  const Live* held = slot.enter(1);
  ASSERT_NE(held, nullptr);
  std::atomic<bool> replaced{false};
  std::thread writer([&] {
    serve_new(slot);
    replaced.store(true);
  });
  while (slot.served() == held->snapshot) {
    std::this_thread::yield();
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(replaced.load());
  EXPECT_FALSE(old.expired());
  EXPECT_EQ(held->snapshot->generation(), 1u);
  // One that comes now gets the new one and does not keep the old one.
  const Live* fresh = slot.enter(0);
  EXPECT_NE(fresh, held);
  slot.leave(1);
  writer.join();
  EXPECT_TRUE(old.expired());
  EXPECT_EQ(fresh->snapshot->generation(), 1u);
  slot.leave(0);
}

TEST(LiveSlot, OfflineWorkersNeverBlock) {
  LiveSlot slot(64);
  for (size_t i = 0; i < 64; ++i) {
    slot.enter(i);
    slot.leave(i);
  }
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 5; ++i) {
    const auto old = serve_new(slot);
    slot.replace(nullptr);
    EXPECT_TRUE(old.expired());
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

TEST(LiveSlot, ReplacementsFromSeveralThreadsTakeTurns) {
  LiveSlot slot(1);
  std::vector<std::thread> writers;
  for (int i = 0; i < 4; ++i) {
    writers.emplace_back([&slot] {
      for (int k = 0; k < 20; ++k) {
        serve_new(slot);
        if (const auto served = slot.served(); served != nullptr) {
          EXPECT_EQ(served->generation(), 1u);
        }
      }
    });
  }
  for (int i = 0; i < 2000; ++i) {
    if (const Live* live = slot.enter(0); live != nullptr) {
      EXPECT_EQ(live->snapshot->generation(), 1u);
    }
    slot.leave(0);
  }
  for (std::thread& writer : writers) {
    writer.join();
  }
}

// The same query over and over; compares each reply with those that are allowed.
class CheckingIo {
 public:
  CheckingIo(std::vector<uint8_t> query, std::array<std::vector<uint8_t>, 2> allowed)
      : query_(std::move(query)), allowed_(std::move(allowed)) {}

  size_t receive(std::span<io::Packet> burst) {
    for (size_t i = 0; i < burst.size(); ++i) {
      std::copy(query_.begin(), query_.end(), buffers_[i].begin());
      burst[i] = {.message = buffers_[i].data(),
                  .size = static_cast<uint32_t>(query_.size()),
                  .capacity = static_cast<uint32_t>(buffers_[i].size()),
                  .reply_size = 0,
                  .handle = static_cast<uint32_t>(i),
                  .source = tests::source("192.0.2.10")};
    }
    return burst.size();
  }
  void send(std::span<io::Packet> burst) {
    for (const io::Packet& packet : burst) {
      const Bytes reply{packet.message, packet.reply_size};
      const size_t which = std::ranges::equal(reply, allowed_[0])   ? 0
                           : std::ranges::equal(reply, allowed_[1]) ? 1
                                                                    : 2;
      ++seen_[which];
      if (burst.front().reply_size != 0 && which != 2 && burst.size() > 1 &&
          !std::ranges::equal(reply, Bytes{burst.front().message, burst.front().reply_size})) {
        ++mixed_bursts_;
      }
    }
  }
  // Of the first generation, of the second, of neither.
  const std::array<uint64_t, 3>& seen() const { return seen_; }
  uint64_t mixed_bursts() const { return mixed_bursts_; }

 private:
  std::vector<uint8_t> query_;
  std::array<std::vector<uint8_t>, 2> allowed_;
  std::array<std::array<uint8_t, 2048>, io::kBurstMax> buffers_{};
  std::array<uint64_t, 3> seen_{};
  uint64_t mixed_bursts_ = 0;
};
static_assert(io::PacketIo<CheckingIo>);

constexpr answer::Limits kLargeLimits{.transport = answer::Transport::udp, .udp_size_max = 2048};

std::vector<uint8_t> reference_reply(const Fixture& fixture, Bytes query) {
  std::vector<uint8_t> buffer(2048);
  std::copy(query.begin(), query.end(), buffer.begin());
  answer::Query parsed;
  answer::Reply reply =
      answer::answer(*fixture.snapshot, query, fixture.subject("192.0.2.10"), kLargeLimits, parsed);
  buffer.resize(answer::compose(parsed, reply, kLargeLimits, buffer, query.size()));
  return buffer;
}

TEST(LiveSlot, EveryAnswerBelongsToOneGenerationDuringTwoThousandSwaps) {
  // 100 addresses, all different between the two generations' lists.
  const std::vector<uint8_t> query =
      tests::make_query({.name = "block.acme.merlon.internal.", .edns = true, .payload = 2048});
  const tests::FixtureOptions options[] = {kSmall,
                                           {.basic_count = 4, .basic1_count = 2, .salt = 100}};
  const std::array<std::vector<uint8_t>, 2> allowed{
      reference_reply(make_fixture(options[0]), query),
      reference_reply(make_fixture(options[1]), query)};
  ASSERT_NE(allowed[0], allowed[1]);
  ASSERT_GT(allowed[0].size(), 1600u);

  LiveSlot slot(2);
  slot.replace(make_live(make_fixture(options[0])));
  std::atomic<bool> stop{false};
  std::array<stats::WorkerCounters, 2> counters;
  std::array<std::unique_ptr<CheckingIo>, 2> engines;
  std::vector<std::thread> threads;
  for (size_t i = 0; i < 2; ++i) {
    engines[i] = std::make_unique<CheckingIo>(query, allowed);
    threads.emplace_back([&, i] {
      pipeline::Worker worker{
          .index = i, .live = slot, .counters = counters[i], .limits = kLargeLimits};
      pipeline::run_worker(*engines[i], worker, stop);
    });
  }
  for (int i = 1; i <= 2000; ++i) {
    slot.replace(make_live(make_fixture(options[i % 2])));  // frees the one before for good
  }
  stop.store(true);
  for (std::thread& thread : threads) {
    thread.join();
  }
  for (size_t i = 0; i < 2; ++i) {
    const auto& seen = engines[i]->seen();
    EXPECT_GT(seen[0], 0u);
    EXPECT_GT(seen[1], 0u);
    EXPECT_EQ(seen[2], 0u) << "answers of no generation";
    EXPECT_EQ(engines[i]->mixed_bursts(), 0u);
    EXPECT_EQ(counters[i].get(answer::Outcome::answered), seen[0] + seen[1]);
    EXPECT_EQ(counters[i].get(stats::IoCounter::drop_no_snapshot), 0u);
  }
}

class LoadCurrent : public testing::Test {
 protected:
  void publish(const tests::FixtureOptions& options, uint64_t generation) {
    fixture_ = make_fixture(options);
    ASSERT_TRUE(fixture_.write_directory(folder_.path(), generation, key_).has_value());
  }
  Result<uint64_t> load() { return slot_.load_current(directory_, key_.public_key); }
  uint64_t generation() const { return slot_.served()->generation(); }
  // Changes the file and says what the load then says; what was served must stay.
  std::string error_after(const std::string& path, std::string_view how) {
    const uint64_t before = generation();
    auto bytes = *read_file(path, 1 << 24);
    if (how == "flip") {
      bytes[bytes.size() - 5] ^= 0x10;
    } else if (how == "cut") {
      bytes.resize(bytes.size() / 2);
    } else if (how == "empty") {
      bytes.clear();
    } else {
      bytes.assign(how.begin(), how.end());
    }
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    const auto loaded = load();
    EXPECT_FALSE(loaded.has_value());
    EXPECT_EQ(generation(), before);
    return loaded.has_value() ? "" : loaded.error().message;
  }

  tests::TemporaryDirectory folder_;
  snapshot::Directory directory_{folder_.path()};
  snapshot::SigningKey key_ = tests::fixed_signing_key();
  Fixture fixture_;
  LiveSlot slot_{1};
};

TEST_F(LoadCurrent, ServesWhatCurrentNamesForwardAndBack) {
  publish(kSmall, 1);
  EXPECT_EQ(*load(), 1u);
  publish(kSmallSalted, 2);
  EXPECT_EQ(*load(), 2u);
  EXPECT_EQ(generation(), 2u);
  publish(kSmall, 1);
  EXPECT_EQ(*load(), 1u);
  EXPECT_EQ(generation(), 1u);
}

TEST_F(LoadCurrent, SharesTheSourceTableWhileTheAccessSegmentStays) {
  publish(kSmall, 1);
  ASSERT_TRUE(load().has_value());
  const access::SourceTable* before = slot_.enter(0)->sources.get();
  slot_.leave(0);
  publish(kSmallSalted, 2);
  ASSERT_TRUE(load().has_value());
  EXPECT_EQ(slot_.enter(0)->sources.get(), before);
  slot_.leave(0);
  publish({.basic_count = 4, .basic1_count = 2, .access_salt = 1}, 3);
  ASSERT_TRUE(load().has_value());
  EXPECT_NE(slot_.enter(0)->sources.get(), before);
  slot_.leave(0);
}

TEST_F(LoadCurrent, NothingPublishedIsNotFoundAndServesNothing) {
  const auto loaded = load();
  ASSERT_FALSE(loaded.has_value());
  EXPECT_EQ(loaded.error().code, ErrorCode::not_found);
  EXPECT_THAT(loaded.error().message, HasSubstr("nothing is published yet"));
  EXPECT_EQ(slot_.served(), nullptr);
}

TEST_F(LoadCurrent, DamagedSegmentsKeepTheOldGeneration) {
  publish(kSmall, 1);
  ASSERT_TRUE(load().has_value());
  publish(kSmallSalted, 2);
  const auto& zone = fixture_.segment(SegmentKind::zone, "acme.merlon.internal.");
  const std::string path = directory_.segment_path(zone.hash());
  EXPECT_THAT(error_after(path, "flip"), AllOf(HasSubstr("load generation 2"), HasSubstr(path),
                                               HasSubstr("section"), HasSubstr("offset")));
  EXPECT_THAT(error_after(path, "cut"), AllOf(HasSubstr(path), HasSubstr("bytes")));
  EXPECT_THAT(error_after(path, "empty"), AllOf(HasSubstr(path), HasSubstr("bytes")));
  std::filesystem::remove(path);
  const auto loaded = load();
  ASSERT_FALSE(loaded.has_value());
  EXPECT_THAT(loaded.error().message, HasSubstr(path));
  EXPECT_EQ(generation(), 1u);
  // Whole again, it loads.
  publish(kSmallSalted, 2);
  EXPECT_EQ(*load(), 2u);
}

TEST_F(LoadCurrent, DamagedAccessAndBodiesKeepTheOldGeneration) {
  publish(kSmall, 1);
  ASSERT_TRUE(load().has_value());
  publish({.basic_count = 5, .basic1_count = 2, .access_salt = 1}, 2);
  for (const SegmentKind kind : {SegmentKind::access, SegmentKind::bodies}) {
    const std::string path = directory_.segment_path(fixture_.segment(kind).hash());
    const auto whole = *read_file(path, 1 << 24);
    EXPECT_THAT(error_after(path, "flip"),
                AllOf(HasSubstr(path), HasSubstr("section"), HasSubstr("offset")));
    ASSERT_TRUE(write_file_durably(path, whole).has_value());
  }
  EXPECT_EQ(*load(), 2u);
}

TEST_F(LoadCurrent, DamagedManifestOrCurrentKeepsTheOldGeneration) {
  publish(kSmall, 1);
  ASSERT_TRUE(load().has_value());
  publish(kSmallSalted, 2);
  const std::string manifest = directory_.manifest_path(2);
  const auto whole = *read_file(manifest, 1 << 20);
  EXPECT_THAT(error_after(manifest, "flip"), AllOf(HasSubstr(manifest), HasSubstr("line")));
  EXPECT_THAT(error_after(manifest, "cut"), HasSubstr(manifest));
  EXPECT_THAT(error_after(manifest, "empty"), HasSubstr(manifest));
  ASSERT_TRUE(write_file_durably(manifest, whole).has_value());
  const std::string current = directory_.current_path();
  for (const std::string_view content : {"empty", "two\n", "2", "-2\n", "3\n"}) {
    EXPECT_THAT(error_after(current, content),
                HasSubstr(content == "3\n" ? directory_.manifest_path(3) : current))
        << content;
  }
  publish(kSmallSalted, 2);
  EXPECT_EQ(*load(), 2u);
}

TEST_F(LoadCurrent, AnotherPublishersSignatureIsRefused) {
  publish(kSmall, 1);
  ASSERT_TRUE(load().has_value());
  key_ = snapshot::SigningKey::generate();
  EXPECT_FALSE(load().has_value());
  EXPECT_EQ(generation(), 1u);
}

}  // namespace
}  // namespace merlon::swap
