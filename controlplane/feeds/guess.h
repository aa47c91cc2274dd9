// SPDX-License-Identifier: Apache-2.0
// What declaration fits a content, from the content alone (never from a file name): line formats by
// votes of the lines, tables by what their columns hold, JSON by what is at its paths, XML by its
// dialect. Same content, same answer.
#pragma once

#include <optional>
#include <string_view>

#include "controlplane/feeds/declaration.h"
#include "zones/base/error.h"

namespace merlon::feeds {

// `text` is decoded. Errors: unsupported, with the reason: empty, binary, an HTML page, nothing
// that names addresses or hosts.
Result<Declaration> guess(std::string_view text);

// Content that no text format can be, whatever format the operator named. Errors: unsupported.
Status refuse_hopeless(std::string_view content);
bool is_html(std::string_view content);

// A guess that only a definition may say, since it lists what the content does not itself name as
// hostile: the hosts of URLs, what a page or a text mentions.
bool needs_definition(const Declaration& declaration);

// Parts of guess. No value: nothing in it looks like indicators.
std::optional<Declaration> guess_table(std::string_view text);
Result<Declaration> guess_json(std::string_view text);
Result<Declaration> guess_xml(std::string_view text);

}  // namespace merlon::feeds
