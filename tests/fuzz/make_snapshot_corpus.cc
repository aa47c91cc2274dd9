// SPDX-License-Identifier: Apache-2.0
// Writes the seed corpora of fuzz_message, fuzz_segment, fuzz_manifest and fuzz_reader from the
// rows and segments that the unit tests use:
//   make_snapshot_corpus tests/fuzz/corpus
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <string>
#include <vector>

#include "tests/support/packet_rows.h"
#include "tests/support/snapshot_fixture.h"
#include "zones/base/file.h"

namespace merlon::tests {
namespace {

std::string file_name(std::string text) {
  std::ranges::replace_if(
      text, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
  return text;
}

Status write(const std::string& folder, const std::string& name, uint8_t first, Bytes rest) {
  std::vector<uint8_t> bytes{first};
  bytes.insert(bytes.end(), rest.begin(), rest.end());
  if (auto made = make_directories(folder); !made) {
    return made;
  }
  return write_file_durably(folder + "/" + file_name(name), bytes);
}

Status write_messages(const std::string& folder) {
  for (const PacketRow& row : packet_rows()) {
    if (auto written = write(folder + "/fuzz_message", row.description, 0x10, row.query);
        !written) {
      return written;
    }
  }
  for (const PacketRow& row : identity_rows()) {
    if (auto written = write(folder + "/fuzz_message", row.description, 0x50, row.query);
        !written) {
      return written;
    }
  }
  const std::vector<uint8_t> cookie =
      make_query({.name = "tiny.merlon.internal.",
                  .edns = true,
                  .options = from_hex_text("0003 0000 000a 0008 0102030405060708")});
  if (auto written = write(folder + "/fuzz_message", "cookie over tcp", 0xD8, cookie); !written) {
    return written;
  }
  const std::vector<uint8_t> largest = make_query({.name = "basic.merlon.internal."});
  return write(folder + "/fuzz_message", "largest over tcp", 0x18, largest);
}

Status write_names(const std::string& folder) {
  for (const PacketRow& row : packet_rows()) {
    if (row.query.size() < 40 || row.query.size() > 60) {
      continue;
    }
    const std::vector<uint8_t> reply = expected_reply(row);
    if (reply.empty()) {
      continue;
    }
    if (auto written = write(folder + "/fuzz_reader", row.description, 0, reply); !written) {
      return written;
    }
  }
  return {};
}

Status write_all(const std::string& folder) {
  const Fixture fixture = make_fixture({.basic_count = 3, .basic1_count = 2});
  for (const FixtureSegment& segment : fixture.segments) {
    const std::string name = std::string(to_string(segment.kind)) + "_" + segment.apex.to_text();
    if (auto written = write(folder + "/fuzz_segment", name, 1, segment.bytes); !written) {
      return written;
    }
  }
  const std::string manifest = fixture.manifest(42).render(fixed_signing_key());
  const std::string body = manifest.substr(0, manifest.find("signature "));
  for (const Status& written : {write(folder + "/fuzz_manifest", "signed", 0, as_bytes(manifest)),
                                write(folder + "/fuzz_manifest", "body", 1, as_bytes(body)),
                                write_messages(folder), write_names(folder)}) {
    if (!written) {
      return written;
    }
  }
  return {};
}

}  // namespace
}  // namespace merlon::tests

int main(int argc, char** argv) {
  if (argc != 2) {
    fmt::print(stderr, "usage: make_snapshot_corpus FOLDER\n");
    return 2;
  }
  const merlon::Status done = merlon::tests::write_all(argv[1]);
  if (!done) {
    fmt::print(stderr, "make_snapshot_corpus: {}\n", done.error().message);
    return 1;
  }
  return 0;
}
