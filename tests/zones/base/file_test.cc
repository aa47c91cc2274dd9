// SPDX-License-Identifier: Apache-2.0
#include "zones/base/file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

namespace merlon {
namespace {

constexpr uint64_t kPlenty = 64 << 20;

class File : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "merlon_file_XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string path(std::string_view name) const { return fmt::format("{}/{}", folder_, name); }
  size_t entries() const {
    const std::filesystem::directory_iterator all(folder_);
    return static_cast<size_t>(std::distance(begin(all), end(all)));
  }
  static std::string text_of(const std::string& path) {
    const auto bytes = read_file(path, kPlenty);
    return bytes ? std::string(as_text(*bytes)) : "error: " + bytes.error().message;
  }

  std::string folder_;
};

// While it lives, a file cannot grow beyond `bytes`: to a writer, a disk that is full.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) {
    before_handler_ = std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;
  ~FullDisk() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, before_handler_);
  }

 private:
  rlimit before_{};
  void (*before_handler_)(int) = nullptr;
};

TEST_F(File, WrittenBytesAreReadBack) {
  std::vector<uint8_t> bytes(100'000);
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<uint8_t>(i * 7);
  }
  ASSERT_TRUE(write_file_durably(path("a"), bytes));
  EXPECT_EQ(read_file(path("a"), kPlenty).value(), bytes);
  ASSERT_TRUE(write_file_durably(path("a"), {}));
  EXPECT_EQ(text_of(path("a")), "");
  EXPECT_EQ(entries(), 1U);
}

TEST_F(File, SizeLimitIsTheLargestSizeThatIsRead) {
  ASSERT_TRUE(write_file_durably(path("ten"), as_bytes("0123456789")));
  EXPECT_TRUE(read_file(path("ten"), 10));
  const auto refused = read_file(path("ten"), 9);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(refused.error().message,
            fmt::format("{}: 10 bytes, more than the limit of 9", path("ten")));
}

TEST_F(File, SparseFileOfATebibyteIsRefusedBeforeAnythingIsAllocated) {
  ASSERT_TRUE(write_file_durably(path("huge"), {}));
  ASSERT_EQ(::truncate(path("huge").c_str(), off_t{1} << 40), 0);
  EXPECT_FALSE(read_file(path("huge"), kPlenty));
}

TEST_F(File, MissingFileIsNotFound) {
  const auto missing = read_file(path("missing"), kPlenty);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);
}

TEST_F(File, FifoAndFolderAreRefusedWithoutWaiting) {
  ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0600), 0);
  for (const std::string& odd : {path("fifo"), folder_, std::string("/dev/zero")}) {
    const auto refused = read_file(odd, kPlenty);
    ASSERT_FALSE(refused) << odd;
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(refused.error().message, odd + ": not a regular file");
  }
}

TEST_F(File, FullDiskLeavesTheOldFileAndNoRest) {
  ASSERT_TRUE(write_file_durably(path("state"), as_bytes("old")));
  const std::vector<uint8_t> large(1 << 20, 'n');
  Status written;
  {
    const FullDisk full(64 << 10);
    written = write_file_durably(path("state"), large);
  }
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, ErrorCode::io);
  EXPECT_NE(written.error().message.find("at byte 65536 of 1048576"), std::string::npos)
      << written.error().message;
  EXPECT_EQ(text_of(path("state")), "old");
  EXPECT_EQ(entries(), 1U);
}

TEST_F(File, FailedRenameLeavesNoRest) {
  ASSERT_TRUE(make_directories(path("folder/below")));
  const Status written = write_file_durably(path("folder"), as_bytes("x"));
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, ErrorCode::io);
  EXPECT_EQ(entries(), 1U);
  EXPECT_EQ(write_file_durably(path("no/such/folder"), {}).error().code, ErrorCode::not_found);
}

TEST_F(File, NewFileHasTheModeAskedForWhateverTheOldOneHad) {
  const mode_t umask_before = ::umask(0);
  ASSERT_TRUE(write_file_durably(path("key"), as_bytes("a"), 0666));
  ASSERT_TRUE(write_file_durably(path("key"), as_bytes("b"), 0600));
  ::umask(umask_before);
  struct stat info{};
  ASSERT_EQ(::stat(path("key").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600U);
}

TEST_F(File, ThreadsThatWriteOnePathEachLeaveAWholeFile) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 25;
  const auto writer = [&](char letter) {
    const std::string text(static_cast<size_t>(letter - 'a' + 1) * 50'000, letter);
    for (int round = 0; round < kRounds; ++round) {
      const Status written = write_file_durably(path("shared"), as_bytes(text));
      ASSERT_TRUE(written) << written.error().message;
      const std::string now = text_of(path("shared"));
      ASSERT_FALSE(now.empty());
      ASSERT_EQ(now, std::string(static_cast<size_t>(now[0] - 'a' + 1) * 50'000, now[0]));
    }
  };
  std::vector<std::jthread> threads;
  threads.reserve(kThreads);
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back(writer, static_cast<char>('a' + i));
  }
  threads.clear();
  EXPECT_EQ(entries(), 1U);
}

TEST_F(File, DirectoriesAreMadeWithTheirParentsAndAFileInTheWayIsAnError) {
  EXPECT_TRUE(make_directories(path("a/b/c")));
  EXPECT_TRUE(make_directories(path("a/b/c")));
  EXPECT_TRUE(std::filesystem::is_directory(path("a/b/c")));
  ASSERT_TRUE(write_file_durably(path("a/file"), {}));
  const Status made = make_directories(path("a/file/below"));
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ErrorCode::io);
  EXPECT_NE(made.error().message.find(path("a/file/below")), std::string::npos);
}

TEST_F(File, SeveralFilesAreWrittenAndSyncedTogether) {
  for (const size_t count : {size_t{1}, size_t{3}, size_t{50}}) {  // synced each, and together
    std::vector<std::string> paths;
    const size_t entries_before = entries();
    for (size_t i = 0; i < count; ++i) {
      paths.push_back(path(fmt::format("{}-{}", count, i)));
      const std::string content = fmt::format("content {} of {}", i, count);
      {
        const FullDisk full(5);
        const Status refused = write_file_whole(paths.back(), as_bytes(content));
        ASSERT_FALSE(refused.has_value());
        EXPECT_EQ(refused.error().code, ErrorCode::io);
      }
      const Status written = write_file_whole(paths.back(), as_bytes(content));
      ASSERT_TRUE(written.has_value()) << written.error().message;
      EXPECT_EQ(text_of(paths.back()), content);
    }
    EXPECT_EQ(entries(), entries_before + count) << "nothing else is left behind";
    EXPECT_TRUE(sync_files(folder_, paths).has_value());
  }
  EXPECT_TRUE(sync_files(folder_, {}).has_value());
  const std::vector<std::string> missing = {path("missing")};
  EXPECT_EQ(sync_files(folder_, missing).error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace merlon
