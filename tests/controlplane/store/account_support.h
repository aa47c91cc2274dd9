// SPDX-License-Identifier: Apache-2.0
// Short ways to write accounts, own lists and policies.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tests/controlplane/store/support.h"

namespace merlon::store {

inline Account account(const std::string& name) {
  Account made;
  made.name = name;
  return made;
}

inline CustomList own_list(const std::string& account, const std::string& name,
                           Direction direction = Direction::block) {
  CustomList made;
  made.account = account;
  made.name = name;
  made.direction = direction;
  return made;
}

inline Policy ip_policy(const std::string& account, const std::string& name,
                        std::vector<std::string> lists) {
  Policy made;
  made.account = account;
  made.name = name;
  made.lists = std::move(lists);
  return made;
}

inline CustomEntry entry(const std::string& value, const std::string& comment = "",
                         int64_t expires = 0) {
  CustomEntry made;
  made.value = value;
  made.comment = comment;
  made.expires = expires;
  return made;
}

class AccountTest : public StoreTest {
 protected:
  // Adds values that have to be good.
  EntryReport add(const std::string& account, const std::string& list,
                  const std::vector<std::string>& values, int64_t now = 100) {
    std::vector<CustomEntry> entries;
    for (const std::string& value : values) {
      entries.push_back(entry(value));
    }
    return add_entries(account, list, entries, now);
  }
  EntryReport add_entries(const std::string& account, const std::string& list,
                          const std::vector<CustomEntry>& entries, int64_t now = 100) {
    const auto report = store->add_entries(account, list, entries, {.now = now});
    EXPECT_TRUE(report.has_value()) << report.error().message;
    EXPECT_TRUE(!report || report->applied) << report->faults.front().reason;
    return report.value_or(EntryReport{});
  }
  // All values of a list in their order.
  std::vector<std::string> values_of(const std::string& account, const std::string& list) const {
    std::vector<std::string> values;
    const auto page = store->entries_of(account, list, {.after = "", .limit = kEntryPageMax});
    EXPECT_TRUE(page.has_value()) << page.error().message;
    for (const CustomEntry& one : page->entries) {
      values.push_back(one.value);
    }
    EXPECT_FALSE(page->more);
    return values;
  }
};

}  // namespace merlon::store
