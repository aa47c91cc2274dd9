// SPDX-License-Identifier: Apache-2.0
// STIX 1 and OpenIOC, RSS and Atom, by pugixml, which resolves no entities but the five of XML: a
// document that nests them a billion times over is a few bytes of text here. Elements are known by
// their names without prefixes, since the prefixes of real files are not to be relied on.
#include <algorithm>
#include <array>
#include <functional>
#include <pugixml.hpp>

#include "controlplane/feeds/collector.h"
#include "controlplane/feeds/lines.h"
#include "controlplane/feeds/prose.h"
#include "controlplane/feeds/token.h"

namespace merlon::feeds {
namespace {

using pugi::xml_node;

std::string_view local(std::string_view name) {
  const size_t colon = name.rfind(':');
  return colon == name.npos ? name : name.substr(colon + 1);
}

// In the order of the document, without recursion: depth costs nothing.
void for_each_element(const xml_node& root, const std::function<void(const xml_node&)>& use) {
  xml_node node = root.first_child();
  while (node) {
    if (node.type() == pugi::node_element) {
      use(node);
    }
    if (node.first_child()) {
      node = node.first_child();
      continue;
    }
    while (node && node != root && !node.next_sibling()) {
      node = node.parent();
    }
    node = !node || node == root ? xml_node() : node.next_sibling();
  }
}

bool is_inside(xml_node node, std::string_view name) {
  for (node = node.parent(); node; node = node.parent()) {
    if (local(node.name()) == name) {
      return true;
    }
  }
  return false;
}

std::string_view attribute(const xml_node& node, std::string_view name) {
  for (const pugi::xml_attribute& item : node.attributes()) {
    if (local(item.name()) == name) {
      return item.value();
    }
  }
  return "";
}

xml_node child(const xml_node& node, std::string_view name) {
  for (const xml_node& item : node.children()) {
    if (local(item.name()) == name) {
      return item;
    }
  }
  return {};
}

std::string text_of(const xml_node& node) {
  std::string text;
  for (const xml_node& item : node.children()) {
    if (item.type() == pugi::node_pcdata || item.type() == pugi::node_cdata) {
      text += item.value();
    }
  }
  return text;
}

std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> items;
  constexpr std::string_view kComma = "##comma##";
  while (true) {
    const size_t comma = text.find(kComma);
    const std::string_view item = trim(text.substr(0, comma));
    if (!item.empty()) {
      items.emplace_back(item);
    }
    if (comma == text.npos) {
      return items;
    }
    text.remove_prefix(comma + kComma.size());
  }
}

class XmlReader {
 public:
  XmlReader(const Declaration& declaration, Collector& collector)
      : reader_(declaration), prose_(declaration, collector), collector_(collector) {}
  uint64_t stix1(const xml_node& document);
  uint64_t openioc(const xml_node& document);
  uint64_t rss(const xml_node& document);

 private:
  void refuse(std::string_view text, RejectReason reason) {
    collector_.reject_line(++number_, text, reason);
  }
  void take_all(const std::vector<std::string>& values, std::string_view text);

