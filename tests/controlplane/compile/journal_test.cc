// SPDX-License-Identifier: Apache-2.0
#include "controlplane/compile/journal.h"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "tests/support/seed.h"

namespace merlon::compile {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

const name::Name kA = name::Name::from_text("a.merlon.internal").value();
const name::Name kB = name::Name::from_text("b.merlon.internal").value();
constexpr int64_t kNow = 1'800'000'000;
constexpr uint64_t kZoneSize = 1000;

class JournalFiles : public testing::Test {
 protected:
  void SetUp() override {
    std::string path = fs::temp_directory_path() / "merlon-journal-XXXXXX";
    ASSERT_NE(mkdtemp(path.data()), nullptr);
    directory_ = path;
    settings_.directory = path + "/journal";
  }
  void TearDown() override { fs::remove_all(directory_); }

  std::unique_ptr<Journal> open(int64_t now = kNow) {
    auto journal = Journal::open(settings_, now);
    EXPECT_TRUE(journal.has_value()) << (journal ? "" : journal.error().message);
    return std::move(*journal);
  }
  std::vector<fs::path> files() const {
    std::vector<fs::path> paths;
    for (const auto& entry : fs::directory_iterator(settings_.directory)) {
      paths.push_back(entry.path());
    }
    std::ranges::sort(paths);
    return paths;
  }

