// SPDX-License-Identifier: Apache-2.0
// Whole-file reading and durable writing. Safe to call from any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "zones/base/bytes.h"
#include "zones/base/error.h"

namespace merlon {

// Reads a regular file of at most size_max bytes. Errors: not_found, io, invalid_argument (larger
// than size_max, or not a regular file). The size is checked before anything is allocated.
Result<std::vector<uint8_t>> read_file(const std::string& path, uint64_t size_max);

// Writes path.partial-<pid>-<n>, fsyncs it, renames it over path and fsyncs the directory: after a
// crash or a full disk, path holds either the old bytes or the new ones. `mode` is the file's
// permission.
Status write_file_durably(const std::string& path, Bytes bytes, unsigned mode = 0644);

// mkdir -p.
Status make_directories(const std::string& path);

}  // namespace merlon
