// SPDX-License-Identifier: Apache-2.0
// Writes the seed corpus of fuzz_frame from the rows that the unit tests use:
//   make_frame_corpus tests/fuzz/corpus
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <string>

#include "tests/support/frame_rows.h"
#include "zones/base/file.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "usage: make_frame_corpus FOLDER\n");
    return 2;
  }
  const std::string folder = std::string(argv[1]) + "/fuzz_frame";
  merlon::Status done = merlon::make_directories(folder);
  for (const merlon::tests::FrameRow& row : merlon::tests::frame_rows()) {
    std::string name = row.name;
    std::ranges::replace_if(
        name, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
    std::vector<uint8_t> bytes{0};
    bytes.insert(bytes.end(), row.frame.begin(), row.frame.end());
    if (done && row.frame.size() < 200) {
      done = merlon::write_file_durably(folder + "/" + name, bytes);
    }
  }
  if (!done) {
    fmt::print(stderr, "make_frame_corpus: {}\n", done.error().message);
    return 1;
  }
  return 0;
}
