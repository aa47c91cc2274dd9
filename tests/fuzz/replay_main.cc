// SPDX-License-Identifier: Apache-2.0
// Stands in for libFuzzer in builds without it: runs every file of the files and folders given as
// arguments through the target, and after each a number of mutations of it. The mutations
// depend only on the seed and on the file's bytes, so a failure here is a failure everywhere.
//   fuzz_name [--mutations=200] [--seed=1] corpus/fuzz_name ...
// A crash names the input; the mutated bytes are printed in hex.
#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

using Input = std::vector<uint8_t>;

constexpr size_t kInputSizeMax = 1 << 20;

struct Options {
  unsigned long mutations = 200;
  unsigned long seed = 1;
  std::vector<std::filesystem::path> inputs;
};

// What runs now, for the crash handler.
std::string g_running;
const Input* g_input = nullptr;

extern "C" void say_what_crashed(int signal) {
  // Not async-signal-safe; the process is lost anyway, and a name is worth the risk.
  std::fprintf(stderr, "\nreplay: signal %d in %s, %zu bytes:\n", signal, g_running.c_str(),
               g_input->size());
  for (const uint8_t byte : *g_input) {
    std::fprintf(stderr, "%02x", byte);
  }
  std::fprintf(stderr, "\n");
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void run(const Input& input, const std::string& name) {
  g_running = name;
  g_input = &input;
  // A copy of the exact size, so that a sanitizer sees a read behind the end.
  const Input exact(input.begin(), input.end());
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

void mutate_once(Input& input, std::mt19937_64& random) {
  const auto at = [&] { return static_cast<std::ptrdiff_t>(random() % input.size()); };
  if (input.empty()) {
    input.push_back(static_cast<uint8_t>(random()));
    return;
  }
  switch (random() % 6) {
    case 0:  // flip a bit
      input[random() % input.size()] ^= static_cast<uint8_t>(1U << (random() % 8));
      break;
    case 1: {  // a byte of the kind that lengths and counts are
      static constexpr uint8_t kEdges[] = {0, 1, 0x2e, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xff};
      input[random() % input.size()] = kEdges[random() % std::size(kEdges)];
      break;
    }
    case 2:  // truncate
      input.resize(random() % input.size());
      break;
    case 3: {  // duplicate a piece
      const auto first = at();
      const auto size = std::min<std::ptrdiff_t>(1 + static_cast<std::ptrdiff_t>(random() % 64),
                                                 static_cast<std::ptrdiff_t>(input.size()) - first);
      const Input piece(input.begin() + first, input.begin() + first + size);
      input.insert(input.begin() + at(), piece.begin(), piece.end());
      break;
    }
    case 4: {  // remove a piece
      const auto first = at();
      const auto size = std::min<std::ptrdiff_t>(1 + static_cast<std::ptrdiff_t>(random() % 8),
                                                 static_cast<std::ptrdiff_t>(input.size()) - first);
      input.erase(input.begin() + first, input.begin() + first + size);
      break;
    }
    default:  // insert a byte
      input.insert(input.begin() + at(), static_cast<uint8_t>(random()));
  }
  input.resize(std::min(input.size(), kInputSizeMax));
}

void run_mutations(const Input& input, const std::string& name, const Options& options) {
  std::seed_seq sequence{static_cast<uint32_t>(options.seed), static_cast<uint32_t>(input.size()),
                         input.empty() ? 0U : uint32_t{input[input.size() / 2]}};
  std::mt19937_64 random(sequence);
  for (unsigned long i = 0; i < options.mutations; ++i) {
    Input mutated = input;
    for (uint64_t steps = 1 + random() % 4; steps > 0; --steps) {
      mutate_once(mutated, random);
    }
    run(mutated, name + " mutation " + std::to_string(i));
  }
}

void collect(const std::filesystem::path& path, std::vector<std::filesystem::path>& files) {
  if (!std::filesystem::is_directory(path)) {
    files.push_back(path);
    return;
  }
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
    if (entry.is_regular_file()) {
      files.push_back(entry.path());
    }
  }
}

bool read_number(std::string_view argument, std::string_view option, unsigned long& out) {
  if (!argument.starts_with(option)) {
    return false;
  }
  out = std::strtoul(argument.data() + option.size(), nullptr, 10);
  return true;
}

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    if (!read_number(argv[i], "--mutations=", options.mutations) &&
        !read_number(argv[i], "--seed=", options.seed)) {
      options.inputs.emplace_back(argv[i]);
    }
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  std::vector<std::filesystem::path> files;
  for (const auto& path : options.inputs) {
    collect(path, files);
  }
  std::sort(files.begin(), files.end());
  std::printf("replay: %zu files, %lu mutations each, seed %lu\n", files.size(), options.mutations,
              options.seed);
  std::fflush(stdout);
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) {
    std::signal(signal, say_what_crashed);
  }
  for (const auto& path : files) {
    std::ifstream stream(path, std::ios::binary);
    const Input input{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
    if (!stream) {
      std::fprintf(stderr, "replay: cannot read %s\n", path.c_str());
      return 1;
    }
    run(input, path.string());
    run_mutations(input, path.string(), options);
  }
  if (files.empty()) {
    std::fprintf(stderr, "replay: no input found; give a corpus folder\n");
    return 1;
  }
  return 0;
}
