// SPDX-License-Identifier: Apache-2.0
// From what a server sent to text: unpacks gzip, bzip2, xz, zstd and the members of zip, tar and
// 7z archives (libarchive), within limits of size and expansion; makes UTF-8 of UTF-16, UTF-32 and
// Latin-1 (iconv); makes line feeds of lone carriage returns. What needs nothing is not copied.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "zones/base/bytes.h"
#include "zones/base/error.h"

namespace merlon::feeds {

struct DecodeLimits {
  uint64_t size_max_bytes = uint64_t{256} << 20;  // of the text
  uint64_t ratio_max = 250;                       // text to archive, beyond the first bytes
  uint64_t ratio_free_bytes = 4 << 20;
  uint32_t members_max = 1000;
  uint32_t layers_max = 3;  // an archive in an archive in an archive
};

class Decoded {
 public:
  explicit Decoded(Bytes content) : original_(as_text(content)) {}
  std::string_view text() const { return changed_ ? std::string_view(owned_) : original_; }
  void replace(std::string text) {
    owned_ = std::move(text);
    changed_ = true;
  }
  std::vector<std::string> notes;  // one sentence each: what was unpacked and converted

 private:
  std::string_view original_;
  std::string owned_;
  bool changed_ = false;
};

// `content` must outlive the result. Errors: unsupported (an archive that is cut off, damaged,
// locked or without text), invalid_argument (more than the limits allow).
Result<Decoded> decode(Bytes content, const DecodeLimits& limits = {});

// Steps of it.
bool is_archive(std::string_view content);
Result<std::string> unpack(std::string_view content, const DecodeLimits& limits);

}  // namespace merlon::feeds
