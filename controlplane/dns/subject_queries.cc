// SPDX-License-Identifier: Apache-2.0
#include "controlplane/dns/subject_queries.h"

#include <algorithm>
#include <string_view>

#include "zones/base/bytes.h"

namespace merlon::dns {
namespace {

using answer::Outcome;

uint64_t key_of(const snapshot::Subject& subject) {
  return uint64_t{subject.account} << 32 | subject.device;
}
std::pair<uint32_t, uint32_t> pair_of(uint64_t key) {
  return {static_cast<uint32_t>(key >> 32), static_cast<uint32_t>(key)};
}

std::string_view text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Names of the sort that lists have; what is signed, transferred or malformed is none.
bool is_named(Outcome outcome) {
  return outcome == Outcome::answered || outcome == Outcome::nodata ||
         outcome == Outcome::nxdomain || outcome == Outcome::refused_not_ours;
}
bool is_useful(Outcome outcome) {
  return outcome == Outcome::answered || outcome == Outcome::nodata;
}

// Of the first record behind the question, whose owner is a pointer.
uint32_t ttl_of(const snapshot::Body& body) {
  constexpr size_t kTtlAt = 6;
  return body.size >= kTtlAt + 4 && (body.data[0] & 0xC0u) == 0xC0u ? load_be32(body.data + kTtlAt)
                                                                    : 0;
}

uint64_t hash_of(const address::Address& address) {
  const auto high = static_cast<uint64_t>(address.bits >> 64);
  const auto low = static_cast<uint64_t>(address.bits);
  return std::hash<uint64_t>{}(high) * 0x9e3779b97f4a7c15u ^ low ^
         static_cast<uint64_t>(address.family) << 63;
}

}  // namespace

void SubjectQueries::add(const snapshot::Subject& subject, const Asked& asked) {
  const std::lock_guard lock(mutex_);
  Row& row = rows_[key_of(subject)];
  ++row.queries;
  row.last = asked.now;
  if (is_useful(asked.reply.outcome)) {
    row.last_useful = asked.now;
  }
  if (asked.has_name && is_named(asked.reply.outcome)) {
    add_name(row, asked);
  }
}

// Where the name's numbers go: a new place, that of the subject's oldest name, or nullptr.
SubjectQueries::Name* SubjectQueries::make_room(Row& row, uint64_t hash) {
  if (row.names.size() < kNamesPerSubjectMax && name_count_ < names_max_) {
    ++name_count_;
    row.hashes.push_back(hash);
    return &row.names.emplace_back();
  }
  if (row.names.empty()) {
    return nullptr;
  }
  const auto oldest =
      std::ranges::min_element(row.names, {}, [](const Name& name) { return name.asked.last; });
  row.hashes[static_cast<size_t>(oldest - row.names.begin())] = hash;
  *oldest = Name{};
  return &*oldest;
}

void SubjectQueries::add_name(Row& row, const Asked& asked) {
  const answer::Query& query = asked.query;
  const std::string_view text = text_of(query.folded_qname());
  const uint64_t hash = std::hash<std::string_view>{}(text) ^ query.qtype;
  Name* name = nullptr;
  for (size_t i = 0; i < row.hashes.size() && name == nullptr; ++i) {
    if (row.hashes[i] == hash && row.names[i].asked.type == query.qtype &&
        row.names[i].asked.name == text) {
      name = &row.names[i];
    }
  }
  if (name == nullptr) {
    name = make_room(row, hash);
    if (name == nullptr) {
      return;
    }
    name->asked.name = text;
    name->asked.type = query.qtype;
  }
  ++name->asked.count;
  name->asked.last = asked.now;
  name->asked.outcome = asked.reply.outcome;
  name->asked.records = asked.reply.body.answer_count;
  name->asked.ttl_s = ttl_of(asked.reply.body);
  if (!query.dnssec_ok || asked.reply.outcome != Outcome::answered) {
    return;
  }
  const uint64_t source = hash_of(asked.source);
  const int64_t age = asked.now - name->window_start;
  const int64_t ttl = name->asked.ttl_s;
  if (name->window_count != 0 && age >= 0 && age < ttl) {
    name->window_count += source == name->source ? 1 : 0;
  } else {
    name->before = age < 2 * ttl ? name->window_count : 0;
    name->window_count = 1;
    name->window_start = asked.now;
    name->source = source;
  }
  name->asked.within_ttl = std::max(name->window_count, name->before);
}

void SubjectQueries::add_unknown(const address::Address& source, int64_t now) {
  const std::lock_guard lock(mutex_);
  const auto known = std::ranges::find(unknown_, source, &UnknownSource::address);
  if (known != unknown_.end()) {
    ++known->count;
    known->last = now;
  } else if (unknown_.size() < kUnknownMax) {
    unknown_.push_back({source, 1, now});
  } else {
    *std::ranges::min_element(unknown_, {}, &UnknownSource::last) = {source, 1, now};
  }
}

void SubjectQueries::add_into(SubjectCounts& sum) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [key, row] : rows_) {
    SubjectCount& count = sum[pair_of(key)];
    count.queries += row.queries;
    count.last = std::max(count.last, row.last);
  }
}

void SubjectQueries::add_into(AskedReport& sum) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [key, row] : rows_) {
    AskedOfSubject& all = sum.subjects[pair_of(key)];
    all.queries += row.queries;
    all.last = std::max(all.last, row.last);
    all.last_useful = std::max(all.last_useful, row.last_useful);
    for (const Name& name : row.names) {
      const auto same = std::ranges::find_if(all.names, [&name](const AskedName& other) {
        return other.type == name.asked.type && other.name == name.asked.name;
      });
      if (same == all.names.end()) {
        all.names.push_back(name.asked);
        continue;
      }
      AskedName newer = same->last >= name.asked.last ? *same : name.asked;
      newer.count = same->count + name.asked.count;
      newer.within_ttl = std::max(same->within_ttl, name.asked.within_ttl);
      *same = newer;
    }
  }
  for (const UnknownSource& source : unknown_) {
    const auto same = std::ranges::find(sum.unknown, source.address, &UnknownSource::address);
    if (same == sum.unknown.end()) {
      sum.unknown.push_back(source);
    } else {
      same->count += source.count;
      same->last = std::max(same->last, source.last);
    }
  }
}

}  // namespace merlon::dns
