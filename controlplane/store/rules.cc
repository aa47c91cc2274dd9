// SPDX-License-Identifier: Apache-2.0
#include "controlplane/store/rules.h"

#include <algorithm>

namespace merlon::store {
namespace {

constexpr size_t kLabelSizeMax = 40;  // leaves room for the number of a split list's part
constexpr size_t kTitleSizeMax = 200;
constexpr size_t kUrlSizeMax = 2048;
constexpr size_t kSourceCountMax = 1000;

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

template <class T>
Status check_between(std::string_view what, T value, T low, T high) {
  if (low <= value && value <= high) {
    return {};
  }
  return fail(ErrorCode::invalid_argument, "{} {} is outside {}..{}", what, value, low, high);
}

Status check_url(std::string_view url) {
  if (url.size() > kUrlSizeMax) {
    return fail(ErrorCode::invalid_argument, "url is longer than {} bytes", kUrlSizeMax);
  }
  const bool printable =
      std::all_of(url.begin(), url.end(), [](char c) { return c > ' ' && c < 0x7f; });
  if (!printable) {
    return fail(ErrorCode::invalid_argument,
                "url holds a blank, control or non-ASCII byte; write it as %XX");
  }
  if (url.starts_with("file:///") && url.size() > 8) {
    return {};
  }
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (url.starts_with(scheme)) {
      const std::string_view rest = url.substr(scheme.size());
      if (rest.empty() || rest.find_first_of("/?#") == 0) {
        return fail(ErrorCode::invalid_argument, "url {} names no host", url);
      }
      return {};
    }
  }
  return fail(ErrorCode::invalid_argument,
              "url \"{}\" does not start with http://, https:// or file:///absolute/path", url);
}

Status check_source(const address::AnyPrefix& source) {
  const bool v4 = source.family == address::Family::v4;
  const int width = v4 ? 32 : 128;
  const bool fits =
      source.length <= width &&
      (v4 ? (source.bits >> 32) == 0 &&
                (source.v4().bits & address::host_mask<address::Bits4>(source.length)) == 0
          : (source.bits & address::host_mask<address::Bits6>(source.length)) == 0);
  if (!fits) {
    return fail(ErrorCode::invalid_argument, "source {} is not a prefix: bits beyond its length",
                address::to_text(source));
  }
  if (!v4 && source.length >= 96 && (source.bits >> 32) == 0xffff) {
    return fail(ErrorCode::invalid_argument,
                "source {} is an IPv4-mapped IPv6 prefix; name the IPv4 prefix",
                address::to_text(source));
  }
  return {};
}

}  // namespace

Status check_label(std::string_view what, std::string_view text) {
  const bool good =
      !text.empty() && text.size() <= kLabelSizeMax && is_alphanumeric(text.front()) &&
      is_alphanumeric(text.back()) &&
      std::all_of(text.begin(), text.end(), [](char c) { return is_alphanumeric(c) || c == '-'; });
  if (good) {
    return {};
  }
  return fail(ErrorCode::invalid_argument,
              "{} \"{}\" is not 1 to {} of a-z, 0-9 and '-', with no '-' at either end", what, text,
              kLabelSizeMax);
}

Status check_definition(const FeedDefinition& definition) {
  const bool plain_title =
      std::all_of(definition.title.begin(), definition.title.end(),
                  [](char c) { return static_cast<unsigned char>(c) >= ' ' && c != 0x7f; });
  if (!plain_title || definition.title.size() > kTitleSizeMax) {
    return fail(ErrorCode::invalid_argument,
                "title is longer than {} bytes or holds a control character", kTitleSizeMax);
  }
  if (static_cast<unsigned>(definition.direction) > static_cast<unsigned>(Direction::allow) ||
      static_cast<unsigned>(definition.tier) > static_cast<unsigned>(Tier::operator_)) {
    return fail(ErrorCode::invalid_argument, "direction or tier has no such value");
  }
  if (definition.format.empty() || definition.format.size() > kLabelSizeMax) {
    return fail(ErrorCode::invalid_argument, "format is empty or too long; \"auto\" is good");
  }
  Status checks[] = {
      check_label("feed id", definition.id),
      check_url(definition.url),
      check_label("category", definition.category),
      check_between<unsigned>("severity", definition.severity, 0, 5),
      check_between<unsigned>("confidence", definition.confidence, 0, 100),
      check_between<uint64_t>("interval_s", definition.interval_s, 60, UINT32_MAX),
      check_between<uint64_t>("timeout_s", definition.timeout_s, 1, 600),
      check_between<uint64_t>("size_max_bytes", definition.size_max_bytes, 1 << 10, 1 << 30),
  };
  for (Status& check : checks) {
    if (!check) {
      return std::move(check);
    }
  }
  return {};
}

Status check_device(const Device& device) {
  if (auto good = check_label("device name", device.name); !good) {
    return good;
  }
  if (auto good = check_label("account", device.account); !good) {
    return good;
  }
  if (static_cast<unsigned>(device.tier) > static_cast<unsigned>(Tier::operator_)) {
    return fail(ErrorCode::invalid_argument, "tier has no such value");
  }
  if (device.sources.size() > kSourceCountMax) {
    return fail(ErrorCode::invalid_argument, "device {} has {} sources, at most {} are possible",
                device.name, device.sources.size(), kSourceCountMax);
  }
  for (size_t i = 0; i < device.sources.size(); ++i) {
    if (auto good = check_source(device.sources[i]); !good) {
      return good;
    }
    for (size_t k = 0; k < i; ++k) {
      if (device.sources[k] == device.sources[i]) {
        return fail(ErrorCode::invalid_argument, "device {} names source {} twice", device.name,
                    address::to_text(device.sources[i]));
      }
    }
  }
  return {};
}

}  // namespace merlon::store
