// SPDX-License-Identifier: Apache-2.0
#include "controlplane/api/observe.h"

#include <algorithm>
#include <map>
#include <utility>

namespace merlon::api {
namespace {

using Key = std::pair<uint32_t, uint32_t>;  // account and device by number

struct Names {
  std::string account;
  std::string device;
};

// The data plane's last snapshot may name a device that was removed a moment ago.
Names names_of(const std::map<Key, Names>& known, Key key) {
  const auto found = known.find(key);
  return found != known.end()
             ? found->second
             : Names{fmt::format("#{}", key.first), fmt::format("#{}", key.second)};
}

ErrorCode code_of(std::string_view text) {
  for (const ErrorCode code :
       {ErrorCode::not_found, ErrorCode::invalid_argument, ErrorCode::corruption, ErrorCode::io,
        ErrorCode::busy, ErrorCode::unsupported, ErrorCode::conflict}) {
    if (to_string(code) == text) {
      return code;
    }
  }
  return ErrorCode::internal;
}

// Texts beside Unix seconds, as everywhere in this API.
Json with_time(Json numbers) {
  numbers["last_seen"] = time_to_json(numbers.value("last_seen_unix_s", int64_t{0}));
  return numbers;
}

}  // namespace

Result<Json> ask_dataplane(Operations& operations, const std::string& command) {
  const Result<std::string> said = operations.dataplane(command);
  if (!said) {
    return std::unexpected(said.error());
  }
  Json json = Json::parse(*said, nullptr, false);
  if (json.is_discarded()) {
    return fail(ErrorCode::internal, "the data plane's answer to \"{}\" is not JSON", command);
  }
  if (json.is_object() && json.contains("error") && json["error"].is_object()) {
    const Json& error = json["error"];
    return fail(code_of(error.value("code", "")), "the data plane: {}",
                error.value("message", "it gives no reason"));
  }
  return json;
}

Result<Json> subjects_json(Operations& operations, const SubjectsWanted& wanted) {
  const auto devices = operations.devices();
  const auto activity = operations.activity();
  if (!devices || !activity) {
    return std::unexpected(devices ? activity.error() : devices.error());
  }
  std::string command = fmt::format("subjects {}", wanted.count_max);
  std::map<Key, Names> names;
  bool account_known = wanted.account.empty();
  for (const store::Device& device : *devices) {
    names[{device.account_number, device.number}] = {device.account, device.name};
    if (!account_known && device.account == wanted.account) {
      account_known = true;
      command += fmt::format(" {}", device.account_number);
    }
  }
  if (!account_known) {
    return fail(ErrorCode::not_found, "no device belongs to an account \"{}\"", wanted.account);
  }
  Result<Json> said = ask_dataplane(operations, command);
  if (!said) {
    return said;
  }
  if (!said->is_object() || !said->contains("subjects") || !said->contains("shared")) {
    return fail(ErrorCode::internal,
                "the data plane's answer to \"{}\" names no subjects; is it of this version?",
                command);
  }
  std::map<Key, SubjectQueries> tcp;
  for (const SubjectQueries& subject : activity->tcp_subjects) {
    SubjectQueries& sum = tcp[{subject.account, subject.device}];
    sum.queries += subject.queries;
    sum.last = std::max(sum.last, subject.last);
  }
  Json rows = Json::array();
  for (Json& row : said->at("subjects")) {
    const Key key{row.at("account").get<uint32_t>(), row.at("device").get<uint32_t>()};
    const Names name = names_of(names, key);
    const uint64_t truncated = row.at("truncated").get<uint64_t>();
    const SubjectQueries over_tcp = tcp.contains(key) ? tcp[key] : SubjectQueries{};
    const uint64_t came = over_tcp.queries;
    Json out{{"account", name.account},
             {"device", name.device},
             {"account_number", key.first},
             {"device_number", key.second}};
    row.erase("account");
    row.erase("device");
    out.update(with_time(std::move(row)));
    out["tcp_queries"] = came;
    out["tcp_last_seen"] = time_to_json(over_tcp.last);
    out["never_came_back"] = truncated > came ? truncated - came : 0;
    rows.push_back(std::move(out));
  }
  return Json{{"subject_count", said->at("subject_count")},
              {"without_slot", said->at("without_slot")},
              {"subjects", std::move(rows)},
              {"shared", with_time(said->at("shared"))},
              {"gone", with_time(said->at("gone"))}};
}

}  // namespace merlon::api
