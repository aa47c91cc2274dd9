// SPDX-License-Identifier: Apache-2.0
// How a feed is to be read: a format and its options, as one line of text in the feed's
// definition: "csv; column=3; delimiter=tab; header=yes", "json; path=objects[*].ip",
// "plain; urls=host". Options:
//   type=ip|domain         what is taken; the other is refused and counted
//   urls=bare|host         the host of a URL is taken: when nothing follows it, or always
//   defanged=yes           192.0.2[.]1, name(.)example and the like are read
//   zeros=decimal          192.000.002.001 is read as decimal
//   column=3,name          csv: by number from 1, or by the header's name
//   start= end= prefix=    csv: a range or a prefix in columns of its own
//   delimiter=X            csv: a character, or tab, comma, semicolon, pipe, space
//   where=type:ip|domain   csv: only rows whose column `type` holds one of these
//   expires=column         csv: when the entry ends, as a date or in Unix seconds (UTC)
//   header=yes             csv: the first line names the columns
//   path=a.b[*].c,d[*]     json, ndjson: [*] is each item, * each member, .. any depth
//   take=marked|addresses|all  prose, rss: what is defanged; that and addresses; names as well
//   to_ids=any             misp: also what is not marked for detection
// Names of other tools are understood: netset, cidr and ranges are "plain; type=ip", tsv is
// "csv; delimiter=tab", taxii is stix2.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "controlplane/feeds/parse.h"
#include "zones/base/error.h"

namespace merlon::feeds {

enum class Types : uint8_t { any, ip, domain };
enum class Urls : uint8_t { refuse, bare, host };
enum class Take : uint8_t { marked, addresses, all };
enum class Switch : uint8_t { no, yes };

struct Declaration {
  Format format = Format::plain;
  Types types = Types::any;
  Urls urls = Urls::refuse;
  Switch defanged = Switch::no;
  Switch decimal_zeros = Switch::no;
  std::vector<std::string> columns = {};
  std::string start = {};
  std::string end = {};
  std::string prefix = {};
  std::string where = {};
  std::string expires = {};
  char delimiter = ',';
  Switch header = Switch::no;
  std::vector<std::string> paths = {};
  Take take = Take::addresses;
  Switch any_to_ids = Switch::no;

  bool operator==(const Declaration&) const = default;
};

// Errors: invalid_argument, with what is known.
Result<Declaration> parse_declaration(std::string_view text);
// Reads back as the same declaration; options at their defaults are left out.
std::string to_text(const Declaration& declaration);

}  // namespace merlon::feeds
