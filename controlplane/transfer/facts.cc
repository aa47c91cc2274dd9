// SPDX-License-Identifier: Apache-2.0
#include "controlplane/transfer/facts.h"

#include <algorithm>
#include <array>

namespace merlon::transfer {

const snapshot::LoadedZone* find_exactly(const snapshot::Snapshot& snapshot,
                                         const name::Name& apex) {
  const name::Name folded = apex.folded();
  std::array<uint8_t, name::kLabelCountMax + 1> offsets{};
  size_t count = 0;
  for (size_t at = 0; folded.wire()[at] != 0; at += size_t{folded.wire()[at]} + 1) {
    offsets[count++] = static_cast<uint8_t>(at);
  }
  const snapshot::LoadedZone* zone = snapshot.find_zone(folded.wire(), offsets.data(), count);
  return zone != nullptr && zone->apex_size() == folded.size() ? zone : nullptr;
}

api::Secondary& Facts::entry(const Asker& asker, int64_t now) {
  auto& of_account = accounts_[asker.account];
  const Key key{asker.device, address::to_text(asker.source), asker.apex.folded().to_text()};
  if (!of_account.contains(key) && of_account.size() >= kSecondariesPerAccountMax) {
    of_account.erase(std::ranges::min_element(
        of_account, {}, [](const auto& one) { return one.second.facts.asked; }));
  }
  Entry& entry = of_account[key];
  entry.apex = asker.apex;
  entry.facts.account = asker.account;
  entry.facts.device = asker.device;
  entry.facts.source = std::get<1>(key);
  entry.facts.apex = std::get<2>(key);
  entry.facts.asked = now;
  return entry.facts;
}

void Facts::asked(const Asker& asker, Verdict verdict, int64_t now) {
  const std::lock_guard lock(mutex_);
  api::Secondary& facts = entry(asker, now);
  facts.refused += verdict == Verdict::may_not ? 1u : 0u;
}

void Facts::given(const Asker& asker, std::string_view kind, uint32_t serial, int64_t now) {
  const std::lock_guard lock(mutex_);
  api::Secondary& facts = entry(asker, now);
  facts.kind = kind;
  facts.serial_given = serial;
  facts.given = now;
  facts.behind_since = 0;
  ++facts.transfers;
}

void Facts::published(const std::map<std::string, uint32_t>& serials, int64_t now) {
  const std::lock_guard lock(mutex_);
  for (auto& [account, entries] : accounts_) {
    for (auto& [key, entry] : entries) {
      const auto serial = serials.find(std::get<2>(key));
      if (serial != serials.end() && entry.facts.given != 0 && entry.facts.behind_since == 0 &&
          entry.facts.serial_given != serial->second) {
        entry.facts.behind_since = now;
      }
    }
  }
}

void Facts::key_failed(const api::KeyFailure& failure, const address::Address& source,
                       int64_t now) {
  const std::string text = address::to_text(source);
  const std::lock_guard lock(mutex_);
  const std::tuple key{text, failure.key, failure.error};
  if (!failures_.contains(key)) {
    const auto last = [](const auto& one) { return one.second.last; };
    const auto first = failures_.lower_bound(std::tuple{text, std::string(), std::string()});
    auto end = first;
    size_t count = 0;
    while (end != failures_.end() && std::get<0>(end->first) == text) {
      ++end;
      ++count;
    }
    if (count >= kKeyFailuresPerSourceMax) {
      failures_.erase(std::ranges::min_element(first, end, {}, last));
    } else if (failures_.size() >= kKeyFailuresMax) {
      failures_.erase(std::ranges::min_element(failures_, {}, last));
    }
  }
  api::KeyFailure& known = failures_[key];
  known.key = failure.key;
  known.source = text;
  known.error = failure.error;
  known.clock_skew_s = failure.clock_skew_s;
  known.last = now;
  ++known.count;
}

api::Transfers Facts::all(const snapshot::Snapshot* served) const {
  api::Transfers all;
  const std::lock_guard lock(mutex_);
  for (const auto& [account, entries] : accounts_) {
    for (const auto& [key, entry] : entries) {
      all.secondaries.push_back(entry.facts);
      api::Secondary& facts = all.secondaries.back();
      const auto* zone = served == nullptr ? nullptr : find_exactly(*served, entry.apex);
      if (zone != nullptr) {
        facts.serial_current = zone->view().info().serial;
      }
      if (zone == nullptr || facts.given == 0 || facts.serial_given == facts.serial_current) {
        facts.behind_since = 0;
      } else if (facts.behind_since == 0) {
        facts.behind_since = facts.given;  // it was behind when it was given that
      }
    }
  }
  for (const auto& [key, failure] : failures_) {
    all.key_failures.push_back(failure);
  }
  return all;
}

}  // namespace merlon::transfer
