// SPDX-License-Identifier: Apache-2.0
// From the query's bytes to the reply's nothing allocates. malloc itself is replaced by a counting
// one; sanitizers bring their own malloc and call a hook.
#include <gtest/gtest.h>

#include <cstdlib>
#include <new>

#include "tests/support/packet_rows.h"
#include "zones/answer/answer.h"

namespace {
thread_local size_t g_allocations = 0;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MERLON_SANITIZER_OWNS_MALLOC 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MERLON_SANITIZER_OWNS_MALLOC 1
#endif
#endif

#ifdef MERLON_SANITIZER_OWNS_MALLOC
extern "C" void __sanitizer_malloc_hook(const volatile void* /*memory*/, size_t /*size*/) {
  ++g_allocations;
}
#else
extern "C" {
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* memory, size_t size);

void* malloc(size_t size) {
  ++g_allocations;
  return __libc_malloc(size);
}
void* calloc(size_t count, size_t size) {
  ++g_allocations;
  return __libc_calloc(count, size);
}
void* realloc(void* memory, size_t size) {
  ++g_allocations;
  return __libc_realloc(memory, size);
}
}
#endif

namespace merlon::answer {
namespace {

TEST(Allocation, TheCounterCounts) {
  const size_t before = g_allocations;
  const auto value = std::make_unique<std::vector<int>>(1000);
  EXPECT_GE(g_allocations, before + 2);
}

TEST(Allocation, NoneFromQueryToReply) {
  const tests::Fixture fixture = tests::make_fixture();
  std::vector<tests::PacketRow> rows = tests::packet_rows();
  rows.push_back({"the largest", tests::make_query({.name = "basic.merlon.internal."}),
                  "192.0.2.10", Transport::tcp, Outcome::answered, ""});
  std::vector<uint8_t> buffer(65535);
  std::vector<uint8_t> scratch(65535);
  for (const tests::PacketRow& row : rows) {
    const auto address = address::parse_address(row.source);
    std::copy(row.query.begin(), row.query.end(), buffer.begin());
    const Limits limits{.transport = row.transport};
    Query query;
    std::array<uint8_t, kOptSizeMax> tail;
    const size_t before = g_allocations;
    const uint32_t index = fixture.snapshot->access()->view.find(*address);
    const snapshot::Subject* subject =
        index == snapshot::kNoSubject ? nullptr : &fixture.snapshot->subject(index);
    Reply reply = answer(*fixture.snapshot, Bytes(buffer).first(row.query.size()), subject, limits,
                         query, scratch);
    Reply gathered_reply = reply;
    compose(query, reply, limits, MutableBytes(buffer).first(row.room), row.query.size());
    compose_gathered(query, gathered_reply, limits, buffer, tail);
    EXPECT_EQ(g_allocations, before) << row.description;
    EXPECT_EQ(to_string(reply.outcome), to_string(row.outcome)) << row.description;
  }
}

}  // namespace
}  // namespace merlon::answer
