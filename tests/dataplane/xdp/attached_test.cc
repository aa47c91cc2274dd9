// SPDX-License-Identifier: Apache-2.0
// The filter on a real interface: whose program is attached, what it counts, what is left behind by
// a killed process and taken away, and what is never touched.
#include <gmock/gmock.h>

#include "tests/dataplane/xdp/network.h"

namespace merlon::xdp::tests {
namespace {

using ::merlon::tests::TemporaryDirectory;
using testing::HasSubstr;

constexpr uint32_t kModes[] = {XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE};

class AttachedFilterTest : public testing::Test {
 protected:
  void SetUp() override {
    MERLON_ENTER_OWN_NETWORK();
    const auto path = prepare_filter({.object_path = MERLON_XDP_FILTER,
                                      .port = 53,
                                      .addresses = addresses_of({"192.0.2.1", "2001:db8::1"}),
                                      .runtime_directory = folder_.path()});
    ASSERT_TRUE(path) << path.error().message;
    path_ = *path;
  }

  static Owner owner() { return query_attached("mer0").value().owner; }

  TemporaryDirectory folder_;
  std::string path_;
};

TEST_F(AttachedFilterTest, NothingAttachedIsNothingToDetach) {
  const auto attached = query_attached("mer0");
  ASSERT_TRUE(attached);
  EXPECT_EQ(attached->owner, Owner::nobody);
  EXPECT_EQ(attached->mode, AttachMode::none);
  EXPECT_TRUE(detach_stale("mer0"));
  EXPECT_EQ(CounterReader::open("mer0").error().code, ErrorCode::not_found);
}

TEST_F(AttachedFilterTest, AMissingInterfaceIsNotFound) {
  EXPECT_EQ(query_attached("mer9").error().code, ErrorCode::not_found);
  EXPECT_EQ(detach_stale("mer9").error().code, ErrorCode::not_found);
  EXPECT_EQ(CounterReader::open("mer9").error().code, ErrorCode::not_found);
  EXPECT_EQ(read_counters(99999).error().code, ErrorCode::not_found);
}

TEST_F(AttachedFilterTest, WhatWasLeftBehindIsReplaced) {
  for (const uint32_t mode : kModes) {
    {
      AttachedFilter first(path_, "mer0", mode);
      ASSERT_EQ(first.error(), 0) << std::strerror(-first.error());
    }
    const auto attached = query_attached("mer0");
    ASSERT_TRUE(attached);
    EXPECT_EQ(attached->owner, Owner::stale);
    EXPECT_EQ(attached->program_name, MERLON_FILTER_PROGRAM_NAME);
    EXPECT_EQ(attached->mode,
              mode == XDP_FLAGS_DRV_MODE ? AttachMode::native : AttachMode::generic);
    // As it is, nobody else gets in.
    EXPECT_EQ(AttachedFilter(path_, "mer0", mode).error(), -EBUSY);
    const auto done = detach_stale("mer0");
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_EQ(owner(), Owner::nobody);
    EXPECT_EQ(AttachedFilter(path_, "mer0", mode).error(), 0);
    ASSERT_TRUE(detach_stale("mer0"));
  }
}

TEST_F(AttachedFilterTest, OneThatServesIsLeftAlone) {
  for (const uint32_t mode : kModes) {
    for (const uint32_t queue : {0u, 1u}) {
      AttachedFilter filter(path_, "mer0", mode);
      ASSERT_EQ(filter.error(), 0);
      {
        const TrialSocket socket = bound_socket(queue);
        ASSERT_TRUE(filter.serve(queue, socket.fd())) << std::strerror(errno);
        EXPECT_EQ(owner(), Owner::serving) << queue;
        const auto refused = detach_stale("mer0");
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, ErrorCode::busy);
        EXPECT_THAT(refused.error().message, HasSubstr("a data plane serves there already"));
        EXPECT_EQ(owner(), Owner::serving);
      }
      // The socket is gone, as when its process was killed.
      EXPECT_EQ(owner(), Owner::stale) << queue;
      ASSERT_TRUE(detach_stale("mer0"));
    }
  }
}

TEST_F(AttachedFilterTest, ServingIsSeenWhateverAddressesAreConfigured) {
  for (const std::vector<std::string>& addresses :
       {std::vector<std::string>{}, {"198.51.100.3"}, {"2001:db8::53"}}) {
    const auto path = prepare_filter({.object_path = MERLON_XDP_FILTER,
                                      .port = 5300,
                                      .addresses = addresses_of(addresses),
                                      .runtime_directory = folder_.path()});
    AttachedFilter filter(path.value(), "mer0", XDP_FLAGS_DRV_MODE);
    EXPECT_EQ(owner(), Owner::stale);
    {
      const TrialSocket socket = bound_socket(0);
      ASSERT_TRUE(filter.serve(0, socket.fd()));
      EXPECT_EQ(owner(), Owner::serving);
    }
    ASSERT_TRUE(detach_stale("mer0"));
  }
}

TEST_F(AttachedFilterTest, AProgramOfSomebodyElseIsLeftAlone) {
  bpf_insn pass[2] = {};
  pass[0].code = BPF_ALU64 | BPF_MOV | BPF_K;
  pass[0].imm = XDP_PASS;
  pass[1].code = BPF_JMP | BPF_EXIT;
  // Also when it bears our program's name.
  for (const char* name : {"firewall", MERLON_FILTER_PROGRAM_NAME}) {
    const Descriptor program(
        bpf_prog_load(BPF_PROG_TYPE_XDP, name, "Apache-2.0", pass, 2, nullptr));
    ASSERT_TRUE(program.is_open());
    const int index = static_cast<int>(::if_nametoindex("mer0"));
    ASSERT_EQ(bpf_xdp_attach(index, program.get(), XDP_FLAGS_DRV_MODE, nullptr), 0);
    const auto attached = query_attached("mer0");
    EXPECT_EQ(attached->owner, Owner::foreign);
    EXPECT_EQ(attached->program_name, name);
    const auto refused = detach_stale("mer0");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::conflict);
    EXPECT_THAT(refused.error().message, HasSubstr("ip link set dev mer0 xdp off"));
    EXPECT_EQ(owner(), Owner::foreign);
    EXPECT_EQ(CounterReader::open("mer0").error().code, ErrorCode::not_found);
    ASSERT_EQ(bpf_xdp_detach(index, XDP_FLAGS_DRV_MODE, nullptr), 0);
  }
}