  TokenReader reader_;
  ProseReader prose_;
  Collector& collector_;
  uint64_t number_ = 0;
};

void XmlReader::take_all(const std::vector<std::string>& values, std::string_view text) {
  std::optional<RejectReason> reason;
  if (values.empty()) {
    reason = RejectReason::no_value;
  }
  for (const std::string& item : values) {
    const Read<Value> value = reader_.read(item);
    if (value) {
      collector_.add(*value);
    } else {
      reason = reason.value_or(value.error());
    }
  }
  ++number_;
  reason ? collector_.reject_line(number_, text, *reason) : collector_.take_line();
}

uint64_t XmlReader::stix1(const xml_node& document) {
  for_each_element(document, [&](const xml_node& node) {
    if (local(node.name()) != "Properties") {
      return;
    }
    const std::string_view type = local(attribute(node, "type"));
    const std::string_view element = type == "AddressObjectType"    ? "Address_Value"
                                     : type == "HostnameObjectType" ? "Hostname_Value"
                                     : type == "DomainNameObjectType" || type == "URIObjectType"
                                         ? "Value"
                                         : "";
    const xml_node value = element.empty() ? xml_node() : child(node, element);
    const std::string text = text_of(value);
    const std::string_view condition = attribute(value, "condition");
    if (element.empty()) {
      refuse(type, RejectReason::other_indicator);
    } else if (attribute(node, "category") == "e-mail") {
      refuse(text, RejectReason::email);
    } else if (!is_inside(node, "Indicator")) {
      refuse(text, RejectReason::observable_only);
    } else if (!condition.empty() && condition != "Equals") {
      refuse(text,
             condition == "DoesNotEqual" ? RejectReason::negated : RejectReason::pattern_operator);
    } else {
      take_all(split_list(text), text);
    }
  });
  return number_;
}

bool is_network_search(std::string_view search) {
  static constexpr std::array<std::string_view, 12> kSearches = {
      "Network/DNS",        "DnsEntryItem/Host",       "DnsEntryItem/RecordName",
      "PortItem/remoteIP",  "Network/RemoteIP",        "RouteEntryItem/Destination",
      "Network/URI",        "UrlHistoryItem/HostName", "DnsEntryItem/RecordData/Host",
      "UrlHistoryItem/URL", "PortItem/RemoteIP",       "DnsEntryItem/RecordData/IPv4Address"};
  return std::find(kSearches.begin(), kSearches.end(), search) != kSearches.end();
}

uint64_t XmlReader::openioc(const xml_node& document) {
  for_each_element(document, [&](const xml_node& node) {
    if (local(node.name()) != "IndicatorItem") {
      return;
    }
    const std::string_view search = attribute(child(node, "Context"), "search");
    const std::string_view condition = attribute(node, "condition");
    // Some exporters leave the content empty and put the value into the item's id.
    const std::string content(trim(text_of(child(node, "Content"))));
    const std::string value = content.empty() ? std::string(attribute(node, "id")) : content;
    if (!is_network_search(search)) {
      refuse(fmt::format("{}: {}", search, value), RejectReason::other_indicator);
    } else if (attribute(node, "negate") == "true" || condition == "isnot") {
      refuse(value, RejectReason::negated);
    } else if (!condition.empty() && condition != "is" && condition != "contains") {
      refuse(value, RejectReason::pattern_operator);
    } else {
      take_all({value}, value);
    }
  });
  return number_;
}

uint64_t XmlReader::rss(const xml_node& document) {
  static constexpr std::array<std::string_view, 5> kTexts = {"title", "description", "summary",
                                                             "content", "encoded"};
  for_each_element(document, [&](const xml_node& node) {
    const std::string_view name = local(node.name());
    if (name != "item" && name != "entry") {
      return;
    }
    std::string text;
    for (const xml_node& part : node.children()) {
      if (std::find(kTexts.begin(), kTexts.end(), local(part.name())) != kTexts.end()) {
        text += text_of_html(text_of(part)) + " ";
      }
    }
    std::replace(text.begin(), text.end(), '\n', ' ');
    prose_.read(++number_, text);
  });
  return number_;
}

}  // namespace

Result<uint64_t> parse_xml(std::string_view text, const Declaration& declaration,
                           Collector& collector) {
  pugi::xml_document document;
  const pugi::xml_parse_result parsed =
      document.load_buffer(text.data(), text.size(),
                           pugi::parse_default | pugi::parse_ws_pcdata_single, pugi::encoding_utf8);
  if (!parsed) {
    return fail(ErrorCode::invalid_argument,
                "malformed XML at byte {} of {}: {}; the feed is truncated or damaged",
                parsed.offset, text.size(), parsed.description());
  }
  XmlReader xml(declaration, collector);
  switch (declaration.format) {
    case Format::stix1:
      return xml.stix1(document);
    case Format::openioc:
      return xml.openioc(document);
    default:
      return xml.rss(document);
  }
}

}  // namespace merlon::feeds
