// SPDX-License-Identifier: Apache-2.0
// What may come back for the frames that were sent. Each sent frame is read by the tests' second
// frame parser; a reply must belong to one that it reads as a DNS query, once, and be right in its
// headers, its form and its size.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/soak/mutate.h"
#include "tests/support/reference_frame.h"
#include "zones/base/bytes.h"

namespace merlon::soak {

struct Counts {
  uint64_t queries = 0;      // that a server may answer
  uint64_t responses = 0;    // QR set
  uint64_t short_ones = 0;   // less than a header
  uint64_t frame_drops = 0;  // to our port, and broken
  uint64_t not_ours = 0;
  uint64_t replies = 0;    // judged
  uint64_t loosely = 0;    // of them by their headers only: two queries had the same key
  uint64_t to_others = 0;  // answers to other clients beside us
  uint64_t arp = 0;        // from here on what the kernel sends
  uint64_t icmp = 0;
  uint64_t other_ip = 0;
  uint64_t rcodes[16] = {};
};

struct Violation {
  std::string what;
  Buffer reply;
  std::vector<Buffer> sent;  // frames that it may be for
};

// Queries by key, remembered for as long as two generations last.
class Ledger {
 public:
  struct Entry {
    uint64_t key = 0;  // 0: free
    uint64_t number = 0;
    bool is_shared = false;  // another query had the same key
    bool is_answered = false;
  };

  Ledger();
  void add(uint64_t key, uint64_t number);
  Entry* find(uint64_t key);

 private:
  static constexpr size_t kSize = size_t{1} << 22;
  static Entry& place(std::vector<Entry>& entries, uint64_t key);

  std::vector<Entry> now_;
  std::vector<Entry> before_;
  size_t used_ = 0;
};

class Judge {
 public:
  struct Options {
    Place place{};
    uint16_t udp_size_max = 1232;
    std::vector<address::Address> bystanders{};  // real clients that ask meanwhile
    size_t violations_kept = 20;
  };

  Judge(const FrameMaker& maker, Options options);

  void sent(uint64_t number, Bytes frame);
  void received(Bytes frame);

  const Counts& counts() const { return counts_; }
  uint64_t violation_count() const { return violation_count_; }
  const std::vector<Violation>& violations() const { return violations_; }

 private:
  void judge_reply(Bytes frame, const tests::ReferenceFrame& reply, Ledger::Entry& entry);
  std::string message_fault(const tests::ReferenceFrame& query, Bytes reply) const;
  void violation(std::string what, Bytes reply, std::vector<Buffer> sent);
  // Of the last frames, those that came from this port with this id.
  std::vector<Buffer> candidates(unsigned port, unsigned id) const;
  bool is_stranger(const address::Address& source) const;

  const FrameMaker& maker_;
  Options options_;
  frame::Filter filter_;
  Ledger ledger_;
  Counts counts_;
  Buffer query_;
  uint64_t last_number_ = 0;
  uint64_t violation_count_ = 0;
  std::vector<Violation> violations_;
};

}  // namespace merlon::soak
