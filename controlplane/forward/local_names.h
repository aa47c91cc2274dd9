// SPDX-License-Identifier: Apache-2.0
// Names that mean something only where they are asked (RFC 6303, 6761, 6762, 7686, 7793, 8375,
// 9462, 9476): private reverse zones, localhost, invalid, onion, local, .. They are answered here,
// so that nobody outside learns of a customer's inner names, and the root servers have peace.
#pragma once

#include <optional>
#include <vector>

#include "controlplane/forward/message.h"

namespace merlon::forward {

class LocalNames {
 public:
  // `except`: names that are looked up all the same, with what is below them.
  explicit LocalNames(std::vector<name::Name> except);

  // nullptr: it is none.
  AnswerPointer answer(const Question& question) const;

 private:
  // The zone that the name is in; nullptr: none.
  const name::Name* zone_of(const name::Name& name) const;

  std::vector<name::Name> except_;
  std::vector<name::Name> zones_;  // folded, sorted
};

}  // namespace merlon::forward
