// SPDX-License-Identifier: Apache-2.0
#include "zones/snapshot/access.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "zones/base/assert.h"

namespace merlon::snapshot {
namespace {

using address::Bits4;
using address::Bits6;

auto key(const SourceEntry4& entry) {
  return std::tuple(entry.address, entry.length);
}
auto key(const SourceEntry6& entry) {
  return std::tuple(entry.high, entry.low, entry.length);
}

bool host_bits_zero(const SourceEntry4& entry) {
  return entry.length <= 32 && (entry.address & address::host_mask<Bits4>(entry.length)) == 0;
}
bool host_bits_zero(const SourceEntry6& entry) {
  return entry.length <= 128 &&
         (entry.prefix().bits & address::host_mask<Bits6>(entry.length)) == 0;
}

template <class Entry>
Status check_sources(const Segment& segment, SectionKind kind, std::span<const Entry> entries,
                     size_t subject_count) {
  for (size_t i = 0; i < entries.size(); ++i) {
    const Entry& entry = entries[i];
    const uint64_t at = i * sizeof(Entry);
    if (entry.subject >= subject_count) {
      return damaged(segment, kind, at, "source {} names subject {} of {}", i, entry.subject,
                     subject_count);
    }
    if (!host_bits_zero(entry) || entry.reserved != std::array<uint8_t, 3>{}) {
      return damaged(segment, kind, at, "source {} is not a prefix", i);
    }
    if (i > 0 && key(entries[i - 1]) >= key(entry)) {
      return damaged(segment, kind, at, "source {} is out of order", i);
    }
  }
  return {};
}

template <class Entry>
std::vector<uint8_t> lengths_in_use(std::span<const Entry> entries) {
  std::set<uint8_t, std::greater<>> lengths;
  for (const Entry& entry : entries) {
    lengths.insert(entry.length);
  }
  return {lengths.begin(), lengths.end()};
}

template <class Entry>
uint32_t find_key(std::span<const Entry> entries, const Entry& wanted) {
  const auto at = std::lower_bound(entries.begin(), entries.end(), wanted,
                                   [](const Entry& a, const Entry& b) { return key(a) < key(b); });
  return at != entries.end() && key(*at) == key(wanted) ? at->subject : kNoSubject;
}

SourceEntry6 make_entry6(Bits6 bits, uint8_t length, uint32_t subject) {
  return {static_cast<uint64_t>(bits >> 64), static_cast<uint64_t>(bits), subject, length, {}};
}

}  // namespace

Result<AccessView> AccessView::open(const Segment& segment) {
  const auto subjects = segment.table<Subject>(SectionKind::subjects);
  const auto sources4 = segment.table<SourceEntry4>(SectionKind::sources4);
  const auto sources6 = segment.table<SourceEntry6>(SectionKind::sources6);
  if (!subjects || !sources4 || !sources6) {
    return std::unexpected(!subjects   ? subjects.error()
                           : !sources4 ? sources4.error()
                                       : sources6.error());
  }
  for (size_t i = 0; i < subjects->size(); ++i) {
    const Subject& subject = (*subjects)[i];
    if (static_cast<uint8_t>(subject.verb) > static_cast<uint8_t>(Verb::ignore)) {
      return damaged(segment, SectionKind::subjects, i * sizeof(Subject), "subject {} has verb {}",
                     i, static_cast<unsigned>(subject.verb));
    }
    if (subject.reserved != std::array<uint8_t, 2>{} ||
        (subject.flags & ~subject_flag::recursion) != 0) {
      return damaged(segment, SectionKind::subjects, i * sizeof(Subject),
                     "subject {} has unknown flags or reserved bytes that are not zero", i);
    }
  }
  if (auto good = check_sources(segment, SectionKind::sources4, *sources4, subjects->size());
      !good) {
    return std::unexpected(good.error());
  }
  if (auto good = check_sources(segment, SectionKind::sources6, *sources6, subjects->size());
      !good) {
    return std::unexpected(good.error());
  }
  AccessView view;
  view.subjects_ = *subjects;
  view.sources4_ = *sources4;
  view.sources6_ = *sources6;
  view.lengths4_ = lengths_in_use(*sources4);
  view.lengths6_ = lengths_in_use(*sources6);
  return view;
}

uint32_t AccessView::find(const address::Address& source) const {
  if (source.family == address::Family::v4) {
    const Bits4 bits = static_cast<Bits4>(source.bits);
    for (const uint8_t length : lengths4_) {
      const SourceEntry4 wanted{bits & ~address::host_mask<Bits4>(length), 0, length, {}};
      if (const uint32_t subject = find_key(sources4_, wanted); subject != kNoSubject) {
        return subject;
      }
    }
    return kNoSubject;
  }
  for (const uint8_t length : lengths6_) {
    const Bits6 bits = source.bits & ~address::host_mask<Bits6>(length);
    if (const uint32_t subject = find_key(sources6_, make_entry6(bits, length, 0));
        subject != kNoSubject) {
      return subject;
    }
  }
  return kNoSubject;
}

uint32_t AccessBuilder::add_subject(const Subject& subject) {
  subjects_.push_back(subject);
  return static_cast<uint32_t>(subjects_.size() - 1);
}

void AccessBuilder::add_source(const address::AnyPrefix& source, uint32_t subject) {
  MERLON_ASSERT(subject < subjects_.size());
  if (source.family == address::Family::v4) {
    sources4_.push_back({static_cast<Bits4>(source.bits), subject, source.length, {}});
  } else {
    sources6_.push_back(make_entry6(source.bits, source.length, subject));
  }
}

Result<std::vector<uint8_t>> AccessBuilder::finish() {
  const auto by_key = [](const auto& a, const auto& b) { return key(a) < key(b); };
  const auto same_key = [](const auto& a, const auto& b) { return key(a) == key(b); };
  std::sort(sources4_.begin(), sources4_.end(), by_key);
  std::sort(sources6_.begin(), sources6_.end(), by_key);
  const auto twice4 = std::adjacent_find(sources4_.begin(), sources4_.end(), same_key);
  if (twice4 != sources4_.end()) {
    return fail(ErrorCode::conflict, "source {}/{} is registered twice",
                address::to_text_v4(twice4->address), twice4->length);
  }
  const auto twice6 = std::adjacent_find(sources6_.begin(), sources6_.end(), same_key);
  if (twice6 != sources6_.end()) {
    return fail(ErrorCode::conflict, "source {}/{} is registered twice",
                address::to_text_v6(twice6->prefix().bits), twice6->length);
  }
  SegmentBuilder builder(SegmentKind::access);
  builder.add_table(SectionKind::subjects, subjects_);
  builder.add_table(SectionKind::sources4, sources4_);
  builder.add_table(SectionKind::sources6, sources6_);
  std::vector<uint8_t> file = builder.finish();
  const auto segment = Segment::from_bytes(file);
  if (!segment) {
    return fail(ErrorCode::internal, "access does not read back: {}", segment.error().message);
  }
  if (const auto view = AccessView::open(*segment); !view) {
    return fail(ErrorCode::internal, "access does not read back: {}", view.error().message);
  }
  return file;
}

}  // namespace merlon::snapshot
