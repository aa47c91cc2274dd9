// SPDX-License-Identifier: Apache-2.0
// store_companion apply <path> <first generation>: applies one generation after the other until it
//   is killed, and writes a line to stdout when one is stored.
// store_companion hold <path>: opens the store, writes a line and waits until stdin ends.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "controlplane/store/store.h"
#include "tests/controlplane/store/generations.h"

namespace {

int fail_with(const merlon::Error& error) {
  std::fprintf(stderr, "%s\n", error.message.c_str());
  return 1;
}

void say(uint64_t number) {
  std::printf("%llu\n", static_cast<unsigned long long>(number));
  std::fflush(stdout);
}

int apply_forever(merlon::store::Store& store, uint64_t generation) {
  while (true) {  // until killed
    merlon::store::FeedState state;
    state.last_good = static_cast<int64_t>(1000 + generation);
    state.size_bytes = generation;  // says which generation the state belongs to
    const auto set = merlon::store::generation_set(generation);
    const auto applied = store.apply(merlon::store::kGenerationFeed, set, state, state.last_good);
    if (!applied) {
      return fail_with(applied.error());
    }
    say(generation);
    ++generation;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: store_companion apply|hold <path> [generation]\n");
    return 2;
  }
  auto store = merlon::store::Store::open(argv[2]);
  if (!store) {
    return fail_with(store.error());
  }
  if (std::string_view(argv[1]) == "apply" && argc == 4) {
    return apply_forever(**store, std::strtoull(argv[3], nullptr, 10));
  }
  say(0);
  char byte;
  while (::read(STDIN_FILENO, &byte, 1) > 0) {
  }
  return 0;
}
