// SPDX-License-Identifier: Apache-2.0
// Any text as a manifest; with an odd first byte the rest is signed first, so that a signature does
// not hide the parser. A manifest that is accepted has one form: rendering it gives its bytes.
#include <algorithm>
#include <string>

#include "tests/support/snapshot_fixture.h"
#include "zones/base/assert.h"

using namespace merlon::snapshot;  // NOLINT(google-build-using-namespace): one short file

namespace {

std::string with_signature(std::string text, const SigningKey& key) {
  const auto signature = merlon::tests::sign(merlon::as_bytes(text), key);
  return text + "signature ed25519 " + merlon::to_hex(key.public_key) + " " +
         merlon::to_hex(signature) + "\n";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const SigningKey key = merlon::tests::fixed_signing_key();
  if (size == 0) {
    return 0;
  }
  std::string text(merlon::as_text({data + 1, size - 1}));
  if ((data[0] & 1) != 0) {
    text = with_signature(std::move(text), key);
  }
  const auto manifest = Manifest::parse(text, key.public_key);
  if (!manifest) {
    MERLON_ASSERT(manifest.error().message.starts_with("manifest line "));
    return 0;
  }
  MERLON_ASSERT(manifest->render(key) == text);
  Manifest normal = *manifest;
  normal.normalise();
  MERLON_ASSERT(normal.segments == manifest->segments);
  return 0;
}
