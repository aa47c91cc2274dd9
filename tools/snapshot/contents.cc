// SPDX-License-Identifier: Apache-2.0
#include "tools/snapshot/contents.h"

#include <algorithm>
#include <filesystem>

#include "zones/address/address.h"
#include "zones/base/file.h"
#include "zones/name/name.h"
#include "zones/wire/wire.h"

namespace merlon::tools::snapshot {
namespace {

constexpr uint64_t kManifestSizeMax = uint64_t{64} << 20;

// The key that the manifest says it is signed with; zeros when it says none.
format::PublicKey claimed_signer(std::string_view text) {
  constexpr std::string_view kWord = "\nsignature ed25519 ";
  const size_t at = text.rfind(kWord);
  if (at != std::string_view::npos) {
    const auto key = format::parse_public_key(text.substr(at + kWord.size(), 64));
    if (key) {
      return *key;
    }
  }
  return {};
}

std::string data_text(uint16_t type, Bytes data) {
  if (type == wire::type::a && data.size() == 4) {
    return address::to_text_v4(address::load_network_v4(data.data()));
  }
  if (type == wire::type::aaaa && data.size() == 16) {
    return address::to_text_v6(address::load_network_v6(data.data()));
  }
  return fmt::format("\\# {} {}", data.size(), to_hex(data));
}

std::unique_ptr<format::LoadedBodies> load_bodies(const std::string& segments_path,
                                                  const format::ContentHash& hash) {
  const std::string path = fmt::format("{}/{}.seg", segments_path, hash.to_text());
  auto segment = format::Segment::load(path, format::SegmentKind::bodies, hash);
  if (!segment) {
    return nullptr;
  }
  auto loaded = std::make_unique<format::LoadedBodies>();
  loaded->segment = std::move(*segment);
  auto view = format::BodiesView::open(loaded->segment);
  if (!view) {
    return nullptr;
  }
  loaded->view = std::move(*view);
  return loaded;
}

}  // namespace

Result<ReadManifest> read_manifest(const format::Directory& directory, uint64_t generation) {
  const auto content = read_file(directory.manifest_path(generation), kManifestSizeMax);
  if (!content) {
    return std::unexpected(content.error());
  }
  const format::PublicKey signer = claimed_signer(as_text(*content));
  auto manifest = directory.manifest(generation, signer);
  if (!manifest) {
    return std::unexpected(manifest.error());
  }
  return ReadManifest{std::move(*manifest), signer};
}

Result<ReadZone> ReadZone::open(format::Segment segment, const std::string& segments_path) {
  ReadZone zone;
  zone.segment_ = std::move(segment);
  auto view = format::ZoneView::open(zone.segment_);
  if (!view) {
    return std::unexpected(view.error());
  }
  zone.view_ = std::move(*view);
  for (const format::ContentHash& hash : zone.view_.dependencies()) {
    zone.bodies_.push_back(load_bodies(segments_path, hash));
  }
  return zone;
}

const format::BodiesView* ReadZone::bodies_of(const format::RrsetEntry& rrset) const {
  if (rrset.dependency == 0) {
    return &view_.own_bodies();
  }
  const auto& loaded = bodies_[rrset.dependency - 1u];
  return loaded == nullptr || rrset.body >= loaded->view.size() ? nullptr : &loaded->view;
}

std::vector<std::string> record_texts(const format::Body& body, uint16_t type) {
  std::vector<std::string> texts;
  wire::Reader reader(body.bytes());
  for (unsigned i = 0; i < body.answer_count; ++i) {
    reader.skip(2 + 2 + 2 + 4);  // the owner 0xC00C, type, class, TTL; checked when it was opened
    const Bytes data = reader.bytes(reader.u16());
    texts.push_back(data_text(type, data));
  }
  std::sort(texts.begin(), texts.end());
  return texts;
}

std::string name_text(Bytes wire) {
  const auto name = name::Name::from_wire(wire);
  return name ? name->to_text() : "?";
}

}  // namespace merlon::tools::snapshot
