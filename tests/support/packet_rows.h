// SPDX-License-Identifier: Apache-2.0
// Query in, reply out, byte for byte: the rows that unit tests, the data plane's loop, the DNS
// server over TCP and the fuzz corpora share. All rows are asked of make_fixture().
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/snapshot_fixture.h"
#include "zones/answer/answer.h"

namespace merlon::tests {

struct PacketRow {
  std::string description;
  std::vector<uint8_t> query;
  std::string source = "192.0.2.10";
  answer::Transport transport = answer::Transport::udp;
  answer::Outcome outcome = answer::Outcome::answered;
  // Hex with words: Q is the question as it was asked, OPT an empty OPT record, SOA(xxxx) the SOA
  // of merlon.internal. behind the pointer xxxx, DO an empty OPT record with DO set. Empty: no
  // reply.
  std::string reply;
  size_t room = 65535;  // size of the reply's buffer
};

std::vector<PacketRow> packet_rows();
// Rows asked of a server with row_identity(), which is "ns1" and runs version "m2".
std::vector<PacketRow> identity_rows();
const answer::Identity& row_identity();
std::vector<uint8_t> expected_reply(const PacketRow& row);
// The bytes of hex digits; blanks between bytes are skipped. REQUIRES: well-formed.
std::vector<uint8_t> from_hex_text(std::string_view text);

}  // namespace merlon::tests
