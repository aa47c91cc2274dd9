// SPDX-License-Identifier: Apache-2.0
// A folder of feed files as feed definitions, for `feed add --dir`.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tools/merlonctl/command.h"

namespace merlon::merlonctl {

struct FolderFeed {
  std::string file;  // its name within the folder
  Json definition;   // for POST /v1/feeds
};

// With feeds.json in it: its entries, an array of definitions that name their "file". Else one
// definition per regular file by name, but for dot files, INDEX.tsv, README* and *.md. An entry's
// own keys win over `defaults`; an id that it lacks is made from the file's name.
Outcome<std::vector<FolderFeed>> read_folder(const std::string& directory, const Json& defaults);

// A feed id (a DNS label of [a-z0-9-], at most 40) that `taken` does not hold, and adds it there.
std::string make_id(std::string_view file, std::set<std::string>& taken);

// file:///absolute/path with %XX for what a URL cannot hold.
std::string file_url(const std::string& path);

}  // namespace merlon::merlonctl
