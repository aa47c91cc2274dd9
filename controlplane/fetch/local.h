// SPDX-License-Identifier: Apache-2.0
// What lies on this machine: files and folders of them, uploads, pipes. For the sources of this
// folder.
#pragma once

#include "controlplane/fetch/fetch.h"
#include "zones/base/bytes.h"

namespace merlon::fetch {

// scheme:///path with %XX to /path; a host, as in file://server/share, is refused.
Result<std::string> path_of(const std::string& url);
// A regular file, or with a slash at its end all files of a folder. Files whose names begin with a
// dot or end with ~, .tmp, .new or .part are somebody's work and not read.
Result<FetchResult> fetch_file(const FetchRequest& request);
Result<FetchResult> fetch_at(const std::string& path, const FetchRequest& request);

// What store_upload() kept.
Result<FetchResult> fetch_upload(const FetchRequest& request);
// What a program writes into a FIFO until it closes it. Without a writer: not
// modified, or not_found when there never was one.
Result<FetchResult> fetch_pipe(const FetchRequest& request);

// A part of a feed that comes in several: unpacked, as text, each ending with a line end.
Status append_part(Bytes part, uint64_t size_max, const std::string& url, std::string& text);

}  // namespace merlon::fetch
