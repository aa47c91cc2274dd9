// SPDX-License-Identifier: Apache-2.0
// merlon-snapshot: looks into segments and generations without serving them. Each command prints
// its data on standard output; an Error means damage or a missing file, said by main().
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "zones/base/error.h"
#include "zones/snapshot/manifest.h"

namespace merlon::tools::snapshot {

enum class Format : uint8_t { text, json };

struct InspectOptions {
  std::string path;  // a segment, or a snapshot directory
  std::optional<uint64_t> generation;
  Format format = Format::text;
};
Status inspect(const InspectOptions& options);

struct VerifyOptions {
  std::string directory;
  std::optional<uint64_t> generation;  // else the current one
  merlon::snapshot::PublicKey key{};
};
// Checks every segment and says of each whether it is good, then that the generation loads.
Status verify(const VerifyOptions& options);

struct DiffOptions {
  std::string directory;
  uint64_t from = 0;
  uint64_t to = 0;
  Format format = Format::text;
};
Status diff(const DiffOptions& options);

struct ExportOptions {
  std::string directory;
  std::string apex;
  std::optional<uint64_t> generation;  // else the current one
};
// A zone as the text of a zone file.
Status export_zone(const ExportOptions& options);

// The worked example of FORMAT.md as a hex dump.
Status example();

}  // namespace merlon::tools::snapshot
