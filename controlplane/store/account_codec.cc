// SPDX-License-Identifier: Apache-2.0
#include "controlplane/store/account_codec.h"

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <vector>

#include "controlplane/store/codec.h"
#include "controlplane/store/record.h"
#include "zones/base/bytes.h"

namespace merlon::store {
namespace {

using nlohmann::json;

constexpr size_t kEntryHeadSize = 8;
constexpr size_t kExpiryHeadSize = 16;

template <class Enum>
Enum enum_from(const json& j, Enum last) {
  const int value = j.get<int>();
  if (value < 0 || value > static_cast<int>(last)) {
    throw std::invalid_argument("no such value: " + j.dump());
  }
  return static_cast<Enum>(value);
}

json to_json(const Target& target) {
  return json{{"feeds", target.feeds},
              {"categories", target.categories},
              {"severity_min", target.severity_min},
              {"confidence_min", target.confidence_min},
              {"action", static_cast<int>(target.action)},
              {"countries", target.countries},
              {"asns", target.asns}};
}

Target target_from(const json& j) {
  Target target;
  target.feeds = j.at("feeds").get<std::vector<std::string>>();
  target.categories = j.at("categories").get<std::vector<std::string>>();
  target.severity_min = j.at("severity_min");
  target.confidence_min = j.at("confidence_min");
  target.action = enum_from(j.at("action"), Action::garden);
  target.countries = j.value("countries", target.countries);
  target.asns = j.value("asns", target.asns);
  return target;
}

Policy policy_from(const json& j) {
  Policy policy;
  policy.account = j.at("account");
  policy.name = j.at("name");
  policy.title = j.at("title");
  policy.kind = enum_from(j.at("kind"), PolicyKind::dns);
  for (const json& target : j.at("targets")) {
    policy.targets.push_back(target_from(target));
  }
  policy.lists = j.at("lists").get<std::vector<std::string>>();
  policy.list_action = enum_from(j.at("list_action"), Action::garden);
  policy.garden = j.at("garden");
  policy.profile = j.at("profile");
  policy.capacity = j.at("capacity");
  policy.created = j.at("created");
  policy.changed = j.at("changed");
  policy.number = j.at("number");
  policy.account_number = j.at("account_number");
  return policy;
}

void append_be64(std::string& out, int64_t number) {
  const auto bits = static_cast<uint64_t>(number);
  out += big_endian(static_cast<uint32_t>(bits >> 32));
  out += big_endian(static_cast<uint32_t>(bits));
}

}  // namespace

Result<std::string> encode_account(const Account& account) {
  return dump_strictly(json{{"version", kRecordVersion},
                            {"name", account.name},
                            {"title", account.title},
                            {"tier", static_cast<int>(account.tier)},
                            {"created", account.created},
                            {"number", account.number}},
                       "account");
}

Result<Account> decode_account(std::string_view text) {
  return decode_record<Account>(text, [](const json& j) {
    Account account;
    account.name = j.at("name");
    account.title = j.at("title");
    account.tier = enum_from(j.at("tier"), Tier::operator_);
    account.created = j.at("created");
    account.number = j.at("number");
    return account;
  });
}

Result<std::string> encode_list(const CustomList& list) {
  return dump_strictly(json{{"version", kRecordVersion},
                            {"account", list.account},
                            {"name", list.name},
                            {"title", list.title},
                            {"direction", static_cast<int>(list.direction)},
                            {"created", list.created},
                            {"changed", list.changed},
                            {"entry_count", list.entry_count},
                            {"number", list.number},
                            {"account_number", list.account_number}},
                       "list");
}

Result<CustomList> decode_list(std::string_view text) {
  return decode_record<CustomList>(text, [](const json& j) {
    CustomList list;
    list.account = j.at("account");
    list.name = j.at("name");
    list.title = j.at("title");
    list.direction = enum_from(j.at("direction"), Direction::allow);
    list.created = j.at("created");
    list.changed = j.at("changed");
    list.entry_count = j.at("entry_count");
    list.number = j.at("number");
    list.account_number = j.at("account_number");
    return list;
  });
}

Result<std::string> encode_policy(const Policy& policy) {
  json targets = json::array();
  for (const Target& target : policy.targets) {
    targets.push_back(to_json(target));
  }
  return dump_strictly(json{{"version", kRecordVersion},
                            {"account", policy.account},
                            {"name", policy.name},
                            {"title", policy.title},
                            {"kind", static_cast<int>(policy.kind)},
                            {"targets", std::move(targets)},
                            {"lists", policy.lists},
                            {"list_action", static_cast<int>(policy.list_action)},
                            {"garden", policy.garden},
                            {"profile", policy.profile},
                            {"capacity", policy.capacity},
                            {"created", policy.created},
                            {"changed", policy.changed},
                            {"number", policy.number},
                            {"account_number", policy.account_number}},
                       "policy");
}

Result<Policy> decode_policy(std::string_view text) {
  return decode_record<Policy>(text, [](const json& j) { return policy_from(j); });
}

std::string encode_entry(const StoredEntry& entry) {
  std::string bytes = big_endian(entry.created);
  bytes += big_endian(entry.expires);
  bytes += entry.comment;
  return bytes;
}

bool decode_entry(std::string_view bytes, StoredEntry& out) {
  if (bytes.size() < kEntryHeadSize || bytes.size() > kEntryHeadSize + kCommentSizeMax) {
    return false;
  }
  out.created = load_be32(as_bytes(bytes).data());
  out.expires = load_be32(as_bytes(bytes).data() + 4);
  out.comment = bytes.substr(kEntryHeadSize);
  return true;
}

std::string account_number_key(uint32_t account) {
  return "/" + big_endian(account);
}

std::string owned_key(uint32_t account, std::string_view name) {
  std::string key = big_endian(account);
  key += name;
  return key;
}

std::string list_number_key(uint32_t list) {
  return big_endian(0) + big_endian(list);
}

std::string entry_key(uint32_t list, std::string_view value_key) {
  return owned_key(list, value_key);
}

std::string encode_expiry_key(const ExpiryKey& key) {
  std::string bytes = big_endian(0);
  append_be64(bytes, key.expires);
  bytes += big_endian(key.list);
  bytes += key.value_key;
  return bytes;
}

bool decode_expiry_key(std::string_view bytes, ExpiryKey& out) {
  if (bytes.size() <= kExpiryHeadSize || load_be32(as_bytes(bytes).data()) != 0) {
    return false;
  }
  const uint8_t* at = as_bytes(bytes).data() + 4;
  out.expires = static_cast<int64_t>(uint64_t{load_be32(at)} << 32 | load_be32(at + 4));
  out.list = load_be32(at + 8);
  out.value_key = bytes.substr(kExpiryHeadSize);
  return true;
}

}  // namespace merlon::store
