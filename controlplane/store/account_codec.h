// SPDX-License-Identifier: Apache-2.0
// How accounts, their lists, entries and policies lie in the database. Numbers are in network
// order, so that what belongs to one account or list is one run of keys:
//   accounts   name -> record | '/' account(4) -> name
//   lists      account(4) name -> record | 0(4) list(4) -> the list's key
//   entries    list(4) OwnValue::key() -> created(4) expires(4) comment
//              0(4) expires(8) list(4) OwnValue::key() -> "", for those that expire
//   policies   account(4) name -> record
// Numbers begin at 1, so what begins with 0 is an index. Records are JSON as in codec.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "controlplane/store/model.h"
#include "controlplane/store/own_lists.h"
#include "zones/base/error.h"

namespace merlon::store {

// Errors: invalid_argument when a text is not UTF-8.
Result<std::string> encode_account(const Account& account);
Result<std::string> encode_list(const CustomList& list);
Result<std::string> encode_policy(const Policy& policy);
// Errors: corruption, unsupported.
Result<Account> decode_account(std::string_view text);
Result<CustomList> decode_list(std::string_view text);
Result<Policy> decode_policy(std::string_view text);

struct StoredEntry {
  uint32_t created = 0;
  uint32_t expires = 0;
  std::string_view comment;  // into the decoded bytes
};
std::string encode_entry(const StoredEntry& entry);
bool decode_entry(std::string_view bytes, StoredEntry& out);

std::string account_number_key(uint32_t account);
std::string owned_key(uint32_t account, std::string_view name);  // of a list or a policy
std::string list_number_key(uint32_t list);
std::string entry_key(uint32_t list, std::string_view value_key);

struct ExpiryKey {
  int64_t expires = 0;
  uint32_t list = 0;
  std::string value_key;
};
std::string encode_expiry_key(const ExpiryKey& key);
bool decode_expiry_key(std::string_view bytes, ExpiryKey& out);

}  // namespace merlon::store
