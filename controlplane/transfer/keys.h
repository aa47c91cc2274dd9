// SPDX-License-Identifier: Apache-2.0
// Devices as transfers see them: which key is whose, and who is told of changes. Immutable; another
// table takes its place when devices change.
#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "controlplane/dns/socket.h"
#include "controlplane/store/model.h"
#include "controlplane/transfer/tsig.h"
#include "zones/name/name.h"

namespace merlon::transfer {

struct Target {
  dns::Endpoint endpoint{};
  std::string text{};  // address:port
};

// A device with a key or with somebody to tell.
struct Peer {
  uint32_t account = 0;
  uint32_t device = 0;
  std::string name{};
  bool must_sign = false;
  KeyPointer key{};  // nullptr although it must sign: its key cannot be used, so it gets nothing
  std::vector<Target> notify{};
};

class KeyTable {
 public:
  KeyTable() = default;
  // A key is called <device>.<account>.<suffix>. What is wrong with a device is said in faults().
  KeyTable(std::span<const store::Device> devices, const name::Name& suffix);

  KeyPointer find(const name::Name& name) const;  // nullptr: unknown
  const Peer* peer(uint32_t device) const;        // nullptr: neither key nor targets
  const std::vector<Peer>& peers() const { return peers_; }
  const std::vector<std::string>& faults() const { return faults_; }

 private:
  void read_key(const store::Device& device, const name::Name& suffix, Peer& peer);

  std::vector<Peer> peers_;
  std::unordered_map<uint32_t, size_t> by_device_;
  std::unordered_map<std::string, KeyPointer> by_name_;  // folded wire form
  std::vector<std::string> faults_;
};

// The table in force. Thread-safe.
class KeySlot {
 public:
  std::shared_ptr<const KeyTable> get() const {
    const std::lock_guard lock(mutex_);
    return table_;
  }
  void set(std::shared_ptr<const KeyTable> table) {
    const std::lock_guard lock(mutex_);
    table_.swap(table);
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const KeyTable> table_ = std::make_shared<const KeyTable>();
};

// Standard base64 with its padding; false when it is none.
bool from_base64(std::string_view text, std::vector<uint8_t>& out);

}  // namespace merlon::transfer
