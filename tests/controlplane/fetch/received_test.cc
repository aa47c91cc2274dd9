// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "controlplane/fetch/fetch.h"
#include "tests/support/snapshot_fixture.h"
#include "zones/base/bytes.h"

namespace merlon::fetch {
namespace {

using Outcome = FetchResult::Outcome;

class Received : public testing::Test {
 protected:
  FetchRequest upload() const {
    return {.url = "upload:", .size_max_bytes = 100, .directory = folder_.path() + "/feed"};
  }
  FetchRequest pipe() const {
    return {.url = "pipe://" + pipe_path(), .timeout_s = 5, .size_max_bytes = 200'000};
  }
  std::string pipe_path() const { return folder_.path() + "/list.fifo"; }

  tests::TemporaryDirectory folder_;
};

std::string text_of(const FetchResult& result) {
  return std::string(as_text(result.body));
}

TEST_F(Received, UploadIsContentUntilTheNextOne) {
  const FetchRequest request = upload();
  EXPECT_EQ(fetch(request).error().code, ErrorCode::not_found);
  ASSERT_TRUE(store_upload(request, as_bytes("192.0.2.1\n")));
  const auto first = fetch(request);
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(text_of(*first), "192.0.2.1\n");
  FetchRequest again = request;
  again.etag = first->etag;
  EXPECT_EQ(fetch(again)->outcome, Outcome::not_modified);
  ASSERT_TRUE(store_upload(request, as_bytes("192.0.2.2\n")));
  EXPECT_EQ(text_of(*fetch(again)), "192.0.2.2\n");
}

TEST_F(Received, UploadIsForItsUrlAndWithinItsLimitOnly) {
  FetchRequest request = upload();
  const std::string large(101, 'x');
  EXPECT_EQ(store_upload(request, as_bytes(large)).error().code, ErrorCode::invalid_argument);
  request.url = "https://feeds.example/list";
  EXPECT_EQ(store_upload(request, as_bytes("x")).error().code, ErrorCode::invalid_argument);
  request.url = "upload:/etc/passwd";
  EXPECT_EQ(fetch(request).error().code, ErrorCode::invalid_argument);
}

TEST_F(Received, PipeIsReadUntilItsWriterClosesIt) {
  ASSERT_EQ(::mkfifo(pipe_path().c_str(), 0600), 0);
  FetchRequest request = pipe();
  EXPECT_EQ(fetch(request).error().code, ErrorCode::not_found);
  const std::string list(150'000, 'a');  // more than a pipe holds
  std::thread writer([&] {
    std::ofstream(pipe_path()) << list;  // waits for us in open()
  });
  Result<FetchResult> got = fetch(request);
  for (int i = 0; i < 20 && !got; ++i) {
    got = fetch(request);
  }
  writer.join();
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(text_of(*got), list);
  request.etag = got->etag;
  EXPECT_EQ(fetch(request)->outcome, Outcome::not_modified);
}

TEST_F(Received, PipeThatStaysOpenIsNotUsedAndWhatIsNoPipeIsRefused) {
  ASSERT_EQ(::mkfifo(pipe_path().c_str(), 0600), 0);
  const int held = ::open(pipe_path().c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(held, 0);
  ASSERT_EQ(::write(held, "192.0.2.1\n", 10), 10);
  FetchRequest request = pipe();
  request.timeout_s = 1;
  EXPECT_EQ(fetch(request).error().code, ErrorCode::io);
  ASSERT_EQ(::write(held, "192.0.2.1\n", 10), 10);
  const std::atomic<bool> stop = true;
  request.stop = &stop;
  EXPECT_EQ(fetch(request).error().code, ErrorCode::busy);
  ::close(held);
  request.stop = nullptr;
  request.url = "pipe://" + folder_.path();
  EXPECT_EQ(fetch(request).error().code, ErrorCode::invalid_argument);
  request.url = "pipe://" + folder_.path() + "/none";
  EXPECT_EQ(fetch(request).error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace merlon::fetch
