// SPDX-License-Identifier: Apache-2.0
#include "tests/soak/seeds.h"

#include <algorithm>
#include <filesystem>

#include "tests/support/frame_rows.h"
#include "tests/support/packet_rows.h"
#include "tests/support/port_frames.h"
#include "zones/base/file.h"

namespace merlon::soak {
namespace {

constexpr size_t kFrameMax = 1514;
constexpr size_t kMessageMax = 1400;

// The files of one corpus without their first `skip` bytes, which choose a fuzz target's options.
Status add_corpus(const std::string& folder, size_t skip, size_t size_max,
                  std::vector<Buffer>& out) {
  std::error_code error;
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    paths.push_back(entry.path().string());
  }
  if (error || paths.empty()) {
    return fail(ErrorCode::not_found, "{}: no seeds there; name the folder with --corpus", folder);
  }
  std::ranges::sort(paths);  // the same order on every machine
  for (const std::string& path : paths) {
    const auto bytes = read_file(path, 1U << 20);
    if (!bytes) {
      return std::unexpected(bytes.error());
    }
    if (bytes->size() > skip && bytes->size() - skip <= size_max) {
      out.emplace_back(bytes->begin() + static_cast<std::ptrdiff_t>(skip), bytes->end());
    }
  }
  return {};
}

void add_rows(Seeds& seeds) {
  for (const tests::FrameRow& row : tests::frame_rows()) {
    if (row.frame.size() <= kFrameMax) {
      seeds.frames.push_back(row.frame);
    }
  }
  for (const auto& rows : {tests::packet_rows(), tests::identity_rows()}) {
    for (const tests::PacketRow& row : rows) {
      if (row.query.size() <= kMessageMax) {
        seeds.messages.push_back(row.query);
      }
    }
  }
}

void add_names(const std::vector<std::string>& names, Seeds& seeds) {
  constexpr uint16_t kTypes[] = {1, 2, 6, 12, 16, 28, 42, 252, 255};
  for (const std::string& name : names) {
    for (const uint16_t type : kTypes) {
      seeds.messages.push_back(tests::make_query({.name = name, .type = type}));
      seeds.messages.push_back(tests::make_query({.name = name, .type = type, .edns = true}));
    }
    seeds.messages.push_back(tests::make_query(
        {.name = name, .edns = true, .options = {0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8}}));
  }
}

}  // namespace

Result<Seeds> gather_seeds(const SeedOptions& options) {
  Seeds seeds;
  add_rows(seeds);
  add_names(options.names, seeds);
  Status done = add_corpus(options.corpus + "/fuzz_frame", 1, kFrameMax, seeds.frames);
  for (const char* messages : {"/fuzz_message", "/fuzz_special"}) {
    if (done) {
      done = add_corpus(options.corpus + messages, 1, kMessageMax, seeds.messages);
    }
  }
  if (!done) {
    return std::unexpected(done.error());
  }
  for (const std::string& capture : options.captures) {
    const auto frames = tests::read_pcap(capture);
    if (frames.empty()) {
      return fail(ErrorCode::not_found, "{}: no frames in it", capture);
    }
    std::ranges::copy_if(frames, std::back_inserter(seeds.frames),
                         [](const Buffer& frame) { return frame.size() <= kFrameMax; });
  }
  return seeds;
}

}  // namespace merlon::soak
