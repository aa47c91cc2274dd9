// SPDX-License-Identifier: Apache-2.0
// Whole-file reading and durable writing. Safe to call from any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "zones/base/bytes.h"
#include "zones/base/error.h"

namespace merlon {

// Reads a regular file of at most size_max bytes. Errors: not_found, io, invalid_argument (larger
// than size_max, or not a regular file). The size is checked before anything is allocated.
Result<std::vector<uint8_t>> read_file(const std::string& path, uint64_t size_max);

// Writes path.partial-<pid>-<n>, fsyncs it, renames it over path and fsyncs the directory: after a
// crash or a full disk, path holds either the old bytes or the new ones, also when several threads
// write the same path. `mode` is the permission of the new file, less the process's umask.
Status write_file_durably(const std::string& path, Bytes bytes, unsigned mode = 0644);

struct FileToWrite {
  std::string path;
  Bytes bytes;
};

// The same for several files of one directory, which is synced once; many files are synced
// together. None of them is renamed before all are on disk. On an error some may be in place, each
// of them whole.
Status write_files_durably(const std::string& directory, std::span<const FileToWrite> files);

// mkdir -p.
Status make_directories(const std::string& path);

}  // namespace merlon
