// SPDX-License-Identifier: Apache-2.0
// What feeds' sources say beside the feeds: pages of TAXII, manifests and events of MISP, documents
// with enclosures, mails. What is taken can neither lead out of a folder nor to another scheme.
#include <cstddef>
#include <cstdint>
#include <string>

#include "controlplane/fetch/mail.h"
#include "controlplane/fetch/misp.h"
#include "controlplane/fetch/rss.h"
#include "controlplane/fetch/taxii.h"
#include "zones/base/assert.h"
#include "zones/base/bytes.h"

namespace merlon::fetch {
namespace {

void read_all(Bytes bytes) {
  const std::string_view text = as_text(bytes);
  if (const auto page = read_taxii_page(text)) {
    for (const TaxiiObject& object : page->objects) {
      MERLON_ASSERT(object.text.find('\n') == std::string::npos);
    }
  }
  if (const auto manifest = read_misp_manifest(text)) {
    for (const MispManifest::Event& event : manifest->events) {
      MERLON_ASSERT(event.uuid.find_first_not_of("0123456789abcdefABCDEF-") == std::string::npos);
    }
  }
  if (const Status event = check_misp_event(text); !event) {
    MERLON_ASSERT(!event.error().message.empty());
  }
  if (const auto enclosures = read_enclosures(text, "https://feeds.example/a/b.xml", 5)) {
    MERLON_ASSERT(enclosures->size() <= 5);
    for (const Enclosure& enclosure : *enclosures) {
      MERLON_ASSERT(enclosure.url.starts_with("http://") || enclosure.url.starts_with("https://"));
    }
  }
  const MailHead head = read_mail_head(bytes);
  MERLON_ASSERT(matches(head, {}));
  if (const auto parts = read_mail_parts(bytes)) {
    MERLON_ASSERT(!parts->empty());
  }
  MboxIndex index;
  index.feed(text.substr(0, text.size() / 2));
  index.feed(text.substr(text.size() / 2));
  uint64_t at = 0;
  for (const MboxIndex::Span& mail : index.finish()) {
    MERLON_ASSERT(at <= mail.begin && mail.begin <= mail.end && mail.end <= text.size());
    at = mail.end;
  }
}

}  // namespace
}  // namespace merlon::fetch

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  merlon::fetch::read_all({data, size});
  return 0;
}
