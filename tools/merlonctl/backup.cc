// SPDX-License-Identifier: Apache-2.0
// A backup of the store, made by the running control plane on its own disk.
#include <fmt/format.h>

#include <filesystem>

#include "tools/merlonctl/client.h"
#include "tools/merlonctl/command.h"
#include "tools/merlonctl/table.h"
#include "tools/merlonctl/text.h"

namespace merlon::merlonctl {

Done run_backup(const Context& context) {
  std::error_code error;
  const std::string directory = std::filesystem::absolute(context.arg(0), error).string();
  if (error) {
    return failed(fmt::format("{}: {}", context.arg(0), error.message()));
  }
  const Outcome<Json> answer = context.client.post("/v1/backups", {{"directory", directory}});
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  const Json& backup = answer->at("backup");
  print(details_text(
      {{"directory", backup.at("directory").get<std::string>()},
       {"backup", fmt::format("{}", backup.at("id").get<uint64_t>())},
       {"bytes", fmt::format("{}", backup.at("size_bytes").get<uint64_t>())},
       {"schema version", fmt::format("{}", backup.at("schema_version").get<uint64_t>())}}));
  say(
      fmt::format("to restore: stop the control plane, move its store away, then "
                  "merlon-controlplane --config FILE --restore {}",
                  directory));
  return {};
}

}  // namespace merlon::merlonctl
