// SPDX-License-Identifier: Apache-2.0
// Why a line of a feed is not taken. One list gives the enumerator, the name that reports and the
// API use, and the explanation, a predicate that follows the value: "1.2.3 is ...".
// The first seven are address::Fault by the same names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "zones/address/address.h"

namespace merlon::feeds {

#define MERLON_REJECT_REASONS(X)                                                                \
  X(not_an_address, "is not an IP address, prefix or range")                                    \
  X(leading_zero, "has an octet with a leading zero, which may be octal or decimal")            \
  X(octet_too_large, "has an octet above 255")                                                  \
  X(bad_prefix_length, "has a prefix length that is not a number within the address width")     \
  X(bad_netmask, "has a netmask that is not a run of ones followed by zeros")                   \
  X(range_reversed, "is a range whose end is below its start")                                  \
  X(families_differ, "is a range with one IPv4 and one IPv6 end")                               \
  X(short_form, "is a number-like short form, which programs read as different addresses")      \
  X(too_wide, "is wider than an IPv4 /8 or an IPv6 /19, which no feed of threats can mean")     \
  X(unspecified, "covers 0.0.0.0 or ::, the address that stands for no address")                \
  X(bad_port, "has a port that is not a number from 1 to 65535")                                \
  X(two_addresses, "is followed by a second address: range, netmask or columns cannot be told") \
  X(address_not_name, "is an address in a list of names")                                       \
  X(bad_domain, "is not a host name of two or more labels in ASCII")                            \
  X(wildcard, "is a wildcard, which this format does not define")                               \
  X(url, "is a URL; its host may serve others as well")                                         \
  X(path_only, "is a URL path without a host")                                                  \
  X(email, "is an e-mail address")                                                              \
  X(hash, "is a file hash")                                                                     \
  X(defanged, "is written in a defanged form such as 192.0.2[.]1")                              \
  X(comma_columns, "has comma-separated columns; this format takes one value a line")           \
  X(bad_columns, "does not have the tab-separated columns start, end and prefix length")        \
  X(mask_mismatch, "has a start, end and prefix length that do not describe one network")       \
  X(not_a_sinkhole, "does not begin with 0.0.0.0, 127.0.0.1, :: or ::1 as a hosts line does")   \
  X(no_name, "is an address without a name in a hosts file")                                    \
  X(bad_json, "is not a JSON object on one line")                                               \
  X(no_cidr, "is a JSON object without a text member \"cidr\"")                                 \
  X(line_too_long, "is a line of more than 4096 bytes")                                         \
  X(wildcard_mask, "has a wildcard mask such as 0.0.0.255; write a netmask or a prefix length") \
  X(name_not_address, "is a name in a list of addresses")                                       \
  X(url_with_path, "is a URL with a path; its host may serve others as well")                   \
  X(file_name, "looks like the name of a file")                                                 \
  X(other_indicator, "is an indicator of a kind that DNS cannot carry, such as a file")         \
  X(allow_rule, "is an exception or allow rule; such entries belong on an allow list")          \
  X(narrow_rule, "is a rule with options, a path or an element; the name alone says too much")  \
  X(not_a_rule, "is not a rule of this format")                                                 \
  X(other_record, "is a record or directive that blocks nothing")                               \
  X(missing_column, "has fewer columns than the format names")                                  \
  X(open_quote, "has a quotation mark that is not closed")                                      \
  X(no_value, "holds no value where the format says that it is")                                \
  X(not_text, "is a JSON value that is not text")                                               \
  X(bad_pattern, "is a STIX pattern that cannot be read")                                       \
  X(pattern_operator, "is compared by an operator other than =, IN and ISSUBSET")               \
  X(negated, "is excluded by its pattern")                                                      \
  X(observable_only, "is an observation that no indicator calls hostile")                       \
  X(revoked, "is revoked by its source")                                                        \
  X(not_for_detection, "is marked as not for detection (to_ids)")                               \
  X(unknown, "is neither an address nor a name")

enum class RejectReason : uint8_t {
#define MERLON_X(name, text) name,
  MERLON_REJECT_REASONS(MERLON_X)
#undef MERLON_X
};

#define MERLON_X(name, text) +1
inline constexpr size_t kRejectReasonCount = MERLON_REJECT_REASONS(MERLON_X);
#undef MERLON_X

std::string_view to_string(RejectReason reason);  // the enumerator's name
std::string_view explain(RejectReason reason);
std::optional<RejectReason> reject_reason_from_name(std::string_view name);
// A good entry of a kind that is not for DNS, or not for blocking: says nothing against the feed.
bool is_foreign(RejectReason reason);
RejectReason from_fault(address::Fault fault);

}  // namespace merlon::feeds