  fs::path directory_;
  JournalSettings settings_;
};

JournalEntry entry(const name::Name& apex, uint32_t from, uint32_t to, std::string_view payload,
                   uint64_t zone_size = kZoneSize) {
  return {.apex = apex,
          .serial_from = from,
          .serial_to = to,
          .zone_size = zone_size,
          .payload = as_bytes(payload)};
}

Status add(Journal& journal, const JournalEntry& one, int64_t now = kNow) {
  return journal.append({&one, 1}, now);
}

// "one two", or "-" when there is no chain.
std::string chain(const Journal& journal, const name::Name& apex, uint32_t from, uint32_t to) {
  const auto payloads = journal.chain(apex, from, to);
  if (!payloads) {
    EXPECT_EQ(payloads.error().code, ErrorCode::not_found) << payloads.error().message;
    return "-";
  }
  std::string text;
  for (const auto& payload : *payloads) {
    text += (text.empty() ? "" : " ") + std::string(as_text(payload));
  }
  return text;
}

TEST_F(JournalFiles, GiveTheChainFromASerialToThePresent) {
  for (const bool reopened : {false, true}) {
    auto journal = open();
    if (!reopened) {
      const JournalEntry entries[] = {entry(kA, 1, 2, "one"), entry(kB, 7, 9, "other"),
                                      entry(kA, 2, 5, "two")};
      ASSERT_TRUE(journal->append(entries, kNow).has_value());
      ASSERT_TRUE(add(*journal, entry(kA, 5, 6, "three")).has_value());
    }
    EXPECT_EQ(chain(*journal, kA, 1, 6), "one two three");
    EXPECT_EQ(chain(*journal, kA, 2, 6), "two three");
    EXPECT_EQ(chain(*journal, kA, 5, 6), "three");
    EXPECT_EQ(chain(*journal, kA, 6, 6), "");
    EXPECT_EQ(chain(*journal, kA, 3, 6), "-");
    EXPECT_EQ(chain(*journal, kA, 1, 7), "-");  // published, and not in the journal yet
    EXPECT_EQ(chain(*journal, kA, 1, 5), "-");
    EXPECT_EQ(chain(*journal, kB, 7, 9), "other");
    EXPECT_EQ(chain(*journal, name::Name(), 1, 2), "-");
    EXPECT_TRUE(journal->notes().empty());
  }
}

TEST_F(JournalFiles, BeginAnewWhereAChainIsBroken) {
  auto journal = open();
  ASSERT_TRUE(add(*journal, entry(kA, 1, 2, "one")).has_value());
  ASSERT_TRUE(add(*journal, entry(kA, 1, 3, "after a roll back")).has_value());
  EXPECT_EQ(chain(*journal, kA, 1, 3), "after a roll back");
  EXPECT_EQ(chain(*journal, kA, 2, 3), "-");
  EXPECT_EQ(chain(*open(), kA, 1, 3), "after a roll back");
  EXPECT_EQ(open()->size().entries, 1u);
}

TEST_F(JournalFiles, KeepNoMoreThanTheZoneIsLarge) {
  auto journal = open();
  const std::string half(kZoneSize / 2, 'x');
  for (uint32_t serial = 1; serial < 6; ++serial) {
    ASSERT_TRUE(add(*journal, entry(kA, serial, serial + 1, half)).has_value());
  }
  EXPECT_EQ(chain(*journal, kA, 4, 6), half + " " + half);
  EXPECT_EQ(chain(*journal, kA, 3, 6), "-");
  EXPECT_EQ(chain(*open(), kA, 4, 6), half + " " + half);
  const std::string huge(kZoneSize + 1, 'y');
  ASSERT_TRUE(add(*journal, entry(kA, 6, 7, huge)).has_value());
  EXPECT_EQ(chain(*journal, kA, 4, 6), "-");
  EXPECT_EQ(chain(*journal, kA, 6, 7), "-");
  EXPECT_EQ(journal->size().entries, 0u);
}

TEST_F(JournalFiles, ForgetWhatIsTooOld) {
  auto journal = open();
  ASSERT_TRUE(add(*journal, entry(kA, 1, 2, "one"), kNow).has_value());
  ASSERT_TRUE(add(*journal, entry(kA, 2, 3, "two"), kNow + 3600).has_value());
  EXPECT_EQ(chain(*open(kNow + 48 * 3600), kA, 1, 3), "one two");
  EXPECT_EQ(chain(*open(kNow + 48 * 3600 + 1), kA, 1, 3), "-");
  EXPECT_EQ(chain(*open(kNow + 48 * 3600 + 1), kA, 2, 3), "two");
  open(kNow + 50 * 3600);
  EXPECT_TRUE(files().empty());  // nothing in it is needed
}

TEST_F(JournalFiles, AreRemovedOldestFirstWhenThereIsTooMuch) {
  settings_.file_size_max = 2000;
  settings_.size_max = 10'000;
  auto journal = open();
  const std::string text(500, 'x');
  for (uint32_t serial = 1; serial <= 100; ++serial) {
    ASSERT_TRUE(add(*journal, entry(kA, serial, serial + 1, text, 1'000'000)).has_value());
    ASSERT_LE(journal->size().bytes, 10'000u + 3000u);
  }
  EXPECT_EQ(chain(*journal, kA, 1, 101), "-");
  EXPECT_NE(chain(*journal, kA, 95, 101), "-");
  EXPECT_EQ(files().size(), journal->size().files);
  EXPECT_NE(chain(*open(), kA, 95, 101), "-");
}

TEST_F(JournalFiles, LoseTheTornEndWithANote) {
  {
    auto journal = open();
    ASSERT_TRUE(add(*journal, entry(kA, 1, 2, "one")).has_value());
    ASSERT_TRUE(add(*journal, entry(kA, 2, 3, "two")).has_value());
  }
  const fs::path path = files().at(0);
  const auto size = fs::file_size(path);
  const auto copy = directory_ / "copy";
  fs::copy_file(path, copy);
  const auto first_size = size / 2;  // both entries are of one size
  for (auto kept = size; kept > 0; --kept) {
    fs::copy_file(copy, path, fs::copy_options::overwrite_existing);
    fs::resize_file(path, kept);
    auto journal = open();
    EXPECT_EQ(journal->notes().size(), kept == size || kept == first_size ? 0u : 1u) << kept;
    EXPECT_EQ(chain(*journal, kA, 1, 3), kept == size ? "one two" : "-");
    EXPECT_EQ(chain(*journal, kA, 1, 2), kept >= first_size && kept < size ? "one" : "-");
    if (kept < size) {
      // Goes on behind the cut, in a new file, as if nothing had been.
      ASSERT_TRUE(add(*journal, entry(kA, 2, 4, "new")).has_value());
      EXPECT_EQ(chain(*open(), kA, 2, 4), "new");
      EXPECT_TRUE(open()->notes().empty());
    }
    for (const fs::path& file : files()) {
      if (file != path) {
        fs::remove(file);
      }
    }
  }
}

TEST_F(JournalFiles, AreNotBelievedWhenDamaged) {
  {
    auto journal = open();
    ASSERT_TRUE(add(*journal, entry(kA, 1, 2, "one")).has_value());
    ASSERT_TRUE(add(*journal, entry(kA, 2, 3, "two")).has_value());
    ASSERT_TRUE(add(*journal, entry(kB, 2, 3, "six")).has_value());
  }
  const fs::path path = files().at(0);
  std::string bytes;
  {
    std::ifstream in(path, std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(in), {});
  }
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    std::ofstream(path, std::ios::binary | std::ios::trunc) << damaged;
    auto journal = open();
    EXPECT_EQ(journal->notes().size(), 1u) << at;
    for (const uint32_t from : {1u, 2u}) {
      const std::string text = chain(*journal, kA, from, 3);
      EXPECT_TRUE(text == "-" || text == (from == 1 ? "one two" : "two")) << at << " " << text;
    }
  }
}

TEST_F(JournalFiles, ReportDamageFoundLater) {
  auto journal = open();
  ASSERT_TRUE(add(*journal, entry(kA, 1, 2, "one")).has_value());
  fs::resize_file(files().at(0), 76);
  const auto payloads = journal->chain(kA, 1, 2);
  ASSERT_FALSE(payloads.has_value());
  EXPECT_EQ(payloads.error().code, ErrorCode::corruption);
}

TEST_F(JournalFiles, KeepWhatWasAppendedBeforeAKill) {
  for (int round = 0; round < 8; ++round) {
    int pipe_ends[2];
    ASSERT_EQ(pipe(pipe_ends), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto journal = Journal::open(settings_, kNow);
      uint32_t serial = static_cast<uint32_t>(round) * 100'000 + 1;
      while (journal.has_value()) {
        const std::string text(100 + serial % 3000, 'x');
        if (!add(**journal, entry(kA, serial, serial + 1, text, 1u << 30))) {
          break;
        }
        ++serial;
        if (write(pipe_ends[1], &serial, sizeof serial) != sizeof serial) {
          break;
        }
      }
      _exit(1);
    }
    close(pipe_ends[1]);
    uint32_t acknowledged = 0;
    for (int i = 0; i < 20 + round; ++i) {
      ASSERT_EQ(read(pipe_ends[0], &acknowledged, sizeof acknowledged),
                static_cast<ssize_t>(sizeof acknowledged));
    }
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    uint32_t more = 0;
    while (read(pipe_ends[0], &more, sizeof more) == static_cast<ssize_t>(sizeof more)) {
      acknowledged = more;
    }
    close(pipe_ends[0]);
    const auto journal = open();
    const uint32_t first = static_cast<uint32_t>(round) * 100'000 + 1;
    // One more may be there: written, and not acknowledged yet.
    const bool found = journal->chain(kA, first, acknowledged).has_value() ||
                       journal->chain(kA, first, acknowledged + 1).has_value();
    EXPECT_TRUE(found) << "round " << round << ", serial " << acknowledged;
  }
}

TEST_F(JournalFiles, RefuseWhatCannotBeWritten) {
  if (geteuid() == 0) {
    // Root may write anywhere, but not into a directory that is a file.
    std::ofstream(settings_.directory) << "x";
    EXPECT_FALSE(Journal::open(settings_, kNow).has_value());
    fs::remove(settings_.directory);
  }
  auto journal = open();
  fs::remove_all(settings_.directory);
  const auto added = add(*journal, entry(kA, 1, 2, "one"));
  ASSERT_FALSE(added.has_value());
  EXPECT_THAT(added.error().message, HasSubstr("journal"));
  EXPECT_EQ(chain(*journal, kA, 1, 2), "-");
}

TEST_F(JournalFiles, AreReadWhileTheyAreWritten) {
  settings_.file_size_max = 1000;
  settings_.size_max = 5000;
  auto journal = open();
  std::atomic<uint32_t> last{1};
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> found{0};
  std::thread reader([&] {
    while (!stop) {
      const uint32_t to = last;
      const auto payloads = journal->chain(kA, to - 1, to);
      found += payloads.has_value() ? 1u : 0u;
      if (payloads.has_value()) {
        EXPECT_EQ(as_text(payloads->back()), std::to_string(to));
      }
    }
  });
  for (uint32_t serial = 2; serial < 200; ++serial) {
    ASSERT_TRUE(add(*journal, entry(kA, serial - 1, serial, std::to_string(serial))).has_value());
    last = serial;
  }
  while (found == 0) {
    std::this_thread::yield();
  }
  stop = true;
  reader.join();
}

TEST_F(JournalFiles, TakeTenThousandZonesInOneWrite) {
  auto journal = open();
  std::vector<JournalEntry> entries;
  for (int i = 0; i < 10'000; ++i) {
    entries.push_back(entry(name::Name::from_text(fmt::format("z{}.merlon.internal", i)).value(), 1,
                            2, "a small change"));
  }
  ASSERT_TRUE(journal->append(entries, kNow).has_value());
  EXPECT_EQ(files().size(), 1u);
  EXPECT_EQ(open()->size().zones, 10'000u);
}

}  // namespace
}  // namespace merlon::compile
