// SPDX-License-Identifier: Apache-2.0
#include "controlplane/dnssec/cache.h"

#include <cstring>
#include <map>
#include <mutex>

#include "controlplane/dnssec/sign.h"

namespace merlon::dnssec {
namespace {

class MemoryCache : public SignatureCache {
 public:
  std::vector<std::vector<uint8_t>> get(std::span<const Sha256> keys) override {
    const std::scoped_lock lock(mutex_);
    std::vector<std::vector<uint8_t>> found(keys.size());
    for (size_t i = 0; i < keys.size(); ++i) {
      if (const auto at = signatures_.find(keys[i]); at != signatures_.end()) {
        found[i] = at->second;
      }
    }
    return found;
  }

  void put(std::span<const CachedSignature> signatures) override {
    const std::scoped_lock lock(mutex_);
    for (const CachedSignature& signature : signatures) {
      signatures_[signature.key] = signature.rrsig;
    }
  }

  void forget_expired(int64_t now) override {
    const std::scoped_lock lock(mutex_);
    std::erase_if(signatures_, [now](const auto& entry) {
      return static_cast<int32_t>(validity_of(entry.second).expiration -
                                  static_cast<uint32_t>(now)) < 0;
    });
  }

  std::string trouble() const override { return ""; }

 private:
  std::mutex mutex_;
  std::map<Sha256, std::vector<uint8_t>> signatures_;
};

}  // namespace

std::unique_ptr<SignatureCache> memory_cache() {
  return std::make_unique<MemoryCache>();
}

}  // namespace merlon::dnssec
