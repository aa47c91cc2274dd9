// SPDX-License-Identifier: Apache-2.0
// STIX 2 bundles, STIX 1 packages as JSON and MISP events. The document is taken apart object by
// object while it is parsed, so that a large one is never in memory as a tree. What is counted is
// one indicator: a STIX indicator, a MISP attribute, a CybOX object.
#include <algorithm>
#include <array>
#include <functional>
#include <nlohmann/json.hpp>

#include "controlplane/feeds/collector.h"
#include "controlplane/feeds/json_path.h"
#include "controlplane/feeds/lines.h"
#include "controlplane/feeds/stix_pattern.h"
#include "controlplane/feeds/token.h"

namespace merlon::feeds {
namespace {

using nlohmann::json;

std::string text_at(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool is_true(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

// `use` gets each complete object, its depth (the document is 0) and the keys on the way to it, and
// says whether it is done with it.
using ObjectUse = std::function<bool(const json&, int, const std::vector<std::string>&)>;

Status for_each_object(std::string_view text, const ObjectUse& use) {
  std::vector<std::string> keys;
  bool too_deep = false;
  const auto callback = [&](int depth, json::parse_event_t event, json& parsed) {
    if (depth > static_cast<int>(kJsonDepthMax)) {
      too_deep = true;
      return false;
    }
    if (event == json::parse_event_t::key) {
      keys.resize(static_cast<size_t>(depth));
      keys.back() = parsed.get<std::string>();
    }
    if (event != json::parse_event_t::object_end) {
      return true;
    }
    keys.resize(static_cast<size_t>(depth));
    return !use(parsed, depth, keys);
  };
  const json document = json::parse(text.begin(), text.end(), callback, false);
  if (too_deep) {
    return fail(ErrorCode::invalid_argument, "the JSON is nested more than {} levels deep",
                kJsonDepthMax);
  }
  // A discarded document is a malformed one, or one that `use` was done with: only the parser
  // knows.
  if (document.is_discarded() && !json::accept(text.begin(), text.end())) {
    return fail(ErrorCode::invalid_argument,
                "malformed JSON: the feed of {} bytes is truncated or damaged", text.size());
  }
  return {};
}

std::string_view without_mark(std::string_view text) {
  return text.starts_with("\xef\xbb\xbf") ? text.substr(3) : text;
}

// The outcome of one indicator that may hold several values.
class Unit {
 public:
  Unit(Collector& collector, uint64_t number) : collector_(collector), number_(number) {}
  void take(const Read<Value>& value) {
    if (value) {
      collector_.add(*value);
      added_ = true;
    } else {
      refuse(value.error());
    }
  }
  // A fault says more than "of another kind".
  void refuse(RejectReason reason) {
    if (!reason_ || (is_foreign(*reason_) && !is_foreign(reason))) {
      reason_ = reason;
    }
  }
  // An indicator that gave an address and names a file beside it is taken all the same.
  void finish(std::string_view text) {
    if (added_ && (!reason_ || *reason_ == RejectReason::other_indicator)) {
      collector_.take_line();
    } else {
      collector_.reject_line(number_, text, reason_.value_or(RejectReason::no_value));
    }
  }

 private:
  Collector& collector_;
  uint64_t number_;
  bool added_ = false;
  std::optional<RejectReason> reason_;
};

bool holds(const json& object, const char* key, std::string_view word) {
  const auto found = object.find(key);
  return found != object.end() && found->is_array() &&
         std::any_of(found->begin(), found->end(),
                     [&](const json& item) { return item.is_string() && item == word; });
}

bool is_observable(std::string_view type) {
  return type == "ipv4-addr" || type == "ipv6-addr" || type == "domain-name" || type == "url";
}

void read_indicator(const json& object, TokenReader& reader, uint64_t number,
                    Collector& collector) {
  Unit unit(collector, number);
  const std::string pattern = text_at(object, "pattern");
  const std::string language = text_at(object, "pattern_type");
  if (is_true(object, "revoked")) {
    unit.refuse(RejectReason::revoked);
  } else if (holds(object, "indicator_types", "benign") || holds(object, "labels", "benign")) {
    unit.refuse(RejectReason::allow_rule);
  } else if (!language.empty() && language != "stix") {
    unit.refuse(RejectReason::other_indicator);  // YARA, Snort, Sigma
  } else {
    const Read<std::vector<StixTerm>> terms = read_stix_pattern(pattern);
    if (!terms) {
      unit.refuse(terms.error());
    } else {
      for (const StixTerm& term : *terms) {
        // The value of "ref.type = 'ipv4-addr'" is no indicator of its own.
        term.wanted ? unit.take(reader.read(trim(term.value))) : unit.refuse(term.reason);
      }
    }
  }
  unit.finish(pattern);
}

enum class Attribute : uint8_t { ours, pair, ported, other };

Attribute kind_of_attribute(std::string_view type) {
  static constexpr std::array<std::string_view, 8> kOurs = {
      "ip-src", "ip-dst", "domain", "hostname", "url", "uri", "link-url", "ip"};
  if (std::find(kOurs.begin(), kOurs.end(), type) != kOurs.end()) {
    return Attribute::ours;
  }
  if (type == "domain|ip") {
    return Attribute::pair;
  }
  return type == "ip-src|port" || type == "ip-dst|port" || type == "hostname|port"
             ? Attribute::ported
             : Attribute::other;
}

void read_attribute(const json& object, const Declaration& declaration, TokenReader& reader,
                    uint64_t number, Collector& collector) {
  Unit unit(collector, number);
  const std::string type = text_at(object, "type");
  const std::string value = text_at(object, "value");
  const Attribute kind = kind_of_attribute(type);
  const auto ids = object.find("to_ids");
  const bool for_detection = ids == object.end() || !(ids->is_boolean() && !ids->get<bool>());
  const size_t bar = value.find('|');
  if (kind == Attribute::other) {
    unit.refuse(RejectReason::other_indicator);
  } else if (is_true(object, "deleted")) {
    unit.refuse(RejectReason::revoked);
  } else if (!for_detection && declaration.any_to_ids == Switch::no) {
    unit.refuse(RejectReason::not_for_detection);
  } else {
    unit.take(reader.read(trim(std::string_view(value).substr(0, bar))));
    if (kind == Attribute::pair && bar != std::string::npos) {
      unit.take(reader.read(trim(std::string_view(value).substr(bar + 1))));
    }
  }
  unit.finish(fmt::format("{}: {}", type, value));
}

// "value" of CybOX JSON: a text, a list of texts, or {"value": either, "condition": ..}.
void take_cybox(const json& value, TokenReader& reader, Unit& unit) {
  if (value.is_string()) {
    unit.take(reader.read(trim(value.get_ref<const std::string&>())));
  } else if (value.is_array()) {
    for (const json& item : value) {
      if (item.is_string()) {
        unit.take(reader.read(trim(item.get_ref<const std::string&>())));
      }
    }
  }
}

void read_cybox(const json& object, bool in_indicator, TokenReader& reader, uint64_t number,
                Collector& collector) {
  Unit unit(collector, number);
  const std::string type = text_at(object, "xsi:type");
  const char* key = type.ends_with("AddressObjectType")    ? "address_value"
                    : type.ends_with("HostnameObjectType") ? "hostname_value"
                    : type.ends_with("DomainNameObjectType") || type.ends_with("URIObjectType")
                        ? "value"
                        : nullptr;
  const auto found = key == nullptr ? object.end() : object.find(key);
  std::string text = type;
  if (key == nullptr || found == object.end()) {
    unit.refuse(key == nullptr ? RejectReason::other_indicator : RejectReason::no_value);
  } else {
    const json& value =
        found->is_object() && found->contains("value") ? found->at("value") : *found;
    text += value.is_string() ? ": " + value.get<std::string>() : "";
    in_indicator ? take_cybox(value, reader, unit) : unit.refuse(RejectReason::observable_only);
  }
  unit.finish(text);
}

}  // namespace

Result<uint64_t> parse_stix2(std::string_view text, const Declaration& declaration,
                             Collector& collector) {
  TokenReader reader(declaration);
  uint64_t number = 0;
  const Status walked = for_each_object(
      without_mark(text), [&](const json& object, int depth, const std::vector<std::string>&) {
        const std::string type = text_at(object, "type");
        if (type == "indicator" && object.contains("pattern")) {
          read_indicator(object, reader, ++number, collector);
          return true;
        }
        if (is_observable(type) && object.contains("value")) {
          collector.reject_line(++number, text_at(object, "value"), RejectReason::observable_only);
        }
        return depth == 2;
      });
  return walked ? Result<uint64_t>(number) : std::unexpected(walked.error());
}

Result<uint64_t> parse_stix1_json(std::string_view text, const Declaration& declaration,
                                  Collector& collector) {
  TokenReader reader(declaration);
  uint64_t number = 0;
  const Status walked = for_each_object(
      without_mark(text), [&](const json& object, int, const std::vector<std::string>& keys) {
        if (keys.empty() || keys.back() != "properties" || !object.contains("xsi:type")) {
          return false;
        }
        const bool in_indicator = std::find(keys.begin(), keys.end(), "indicator") != keys.end() ||
                                  std::find(keys.begin(), keys.end(), "indicators") != keys.end();
        read_cybox(object, in_indicator, reader, ++number, collector);
        return true;
      });
  return walked ? Result<uint64_t>(number) : std::unexpected(walked.error());
}

Result<uint64_t> parse_misp(std::string_view text, const Declaration& declaration,
                            Collector& collector) {
  TokenReader reader(declaration);
  uint64_t number = 0;
  const Status walked = for_each_object(
      without_mark(text), [&](const json& object, int depth, const std::vector<std::string>& keys) {
        const bool attribute = std::find(keys.begin(), keys.end(), "Attribute") != keys.end() &&
                               object.contains("type") && object.contains("value");
        if (attribute) {
          read_attribute(object, declaration, reader, ++number, collector);
        }
        return attribute || depth > 0;
      });
  return walked ? Result<uint64_t>(number) : std::unexpected(walked.error());
}

}  // namespace merlon::feeds
