// SPDX-License-Identifier: Apache-2.0
// A device's key, as the servers that transfer with it write it down.
#include <fmt/format.h>

#include "tools/merlonctl/client.h"
#include "tools/merlonctl/command.h"
#include "tools/merlonctl/table.h"
#include "tools/merlonctl/text.h"

namespace merlon::merlonctl {

Done run_device_key(const Context& context) {
  const Outcome<Json> answer =
      context.client.get(fmt::format("/v1/devices/{}/key", escaped(context.arg(0))));
  if (!answer) {
    return std::unexpected(answer.error());
  }
  if (context.json) {
    print_json(*answer);
    return {};
  }
  const Json& key = answer->at("key");
  const std::string name = key.at("name").get<std::string>();
  const std::string algorithm = key.at("algorithm").get<std::string>();
  const std::string secret = key.at("secret").get<std::string>();
  print(details_text({{"name", name}, {"algorithm", algorithm}, {"secret", secret}}));
  print(
      fmt::format("\n# named\nkey \"{}\" {{ algorithm {}; secret \"{}\"; }};\n"
                  "\n# Knot\nkey:\n  - id: {}\n    algorithm: {}\n    secret: {}\n"
                  "\n# NSD\nkey:\n  name: \"{}\"\n  algorithm: {}\n  secret: \"{}\"\n",
                  name, algorithm, secret, name, algorithm, secret, name, algorithm, secret));
  return {};
}

}  // namespace merlon::merlonctl
