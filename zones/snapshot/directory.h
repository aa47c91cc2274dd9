// SPDX-License-Identifier: Apache-2.0
// The snapshot directory of FORMAT.md: where things are and what `current` says. Reading only
// needs this; writing is the publisher's. Safe from any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "zones/base/error.h"
#include "zones/snapshot/manifest.h"

namespace merlon::snapshot {

class Directory {
 public:
  explicit Directory(std::string path) : path_(std::move(path)) {}

  const std::string& path() const { return path_; }
  std::string segment_path(const ContentHash& hash) const;
  std::string segments_path() const { return path_ + "/segments"; }
  std::string manifest_path(uint64_t generation) const;
  std::string manifests_path() const { return path_ + "/manifests"; }
  std::string current_path() const { return path_ + "/current"; }

  // Errors: not_found (nothing published yet), corruption.
  Result<uint64_t> current() const;
  // Ascending. Foreign files are ignored.
  Result<std::vector<uint64_t>> generations() const;
  // Checks the signature, and that the manifest is of the generation that its name says.
  Result<Manifest> manifest(uint64_t generation, const PublicKey& trusted) const;

 private:
  std::string path_;
};

}  // namespace merlon::snapshot
