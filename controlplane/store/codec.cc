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

void encode_sightings(const std::vector<Sighting>& sightings, std::string& out) {
  out.clear();
  for (const Sighting& sighting : sightings) {
    uint64_t head = uint64_t{sighting.feed} * 2 + (sighting.listed ? 1 : 0);
    while (head >= 0x80) {
      out.push_back(static_cast<char>(head | 0x80));
      head >>= 7;
    }
    out.push_back(static_cast<char>(head));
    append_be32(out, sighting.first_seen);
    if (!sighting.listed) {
      append_be32(out, sighting.last_seen);
    }
  }
}

bool decode_sightings(std::string_view bytes, std::vector<Sighting>& out) {
  out.clear();
  while (!bytes.empty()) {
    uint64_t head = 0;
    unsigned shift = 0;
    bool more = true;
    while (more) {  // at most five bytes hold 33 bits
      if (bytes.empty() || shift > 28) {
        return false;
      }
      const auto byte = static_cast<uint8_t>(bytes.front());
      bytes.remove_prefix(1);
      head |= uint64_t{byte & 0x7fu} << shift;
      shift += 7;
      more = (byte & 0x80) != 0;
    }
    if ((head >> 1) > UINT32_MAX) {
      return false;
    }
    Sighting sighting;
    sighting.feed = static_cast<uint32_t>(head >> 1);
    sighting.listed = (head & 1) != 0;
    const size_t need = sighting.listed ? 4 : 8;
    if (bytes.size() < need) {
      return false;
    }
    sighting.first_seen = load_be32(as_bytes(bytes).data());
    sighting.last_seen = sighting.listed ? 0 : load_be32(as_bytes(bytes).data() + 4);
    bytes.remove_prefix(need);
    out.push_back(sighting);
  }
  return true;
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
