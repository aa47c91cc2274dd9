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

// The two halves of it, for many files of one directory: each is written aside and renamed, and the
// bytes are safe from a crash of the machine once sync_files() has returned, which syncs many
// together. Until then a path may hold anything after such a crash.
Status write_file_whole(const std::string& path, Bytes bytes);
// Waits until the bytes are on their way to the disk's own memory, and gives the page cache's copy
// of them back: who writes more than he will read soon need not push out what others read. A wish.
void forget_cached(const std::string& path);
Status sync_files(const std::string& directory, std::span<const std::string> paths);

// mkdir -p.
Status make_directories(const std::string& path);

}  // namespace merlon
