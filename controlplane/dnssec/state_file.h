// SPDX-License-Identifier: Apache-2.0
// ZoneKeys as JSON: one file a zone, so that a step of a rollover, which changes several keys, is
// written whole or not at all.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "controlplane/dnssec/rollover.h"
#include "zones/base/error.h"
#include "zones/name/name.h"

namespace merlon::dnssec {

std::string to_state_text(const name::Name& apex, const ZoneKeys& zone);
// Errors: corruption, unsupported (a newer version), conflict (another zone's).
Result<ZoneKeys> parse_state(const name::Name& apex, std::string_view text);
// Whose state it is.
std::optional<name::Name> zone_of_state(std::string_view text);

}  // namespace merlon::dnssec
