// SPDX-License-Identifier: Apache-2.0
// Generations to publish: real segments, so that what is published can be loaded.
#pragma once

#include <vector>

#include "controlplane/publish/publisher.h"
#include "tests/support/snapshot_fixture.h"

namespace merlon::publish {

// Generations with another salt differ in one zone segment; the others are the same.
struct Content {
  explicit Content(uint8_t salt)
      : fixture(tests::make_fixture({.basic_count = 200, .basic1_count = 10, .salt = salt})) {
    for (const tests::FixtureSegment& segment : fixture.segments) {
      files.push_back({{.kind = segment.kind,
                        .hash = segment.hash(),
                        .size_bytes = segment.bytes.size(),
                        .apex = segment.apex},
                       segment.bytes});
    }
  }
  Content(const Content&) = delete;
  Content& operator=(const Content&) = delete;

  tests::Fixture fixture;
  std::vector<SegmentFile> files;
};

inline Result<Publisher> open_publisher(const std::string& path, size_t kept = 32) {
  return Publisher::open(path, tests::fixed_signing_key(), {.generations_kept = kept});
}

// The generation that a server would serve from the directory.
inline Result<uint64_t> load_current(const std::string& path) {
  const snapshot::Directory directory(path);
  const auto current = directory.current();
  if (!current) {
    return std::unexpected(current.error());
  }
  const auto manifest = directory.manifest(*current, tests::fixed_signing_key().public_key);
  if (!manifest) {
    return std::unexpected(manifest.error());
  }
  const auto loaded =
      snapshot::Snapshot::load(directory, *manifest, tests::fixed_index_key(), nullptr);
  if (!loaded) {
    return std::unexpected(loaded.error());
  }
  return (*loaded)->generation();
}

}  // namespace merlon::publish
