// SPDX-License-Identifier: Apache-2.0
#include "controlplane/transfer/keys.h"

#include <openssl/evp.h>

#include <fmt/format.h>

#include "controlplane/zonefile/transfer.h"

namespace merlon::transfer {

bool from_base64(std::string_view text, std::vector<uint8_t>& out) {
  if (text.empty() || text.size() % 4 != 0) {
    return false;
  }
  out.resize(text.size() / 4 * 3);
  const int size = EVP_DecodeBlock(out.data(), reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  const size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  if (size < 0 || static_cast<size_t>(size) < padding) {
    return false;
  }
  out.resize(static_cast<size_t>(size) - padding);
  return !out.empty();
}

KeyTable::KeyTable(std::span<const store::Device> devices, const name::Name& suffix) {
  for (const store::Device& device : devices) {
    if (device.tsig_algorithm.empty() && device.notify.empty()) {
      continue;
    }
    Peer peer{.account = device.account_number, .device = device.number, .name = device.name};
    if (!device.tsig_algorithm.empty()) {
      read_key(device, suffix, peer);
    }
    for (const std::string& text : device.notify) {
      const auto parsed = zonefile::Primary::from_text(text);
      if (!parsed) {
        faults_.push_back(
            fmt::format("device {}: notify: {}", device.name, parsed.error().message));
        continue;
      }
      peer.notify.push_back({.endpoint = {.address = parsed->address, .port = parsed->port},
                             .text = parsed->to_text()});
    }
    by_device_[peer.device] = peers_.size();
    peers_.push_back(std::move(peer));
  }
}

void KeyTable::read_key(const store::Device& device, const name::Name& suffix, Peer& peer) {
  peer.must_sign = true;
  const auto algorithm = algorithm_of(device.tsig_algorithm);
  const auto name =
      name::Name::from_text(fmt::format("{}.{}.{}", device.name, device.account, suffix.to_text()));
  auto key = std::make_shared<Key>();
  if (!algorithm || !name || !from_base64(device.tsig_secret, key->secret)) {
    faults_.push_back(fmt::format(
        "device {}: its TSIG key cannot be used, so it is given no transfer: {}", device.name,
        !algorithm ? "the algorithm is neither hmac-sha256 nor hmac-sha512"
        : !name    ? "its name is too long"
                   : "the secret is not base64"));
    return;
  }
  key->name = name->folded();
  key->algorithm = *algorithm;
  key->account = device.account_number;
  key->device = device.number;
  peer.key = key;
  by_name_[std::string(as_text(key->name.wire()))] = key;
}

KeyPointer KeyTable::find(const name::Name& name) const {
  const name::Name folded = name.folded();
  const auto found = by_name_.find(std::string(as_text(folded.wire())));
  return found == by_name_.end() ? nullptr : found->second;
}

const Peer* KeyTable::peer(uint32_t device) const {
  const auto found = by_device_.find(device);
  return found == by_device_.end() ? nullptr : &peers_[found->second];
}

}  // namespace merlon::transfer
