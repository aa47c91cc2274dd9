// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "tools/snapshot/commands.h"
#include "tools/snapshot/contents.h"

namespace merlon::tools::snapshot {
namespace {

// Everything that one segment says of itself.
Status check_segment(const format::Directory& directory, const format::ManifestSegment& listed) {
  const std::string path = directory.segment_path(listed.hash);
  const auto segment = format::Segment::load(path, listed.kind, listed.hash);
  if (!segment) {
    return std::unexpected(segment.error());
  }
  if (listed.kind == format::SegmentKind::bodies) {
    if (const auto view = format::BodiesView::open(*segment); !view) {
      return in(path, view.error());
    }
  } else if (listed.kind == format::SegmentKind::zone) {
    if (const auto view = format::ZoneView::open(*segment); !view) {
      return in(path, view.error());
    }
  } else if (listed.kind == format::SegmentKind::access) {
    if (const auto view = format::AccessView::open(*segment); !view) {
      return in(path, view.error());
    }
  }
  if (segment->bytes().size() != listed.size_bytes) {
    return fail(ErrorCode::corruption, "{}: has {} bytes, the manifest says {}", path,
                segment->bytes().size(), listed.size_bytes);
  }
  return {};
}

}  // namespace

Status verify(const VerifyOptions& options) {
  const format::Directory directory(options.directory);
  uint64_t generation = options.generation.value_or(0);
  if (!options.generation) {
    const auto current = directory.current();
    if (!current) {
      return std::unexpected(current.error());
    }
    generation = *current;
    fmt::print("good  current: generation {}\n", generation);
  }
  const auto manifest = directory.manifest(generation, options.key);
  if (!manifest) {
    return std::unexpected(manifest.error());
  }
  fmt::print("good  manifest {}: {} segments, signed by {}\n", generation,
             manifest->segments.size(), to_hex(options.key));
  std::optional<Error> first;
  size_t damaged_count = 0;
  for (const format::ManifestSegment& listed : manifest->segments) {
    const Status good = check_segment(directory, listed);
    fmt::print("{}  {} {} {} bytes{}{}\n", good ? "good" : "BAD ", to_string(listed.kind),
               listed.hash.to_text(), listed.size_bytes,
               listed.kind == format::SegmentKind::zone ? " " : "",
               listed.kind == format::SegmentKind::zone ? listed.apex.to_text() : "");
    if (!good) {
      fmt::print("      {}\n", good.error().message);
      ++damaged_count;
      first = first.value_or(good.error());
    }
  }
  if (first) {
    // A segment that is missing is damage too.
    return fail(ErrorCode::corruption, "{} of {} segments are damaged, the first: {}",
                damaged_count, manifest->segments.size(), first->message);
  }
  // References between segments, as the data plane checks them.
  const auto loaded =
      format::Snapshot::load(directory, *manifest, format::IndexKey::random(), nullptr);
  if (!loaded) {
    return std::unexpected(loaded.error());
  }
  fmt::print("good  generation {} loads: {} zones, {} names, {} bytes\n", generation,
             (*loaded)->zones().size(), (*loaded)->node_count(), (*loaded)->size_bytes());
  return {};
}

}  // namespace merlon::tools::snapshot