TEST_F(AttachedFilterTest, CountsWhatComesOverTheWire) {
  AttachedFilter filter(path_, "mer0", XDP_FLAGS_DRV_MODE);
  ASSERT_EQ(filter.error(), 0);
  const auto reader = CounterReader::open("mer0");
  ASSERT_TRUE(reader) << reader.error().message;
  const FilterCounters before = reader->read().value();
  for (int i = 0; i < 5; ++i) {
    send_frame("mer1", make_frame({}));
  }
  send_frame("mer1", make_frame({.destination = "192.0.2.99"}));
  const TrialSocket socket = bound_socket(0);
  ASSERT_TRUE(filter.serve(0, socket.fd()));
  for (int i = 0; i < 7; ++i) {
    send_frame("mer1", make_frame({.destination = "2001:db8::1"}));
  }
  const auto more = [&](uint32_t reason) {
    return reader->read().value().frames[reason] - before.frames[reason];
  };
  for (int i = 0; i < 500 && more(merlon_reason_redirected) < 7; ++i) {
    ::usleep(10000);
  }
  EXPECT_EQ(more(merlon_reason_redirected), 7u);
  EXPECT_EQ(more(merlon_reason_no_socket), 5u);
  EXPECT_EQ(more(merlon_reason_other_address), 1u);
  EXPECT_EQ(socket.received().value(), 7u);
  const auto same = read_counters(::if_nametoindex("mer0"));
  ASSERT_TRUE(same);
  EXPECT_EQ(same->frames[merlon_reason_redirected], 7u);
  // The reader outlives the program's attachment.
  ASSERT_EQ(shell("ip link set dev mer0 xdp off"), 0);
  EXPECT_EQ(more(merlon_reason_redirected), 7u);
}

}  // namespace
}  // namespace merlon::xdp::tests
