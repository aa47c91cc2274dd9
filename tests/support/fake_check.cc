// SPDX-License-Identifier: Apache-2.0
// FakeOperations: who lists a value, and backups.
#include <algorithm>

#include "tests/support/fake_begin.h"
#include "tests/support/fake_operations.h"
#include "zones/address/address.h"
#include "zones/name/name.h"

namespace merlon::tests {

Result<std::vector<api::CheckReport>> FakeOperations::check_many(
    const std::vector<std::string>& values, const api::CheckOptions& options) {
  std::vector<api::CheckReport> reports;
  for (const std::string& value : values) {
    auto report = check(value, options);
    if (!report) {
      api::CheckReport refused;
      refused.value = value;
      refused.error = report.error().message;
      report = std::move(refused);
    }
    reports.push_back(std::move(*report));
  }
  return reports;
}

Result<api::BackupReport> FakeOperations::backup(const std::string& directory) {
  MERLON_BEGIN();
  if (!directory.starts_with('/')) {
    return fail(ErrorCode::invalid_argument, "\"{}\" is not an absolute path", directory);
  }
  return api::BackupReport{.directory = directory,
                           .id = 1,
                           .created = clock_(),
                           .size_bytes = 1000,
                           .schema_version = 3};
}

Result<api::CheckReport> FakeOperations::check(const std::string& value,
                                               const api::CheckOptions& options) {
  MERLON_BEGIN();
  api::CheckReport report;
  report.at = options.at;
  const auto address = address::parse_address(value);
  if (!address && !name::host_name_fault(value).empty()) {
    return fail(ErrorCode::invalid_argument, "\"{}\" is neither an address nor a domain", value);
  }
  report.kind = address ? "address" : "domain";
  report.value = address ? to_text(*address) : value;
  for (const store::Observation& observation : observations_) {
    const auto prefix = address::parse_prefix(observation.value);
    const bool covers = address ? prefix && prefix->contains(*address) : observation.value == value;
    if (covers) {
      report.observations.push_back(observation);
      report.listed = report.listed || observation.listed;
    }
  }
  for (const std::string_view text : kNeverBlock) {
    if (address && address::parse_prefix(text).value().contains(*address)) {
      report.protected_by = std::string(text);
    }
  }
  const auto snapshot = snapshots_.find(current_);
  if (!report.listed || !report.protected_by.empty() || snapshot == snapshots_.end()) {
    return report;
  }
  for (const api::ListInfo& list : snapshot->second.lists) {
    const bool carries = std::any_of(
        report.observations.begin(), report.observations.end(), [&](const auto& observation) {
          return observation.listed && std::find(list.feeds.begin(), list.feeds.end(),
                                                 observation.feed) != list.feeds.end();
        });
    if (carries) {
      report.lists.push_back(list.name);
    }
  }
  return report;
}

}  // namespace merlon::tests
