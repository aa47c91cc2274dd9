// SPDX-License-Identifier: Apache-2.0
#include "controlplane/store/codec.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "controlplane/store/record.h"
#include "zones/base/bytes.h"

namespace merlon::store {
namespace {

using nlohmann::json;

void append_be32(std::string& out, uint32_t number) {
  const Be32 bytes(number);
  out.append(as_text(bytes.bytes));
}

template <class Bits>
void append_address(std::string& out, Bits bits) {
  std::array<uint8_t, sizeof(Bits)> bytes{};
  address::store_network(bits, bytes.data());
  out.append(as_text(bytes));
}

template <class Bits>
bool encode_prefix_key(const address::Prefix<Bits>& prefix, char kind, std::string& out) {
  if (prefix.length > address::kWidth<Bits> ||
      (prefix.bits & address::host_mask<Bits>(prefix.length)) != 0) {
    return false;
  }
  out.assign(1, kind);
  append_address(out, prefix.bits);
  out.push_back(static_cast<char>(prefix.length));
  return true;
}

json to_json(const FeedDefinition& d) {
  return json{{"id", d.id},
              {"title", d.title},
              {"url", d.url},
              {"format", d.format},
              {"category", d.category},
              {"severity", d.severity},
              {"confidence", d.confidence},
              {"direction", static_cast<int>(d.direction)},
              {"tier", static_cast<int>(d.tier)},
              {"in_basic", d.in_basic},
              {"enabled", d.enabled},
              {"interval_s", d.interval_s},
              {"timeout_s", d.timeout_s},
              {"size_max_bytes", d.size_max_bytes},
              {"provider", d.provider},
              {"licence", d.licence},
              {"homepage", d.homepage},
              {"credentials", d.credentials},
              {"private_hosts", d.private_hosts},
              {"ageing", d.ageing},
              {"copies", d.copies}};
}

FeedDefinition definition_from(const json& j) {
  FeedDefinition d;
  d.id = j.at("id");
  d.title = j.at("title");
  d.url = j.at("url");
  d.format = j.at("format");
  d.category = j.at("category");
  d.severity = j.at("severity");
  d.confidence = j.at("confidence");
  d.direction = static_cast<Direction>(j.at("direction").get<int>());
  d.tier = static_cast<Tier>(j.at("tier").get<int>());
  d.in_basic = j.at("in_basic");
  d.enabled = j.at("enabled");
  d.interval_s = j.at("interval_s");
  d.timeout_s = j.at("timeout_s");
  d.size_max_bytes = j.at("size_max_bytes");
  // Records of before these were known.
  d.provider = j.value("provider", d.provider);
  d.licence = j.value("licence", d.licence);
  d.homepage = j.value("homepage", d.homepage);
  d.credentials = j.value("credentials", d.credentials);
  d.private_hosts = j.value("private_hosts", d.private_hosts);
  d.ageing = j.value("ageing", d.ageing);
  d.copies = j.value("copies", d.copies);
  return d;
}

json to_json(const FeedState& s) {
  json by_reason = json::array();
  for (const auto& [reason, count] : s.rejected_by_reason) {
    by_reason.push_back(json::array({reason, count}));
  }
  json examples = json::array();
  for (const RejectedLine& line : s.rejected_examples) {
    examples.push_back(json::array({line.line, line.reason, line.text}));
  }
  return json{{"health", static_cast<int>(s.health)},
              {"reason", s.reason},
              {"last_attempt", s.last_attempt},
              {"last_good", s.last_good},
              {"last_changed", s.last_changed},
              {"not_before", s.not_before},
              {"last_duration_ms", s.last_duration_ms},
              {"format", s.format},
              {"etag", s.etag},
              {"last_modified", s.last_modified},
              {"size_bytes", s.size_bytes},
              {"line_count", s.line_count},
              {"rejected_count", s.rejected_count},
              {"rejected_by_reason", std::move(by_reason)},
              {"rejected_examples", std::move(examples)},
              {"prefix4_count", s.prefix4_count},
              {"prefix6_count", s.prefix6_count},
              {"domain_count", s.domain_count}};
}

FeedState state_from(const json& j) {
  FeedState s;
  s.health = static_cast<FeedHealth>(j.at("health").get<int>());
  s.reason = j.at("reason");
  s.last_attempt = j.at("last_attempt");
  s.last_good = j.at("last_good");
  s.last_changed = j.at("last_changed");
  s.not_before = j.value("not_before", s.not_before);
  s.last_duration_ms = j.value("last_duration_ms", s.last_duration_ms);
  s.format = j.at("format");
  s.etag = j.at("etag");
  s.last_modified = j.at("last_modified");
  s.size_bytes = j.at("size_bytes");
  s.line_count = j.at("line_count");
  s.rejected_count = j.at("rejected_count");
  for (const json& pair : j.at("rejected_by_reason")) {
    s.rejected_by_reason.emplace_back(pair.at(0).get<std::string>(), pair.at(1).get<uint64_t>());
  }
  for (const json& line : j.at("rejected_examples")) {
    s.rejected_examples.push_back(
        {line.at(0).get<uint64_t>(), line.at(1).get<std::string>(), line.at(2).get<std::string>()});
  }
  s.prefix4_count = j.at("prefix4_count");
  s.prefix6_count = j.at("prefix6_count");
  s.domain_count = j.at("domain_count");
  return s;
}

Device device_from(const json& j) {
  Device d;
  d.name = j.at("name");
  d.account = j.at("account");
  d.tier = static_cast<Tier>(j.at("tier").get<int>());
  d.created = j.at("created");
  d.number = j.at("number");
  d.account_number = j.at("account_number");
  for (const json& source : j.at("sources")) {
    const auto prefix = address::parse_prefix(source.get_ref<const std::string&>());
    if (!prefix) {
      throw std::invalid_argument("source " + source.dump() + " is not a prefix");
    }
    d.sources.push_back(*prefix);
  }
  // What came later: records from before have none of it.
  d.recursion = j.value("recursion", false);
  d.dns_policy = j.value("dns_policy", "");
  d.tsig_algorithm = j.value("tsig_algorithm", "");
  d.tsig_secret = j.value("tsig_secret", "");
  d.notify = j.value("notify", std::vector<std::string>{});
  d.certificate = j.value("certificate", "");
  d.token_digest = j.value("token_digest", "");
  return d;
}

}  // namespace

namespace {

void append_varint(std::string& out, uint64_t number) {
  while (number >= 0x80) {
    out.push_back(static_cast<char>(number | 0x80));
    number >>= 7;
  }
  out.push_back(static_cast<char>(number));
}

// At most five bytes, which hold 33 bits.
bool take_varint(std::string_view& bytes, uint64_t& out) {
  out = 0;
  for (unsigned shift = 0; shift <= 28; shift += 7) {
    if (bytes.empty()) {
      return false;
    }
    const auto byte = static_cast<uint8_t>(bytes.front());
    bytes.remove_prefix(1);
    out |= uint64_t{byte & 0x7fu} << shift;
    if ((byte & 0x80) == 0) {
      return true;
    }
  }
  return false;
}

bool take_be32(std::string_view& bytes, uint32_t& out) {
  if (bytes.size() < 4) {
    return false;
  }
  out = load_be32(as_bytes(bytes).data());
  bytes.remove_prefix(4);
  return true;
}

bool take_head(std::string_view& bytes, Sighting& out) {
  uint64_t head = 0;
  if (!take_varint(bytes, head) || (head >> 1) > UINT32_MAX) {
    return false;
  }
  out.feed = static_cast<uint32_t>(head >> 1);
  out.listed = (head & 1) != 0;
  return true;
}

// Moves `at` on by a stored span; false when that leads beyond the times there are.
bool take_span(std::string_view& bytes, uint32_t& at) {
  uint64_t span = 0;
  if (!take_varint(bytes, span) || span > UINT32_MAX - at) {
    return false;
  }
  at += static_cast<uint32_t>(span);
  return true;
}

bool take_intervals(std::string_view& bytes, Sighting& out) {
  uint64_t count = 0;
  uint32_t at = 0;
  if (!take_head(bytes, out) || !take_varint(bytes, count) || count == 0 || count > bytes.size() ||
      !take_be32(bytes, at)) {
    return false;
  }
  for (uint64_t i = 0; i < count; ++i) {
    StoredInterval& interval = out.earlier.emplace_back();
    interval.from = at;
    if (!take_span(bytes, at)) {
      return false;
    }
    interval.until = at;
    if (!take_span(bytes, at)) {
      return false;
    }
  }
  out.first_seen = at;
  if (out.listed) {
    return true;
  }
  const bool ended = take_span(bytes, at);
  out.last_seen = at;
  return ended;
}

void append_intervals(std::string& out, const Sighting& sighting) {
  out.push_back('\0');
  append_varint(out, uint64_t{sighting.feed} * 2 + (sighting.listed ? 1 : 0));
  append_varint(out, sighting.earlier.size());
  append_be32(out, sighting.earlier.front().from);
  for (size_t i = 0; i < sighting.earlier.size(); ++i) {
    const StoredInterval& interval = sighting.earlier[i];
    const bool last = i + 1 == sighting.earlier.size();
    append_varint(out, interval.until - interval.from);
    append_varint(out,
                  (last ? sighting.first_seen : sighting.earlier[i + 1].from) - interval.until);
  }
  if (!sighting.listed) {
    append_varint(out, sighting.last_seen - sighting.first_seen);
  }
}

}  // namespace

void encode_sightings(const std::vector<Sighting>& sightings, std::string& out) {
  out.clear();
  for (const Sighting& sighting : sightings) {
    if (!sighting.earlier.empty()) {
      append_intervals(out, sighting);
      continue;
    }
    append_varint(out, uint64_t{sighting.feed} * 2 + (sighting.listed ? 1 : 0));
    append_be32(out, sighting.first_seen);
    if (!sighting.listed) {
      append_be32(out, sighting.last_seen);
    }
  }
}

bool decode_sightings(std::string_view bytes, std::vector<Sighting>& out) {
  out.clear();
  while (!bytes.empty()) {
    Sighting& sighting = out.emplace_back();
    if (bytes.front() == '\0') {
      bytes.remove_prefix(1);
      if (!take_intervals(bytes, sighting)) {
        return false;
      }
    } else if (!take_head(bytes, sighting) || !take_be32(bytes, sighting.first_seen) ||
               (!sighting.listed && !take_be32(bytes, sighting.last_seen))) {
      return false;
    }
  }
  return true;
}

std::string encode_set_entry(const SetEntry& entry) {
  if (entry.kind == SetEntry::Kind::listed) {
    return {};
  }
  std::string bytes(1, entry.kind == SetEntry::Kind::limited     ? 'u'
                       : entry.kind == SetEntry::Kind::lingering ? 'g'
                                                                 : 'o');
  append_be32(bytes, entry.time);
  return bytes;
}

bool decode_set_entry(std::string_view bytes, SetEntry& out) {
  out = {};
  if (bytes.empty()) {
    return true;
  }
  const char kind = bytes.front();
  out.kind = kind == 'u'   ? SetEntry::Kind::limited
             : kind == 'g' ? SetEntry::Kind::lingering
                           : SetEntry::Kind::out;
  bytes.remove_prefix(1);
  return (kind == 'u' || kind == 'g' || kind == 'o') && take_be32(bytes, out.time) && bytes.empty();
}

std::string encode_ageing_key(const AgeingKey& key) {
  std::string bytes = big_endian(0);
  append_be32(bytes, key.time);
  append_be32(bytes, key.feed);
  bytes += key.value_key;
  return bytes;
}

bool decode_ageing_key(std::string_view bytes, AgeingKey& out) {
  uint32_t zero = 0;
  if (!take_be32(bytes, zero) || zero != 0 || !take_be32(bytes, out.time) ||
      !take_be32(bytes, out.feed) || bytes.size() < 2) {
    return false;
  }
  out.value_key = bytes;
  return true;
}

std::string ageing_keys_end(uint32_t time) {
  return time == UINT32_MAX ? big_endian(1) : big_endian(0) + big_endian(time + 1);
}

uint32_t to_stored_time(int64_t seconds) {
  return static_cast<uint32_t>(std::clamp<int64_t>(seconds, 0, UINT32_MAX));
}

bool encode_value_key(const address::Prefix<address::Bits4>& prefix, std::string& out) {
  return encode_prefix_key(prefix, '4', out);
}

bool encode_value_key(const address::Prefix<address::Bits6>& prefix, std::string& out) {
  return encode_prefix_key(prefix, '6', out);
}

bool encode_value_key(const std::string& domain, std::string& out) {
  if (domain.empty() || domain.size() > kDomainSizeMax || domain.front() == '.' ||
      domain.back() == '.') {
    return false;
  }
  for (size_t i = 0; i < domain.size(); ++i) {
    const char c = domain[i];
    if ((c >= 'A' && c <= 'Z') || c == '\0' || (c == '.' && domain[i - 1] == '.')) {
      return false;
    }
  }
  out.assign(1, 'd');
  out.append(domain);
  return true;
}

bool decode_value_key(std::string_view key, FeedSet& into) {
  if (key.size() < 2) {
    return false;
  }
  const uint8_t* address = as_bytes(key).data() + 1;
  const auto length = static_cast<uint8_t>(key.back());
  if (key.front() == '4' && key.size() == 6) {
    into.v4.push_back({address::load_network_v4(address), length});
    return length <= 32;
  }
  if (key.front() == '6' && key.size() == 18) {
    into.v6.push_back({address::load_network_v6(address), length});
    return length <= 128;
  }
  if (key.front() == 'd') {
    into.domains.emplace_back(key.substr(1));
    return true;
  }
  return false;
}

std::string indicator_key(std::string_view value_key) {
  if (value_key.front() == 'd') {
    return domain_indicator_key(value_key.substr(1));
  }
  std::string key(1, value_key.front());
  key.push_back(value_key.back());
  key.append(value_key.substr(1, value_key.size() - 2));
  return key;
}

std::string indicator_key(const address::AnyPrefix& prefix) {
  std::string key(1, prefix.family == address::Family::v4 ? '4' : '6');
  key.push_back(static_cast<char>(prefix.length));
  if (prefix.family == address::Family::v4) {
    append_address(key, prefix.v4().bits);
  } else {
    append_address(key, prefix.v6().bits);
  }
  return key;
}

std::string domain_indicator_key(std::string_view domain) {
  std::string key(1, 'd');
  size_t end = domain.size();
  while (true) {  // labels from the last to the first
    const size_t dot = end == 0 ? std::string_view::npos : domain.rfind('.', end - 1);
    const size_t start = dot == std::string_view::npos ? 0 : dot + 1;
    key.append(domain.substr(start, end - start));
    key.push_back('.');
    if (start == 0) {
      return key;
    }
    end = start - 1;
  }
}

std::string big_endian(uint32_t number) {
  std::string bytes;
  append_be32(bytes, number);
  return bytes;
}

bool parse_big_endian(std::string_view bytes, uint32_t& out) {
  if (bytes.size() != 4) {
    return false;
  }
  out = load_be32(as_bytes(bytes).data());
  return true;
}

Result<std::string> encode_feed(const StoredFeed& feed) {
  const json definition = to_json(feed.record.definition);
  const auto strict = dump_strictly(definition, "feed definition");
  if (!strict) {
    return std::unexpected(strict.error());
  }
  const json record{{"version", kRecordVersion},
                    {"number", feed.number},
                    {"definition", definition},
                    {"state", to_json(feed.record.state)}};
  return record.dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<StoredFeed> decode_feed(std::string_view text) {
  return decode_record<StoredFeed>(text, [](const json& record) {
    StoredFeed feed;
    feed.number = record.at("number");
    feed.record.definition = definition_from(record.at("definition"));
    feed.record.state = state_from(record.at("state"));
    return feed;
  });
}

Result<std::string> encode_device(const Device& device) {
  json sources = json::array();
  for (const address::AnyPrefix& source : device.sources) {
    sources.push_back(address::to_text(source));
  }
  return dump_strictly(json{{"version", kRecordVersion},
                            {"name", device.name},
                            {"account", device.account},
                            {"tier", static_cast<int>(device.tier)},
                            {"created", device.created},
                            {"number", device.number},
                            {"account_number", device.account_number},
                            {"sources", std::move(sources)},
                            {"recursion", device.recursion},
                            {"dns_policy", device.dns_policy},
                            {"tsig_algorithm", device.tsig_algorithm},
                            {"tsig_secret", device.tsig_secret},
                            {"notify", device.notify},
                            {"certificate", device.certificate},
                            {"token_digest", device.token_digest}},
                       "device");
}

Result<Device> decode_device(std::string_view text) {
  return decode_record<Device>(text, [](const json& record) { return device_from(record); });
}

}  // namespace merlon::store
