// SPDX-License-Identifier: Apache-2.0
// What a device must fulfil before it is stored.
#include <algorithm>

#include "controlplane/store/rules.h"

namespace merlon::store {
namespace {

constexpr size_t kSourceCountMax = 1000;
constexpr size_t kNotifyCountMax = 32;
constexpr size_t kSecretSizeMin = 16;
constexpr size_t kSecretSizeMax = 64;
constexpr size_t kDigestSize = 64;  // hex digits of a SHA-256

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

// Bytes that canonical base64 (RFC 4648 section 4, padded) stands for; 0: it is none.
size_t base64_size(std::string_view text) {
  if (text.empty() || text.size() % 4 != 0) {
    return 0;
  }
  const size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  const std::string_view digits = text.substr(0, text.size() - padding);
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (digits.find_first_not_of(kDigits) != std::string_view::npos) {
    return 0;
  }
  // Bits of the last digit that no byte takes must be zero, so that a secret has one spelling.
  const size_t last = kDigits.find(digits.back());
  if ((padding == 1 && last % 4 != 0) || (padding == 2 && last % 16 != 0)) {
    return 0;
  }
  return text.size() / 4 * 3 - padding;
}

// The secret itself is in no message.
Status check_key(const Device& device) {
  if (device.tsig_algorithm.empty() && device.tsig_secret.empty()) {
    return {};
  }
  if (device.tsig_algorithm != "hmac-sha256" && device.tsig_algorithm != "hmac-sha512") {
    return fail(ErrorCode::invalid_argument,
                "tsig algorithm \"{}\" of device {} is neither hmac-sha256 nor hmac-sha512",
                device.tsig_algorithm.substr(0, 40), device.name);
  }
  const size_t size = base64_size(device.tsig_secret);
  if (size < kSecretSizeMin || size > kSecretSizeMax) {
    return fail(ErrorCode::invalid_argument,
                "tsig secret of device {} is not the base64 of {} to {} bytes", device.name,
                kSecretSizeMin, kSecretSizeMax);
  }
  return {};
}

Status check_notify(const Device& device) {
  if (device.notify.size() > kNotifyCountMax) {
    return fail(ErrorCode::invalid_argument,
                "device {} names {} to notify, at most {} are possible", device.name,
                device.notify.size(), kNotifyCountMax);
  }
  for (const std::string& text : device.notify) {
    const auto target = parse_notify_target(text);
    if (!target) {
      return fail(ErrorCode::invalid_argument,
                  "notify \"{}\" is no address with or without a port: 192.0.2.1, 192.0.2.1:5353, "
                  "2001:db8::1 or [2001:db8::1]:5353",
                  text.substr(0, 60));
    }
    if (std::count(device.notify.begin(), device.notify.end(), text) > 1) {
      return fail(ErrorCode::invalid_argument, "device {} names {} to notify twice", device.name,
                  text);
    }
  }
  return {};
}

Status check_digests(const Device& device) {
  for (const auto& [what, text] :
       {std::pair("certificate", std::string_view(device.certificate)),
        std::pair("token digest", std::string_view(device.token_digest))}) {
    const bool hex = text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
    if (!text.empty() && (text.size() != kDigestSize || !hex)) {
      return fail(ErrorCode::invalid_argument,
                  "{} of device {} is not a SHA-256 as {} lower-case hex digits", what, device.name,
                  kDigestSize);
    }
  }
  return {};
}

}  // namespace

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
  for (Status check : {check_key(device), check_notify(device), check_digests(device)}) {
    if (!check) {
      return check;
    }
  }
  return device.dns_policy.empty() ? Status{} : check_label("dns_policy", device.dns_policy);
}

}  // namespace merlon::store
