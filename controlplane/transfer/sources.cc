// SPDX-License-Identifier: Apache-2.0
#include "controlplane/transfer/sources.h"

#include <algorithm>
#include <array>

#include "zones/base/assert.h"
#include "zones/wire/wire.h"

namespace merlon::transfer {
namespace {

constexpr size_t kOwnerPointerSize = 2;
constexpr size_t kFixedSize = 10;  // type, class, TTL, size of data

// Takes the first record off a body, all of whose records have the owner 0xC00C.
Bytes take_record(Bytes& body) {
  const size_t size = kFixedSize + load_be16(body.data() + kOwnerPointerSize + 8);
  const Bytes rest = body.subspan(kOwnerPointerSize, size);
  body = body.subspan(kOwnerPointerSize + size);
  return rest;
}

Bytes soa_of(const snapshot::LoadedZone& zone) {
  for (const snapshot::RrsetEntry& rrset : zone.view().rrsets_of(zone.view().nodes().front())) {
    if (rrset.type == wire::type::soa) {
      return zone.body_of(rrset).bytes();
    }
  }
  MERLON_ASSERT(false && "every zone segment is checked to have an SOA");
  return {};
}

class ZoneRecords final : public RecordSource {
 public:
  explicit ZoneRecords(ZonePointer zone)
      : zone_(std::move(zone)), content_(*zone_), owner_(zone_->view().apex()) {
    left_ = soa_of(*zone_);
  }

  bool next(Record& record) override {
    while (left_.empty()) {
      if (!find_more()) {
        return false;
      }
    }
    record = {owner_, take_record(left_)};
    return true;
  }

 private:
  enum class At : uint8_t { nodes, nsec3, last_soa, end };

  bool find_more() {
    switch (at_) {
      case At::nodes:
        next_of_nodes();
        return true;
      case At::nsec3:
        next_of_nsec3();
        return true;
      case At::last_soa:
        owner_ = zone_->view().apex();
        left_ = soa_of(*zone_);
        at_ = At::end;
        return true;
      case At::end:
        return false;
    }
    return false;
  }

  // The RRset that is next, then its signatures.
  void next_of_nodes() {
    const snapshot::ZoneView& view = zone_->view();
    if (node_ == view.nodes().size()) {
      at_ = At::nsec3;
      return;
    }
    const snapshot::NodeEntry& node = view.nodes()[node_];
    if (rrset_ == node.rrset_count) {
      rrset_ = 0;
      ++node_;
      return;
    }
    owner_ = view.name_of(node);
    const size_t place = node.rrset_first + rrset_;
    const snapshot::RrsetEntry& rrset = view.rrsets()[place];
    if (!signature_is_next_) {
      signature_is_next_ = true;
      if (rrset.type != wire::type::soa) {
        left_ = zone_->body_of(rrset).bytes();
      }
      return;
    }
    signature_is_next_ = false;
    ++rrset_;
    const uint32_t signature = view.signature_of(place);
    if (signature != snapshot::kNoBody) {
      left_ = view.own_bodies().body(signature).bytes();
    }
  }

  void next_of_nsec3() {
    const snapshot::ZoneView& view = zone_->view();
    if (nsec3_ == view.nsec3().size()) {
      at_ = At::last_soa;
      return;
    }
    if (!signature_is_next_) {
      signature_is_next_ = true;
      nsec3_owner_ = compile::nsec3_owner(content_.content(), nsec3_);
      owner_ = nsec3_owner_;
      left_ = view.own_bodies().body(view.nsec3()[nsec3_].body).bytes();
      return;
    }
    signature_is_next_ = false;
    left_ = view.own_bodies().body(view.nsec3()[nsec3_].signature).bytes();
    ++nsec3_;
  }

  const ZonePointer zone_;
  const Content content_;
  Bytes owner_;
  Bytes left_;  // records of owner_
  At at_ = At::nodes;
  size_t node_ = 0;
  size_t rrset_ = 0;
  size_t nsec3_ = 0;
  bool signature_is_next_ = false;
  std::vector<uint8_t> nsec3_owner_;
};

class SoaRecord final : public RecordSource {
 public:
  explicit SoaRecord(ZonePointer zone) : zone_(std::move(zone)), left_(soa_of(*zone_)) {}

  bool next(Record& record) override {
    if (left_.empty()) {
      return false;
    }
    record = {zone_->view().apex(), take_record(left_)};
    return true;
  }

 private:
  const ZonePointer zone_;
  Bytes left_;
};

class ChangeRecords final : public RecordSource {
 public:
  ChangeRecords(std::vector<std::vector<uint8_t>> steps, compile::Difference last)
      : steps_(std::move(steps)), last_(std::move(last)), left_(last_.soa_to.bytes()) {}

  bool next(Record& record) override {
    while (left_.empty()) {
      if (!find_more()) {
        return false;
      }
    }
    const compile::RecordView view{left_};
    record = {view.owner(), view.wire().subspan(view.owner().size())};
    left_ = left_.subspan(view.wire().size());
    return true;
  }

