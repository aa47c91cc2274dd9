// SPDX-License-Identifier: Apache-2.0
#include "controlplane/feeds/collector.h"

#include <algorithm>

#include "zones/name/name.h"

namespace merlon::feeds {
namespace {

constexpr size_t kNotesMax = 10;
constexpr size_t kNoteSizeMax = 400;
constexpr size_t kSampleSize = 64 << 10;

// From the density of line ends at the start; at least 8 bytes a line, so that a file of empty
// lines does not reserve more than it could fill.
size_t estimate_lines(std::string_view text) {
  const std::string_view sample = text.substr(0, kSampleSize);
  const auto ends = static_cast<size_t>(std::count(sample.begin(), sample.end(), '\n')) + 1;
  return std::min(text.size() / std::max<size_t>(sample.size() / ends, 1), text.size() / 8) + 16;
}

template <class T>
void reserve_once(std::vector<T>& values, size_t count) {
  if (values.capacity() == 0) {
    values.reserve(count);
  }
}

}  // namespace

std::string printable(std::string_view text, size_t size_max) {
  std::string out(text.substr(0, size_max));
  for (char& c : out) {
    if (c < 0x20 || c > 0x7e) {
      c = '?';
    }
  }
  return out;
}

Collector::Collector(const Declaration& declaration, std::string_view content)
    : lines_expected_(estimate_lines(content)) {
  feed_.format = declaration.format;
  feed_.declaration = to_text(declaration);
}

bool Collector::has_room(uint64_t count) {
  const uint64_t held = feed_.set.v4.size() + feed_.set.v6.size();
  overflowed_ = overflowed_ || count > kPrefixCountMax - held;
  return !overflowed_;
}

void Collector::add_cut(const address::AnyRange& range) {
  uint64_t count = 0;
  const auto count_one = [&](const auto&) { ++count; };
  if (range.family == address::Family::v4) {
    address::for_each_prefix<address::Bits4>(range.v4(), count_one);
    if (has_room(count)) {
      reserve_once(feed_.set.v4, lines_expected_);
      address::for_each_prefix<address::Bits4>(
          range.v4(), [&](const auto& prefix) { feed_.set.v4.push_back(prefix); });
    }
    return;
  }
  address::for_each_prefix<address::Bits6>(range.v6(), count_one);
  if (has_room(count)) {
    reserve_once(feed_.set.v6, lines_expected_);
    address::for_each_prefix<address::Bits6>(
        range.v6(), [&](const auto& prefix) { feed_.set.v6.push_back(prefix); });
  }
}

void Collector::add(const Value& value) {
  ++feed_.entry_count;
  host_bits_count_ += value.host_bits_set ? 1 : 0;
  port_count_ += value.had_port ? 1 : 0;
  if (value.kind == Value::Kind::name) {
    reserve_once(feed_.set.domains, lines_expected_);
    std::string& name = feed_.set.domains.emplace_back(value.name);
    for (char& c : name) {
      c = static_cast<char>(name::fold(static_cast<uint8_t>(c)));
    }
    return;
  }
  const address::AnyRange& range = value.range;
  if (range.family == address::Family::v4 && range.first == range.last) {
    if (has_room(1)) {
      reserve_once(feed_.set.v4, lines_expected_);
      feed_.set.v4.push_back({static_cast<address::Bits4>(range.first), 32});
    }
    return;
  }
  add_cut(range);
}

void Collector::add(const Value& value, int64_t ends) {
  const size_t v4 = feed_.set.v4.size();
  const size_t v6 = feed_.set.v6.size();
  const size_t domains = feed_.set.domains.size();
  add(value);
  if (ends == 0) {
    return;
  }
  for (size_t i = v4; i < feed_.set.v4.size(); ++i) {
    const auto& prefix = feed_.set.v4[i];
    feed_.expiries.push_back(
        {.prefix = {address::Family::v4, prefix.length, prefix.bits}, .time = ends});
  }
  for (size_t i = v6; i < feed_.set.v6.size(); ++i) {
    const auto& prefix = feed_.set.v6[i];
    feed_.expiries.push_back(
        {.prefix = {address::Family::v6, prefix.length, prefix.bits}, .time = ends});
  }
  for (size_t i = domains; i < feed_.set.domains.size(); ++i) {
    feed_.expiries.push_back({.domain = feed_.set.domains[i], .time = ends});
  }
}

void Collector::reject_line(uint64_t number, std::string_view text, RejectReason reason) {
  ++feed_.rejected_count;
  ++rejected_[static_cast<size_t>(reason)];
  if (feed_.rejected_examples.size() < kRejectedExamplesMax) {
    feed_.rejected_examples.push_back(
        {number, std::string(to_string(reason)), printable(text, kExampleSizeMax)});
  }
}

void Collector::note(std::string_view text) {
  if (feed_.notes.size() < kNotesMax) {
    feed_.notes.push_back(printable(text, kNoteSizeMax));
  }
}

void Collector::declare_records(uint64_t count) {
  const uint64_t before = feed_.records_declared.value_or(0);
  // Lists that were joined carry one metadata object each. Saturate: the numbers are theirs.
  feed_.records_declared = count > UINT64_MAX - before ? UINT64_MAX : before + count;
}

Result<ParsedFeed> Collector::finish(uint64_t line_count) {
  if (overflowed_) {
    return fail(ErrorCode::invalid_argument,
                "the feed holds more than {} prefixes after its ranges are cut; split it or have "
                "it aggregated at its source",
                kPrefixCountMax);
  }
  feed_.line_count = line_count;
  if (host_bits_count_ > 0) {
    note(fmt::format("{} prefixes had host bits set, which were cleared", host_bits_count_));
  }
  if (port_count_ > 0) {
    note(fmt::format("{} entries carried a port, which was dropped", port_count_));
  }
  for (size_t i = 0; i < kRejectReasonCount; ++i) {
    if (rejected_[i] > 0) {
      feed_.rejected_by_reason.emplace_back(to_string(static_cast<RejectReason>(i)), rejected_[i]);
    }
  }
  feed_.set.normalise();
  return std::move(feed_);
}

}  // namespace merlon::feeds