 private:
  // The lists of one step after the other; behind the last one the SOA again.
  bool find_more() {
    if (list_ == kListCount && step_ + 1 < steps_.size()) {
      ++step_;
      list_ = 0;
      now_ = step_ + 1 == steps_.size() ? &last_ : decode(step_);
    } else if (now_ == nullptr) {
      now_ = steps_.size() <= 1 ? &last_ : decode(0);
    }
    if (now_ == nullptr || list_ > kListCount) {
      return false;
    }
    const compile::RecordList* const lists[] = {&now_->soa_from, &now_->removed, &now_->soa_to,
                                                &now_->added, &last_.soa_to};
    left_ = lists[list_++]->bytes();
    return true;
  }
  // They were decoded whole, or their checksums compared, before: what fails now is memory.
  const compile::Difference* decode(size_t step) {
    auto read = compile::decode_difference(steps_[step]);
    steps_[step] = {};
    if (!read) {
      return nullptr;
    }
    decoded_ = std::move(*read);
    return &decoded_;
  }

  static constexpr size_t kListCount = 4;
  std::vector<std::vector<uint8_t>> steps_;
  const compile::Difference last_;
  compile::Difference decoded_;
  const compile::Difference* now_ = nullptr;
  Bytes left_;
  size_t step_ = 0;
  size_t list_ = 0;
};

bool before(const compile::RecordView& a, const compile::RecordView& b) {
  return compile::compare(a, b) < 0;
}

using Views = std::vector<compile::RecordView>;

Views without(const Views& a, const Views& b) {
  Views out;
  std::ranges::set_difference(a, b, std::back_inserter(out), before);
  return out;
}

Views together(const Views& a, const Views& b) {
  Views out;
  std::ranges::set_union(a, b, std::back_inserter(out), before);
  return out;
}

compile::RecordList list_of(const Views& views) {
  compile::RecordList list;
  for (const compile::RecordView& view : views) {
    list.add(view);
  }
  return list;
}

size_t size_of(const compile::Difference& difference) {
  return difference.soa_from.bytes().size() + difference.soa_to.bytes().size() +
         difference.removed.bytes().size() + difference.added.bytes().size();
}

}  // namespace

std::unique_ptr<RecordSource> zone_records(ZonePointer zone) {
  return std::make_unique<ZoneRecords>(std::move(zone));
}

std::unique_ptr<RecordSource> soa_record(ZonePointer zone) {
  return std::make_unique<SoaRecord>(std::move(zone));
}

Result<Changes> Changes::make(std::vector<std::vector<uint8_t>> payloads) {
  Changes changes;
  auto last = compile::decode_difference(payloads.back());
  if (!last) {
    return std::unexpected(last.error());
  }
  changes.last_ = std::move(*last);
  for (size_t i = 0; i + 1 < payloads.size(); ++i) {
    changes.size_ += payloads[i].size();
  }
  changes.size_ += size_of(changes.last_);
  changes.steps_ = std::move(payloads);
  return changes;
}

Status Changes::condense() {
  std::vector<compile::Difference> all;
  for (const std::vector<uint8_t>& step : steps_) {
    auto read = compile::decode_difference(step);
    if (!read) {
      return std::unexpected(read.error());
    }
    all.push_back(std::move(*read));
  }
  Views removed;
  Views added;
  for (const compile::Difference& step : all) {
    const Views went = step.removed.views();
    const Views came = step.added.views();
    const Views really_went = without(went, added);
    const Views really_came = without(came, removed);
    removed = together(without(removed, came), really_went);
    added = together(without(added, went), really_came);
  }
  last_.serial_from = all.front().serial_from;
  last_.soa_from = all.front().soa_from;
  last_.removed = list_of(removed);
  last_.added = list_of(added);
  steps_.resize(1);
  steps_.front().clear();
  size_ = size_of(last_);
  return {};
}

std::unique_ptr<RecordSource> Changes::records() && {
  return std::make_unique<ChangeRecords>(std::move(steps_), std::move(last_));
}

size_t transfer_size(const snapshot::LoadedZone& zone) {
  const snapshot::ZoneView& view = zone.view();
  size_t size = 0;
  for (const snapshot::NodeEntry& node : view.nodes()) {
    size += size_t{node.name_size} - view.apex().size() + 1;
    for (const snapshot::RrsetEntry& rrset : view.rrsets_of(node)) {
      size += zone.body_of(rrset).size;
    }
  }
  if (view.is_signed()) {  // signatures and NSEC3 have bodies of their own
    for (size_t i = 0; i < view.own_bodies().size(); ++i) {
      size += view.own_bodies().body(static_cast<uint32_t>(i)).size;
    }
  }
  return size;
}

Content::Content(const snapshot::LoadedZone& zone) : view_(&zone.view()) {
  for (const auto& bodies : zone.bodies()) {
    bodies_.push_back(&bodies->view);
  }
}

}  // namespace merlon::transfer
