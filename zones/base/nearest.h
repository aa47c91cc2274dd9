// SPDX-License-Identifier: Apache-2.0
// "Did you mean ..?": the known word that an unknown one was most likely meant to be.
#pragma once

#include <span>
#include <string_view>

namespace merlon {

// The candidate with the smallest Damerau edit distance (a swap of neighbours counts as one) when
// that is at most a third of the longer word, rounded up; the first of equals; else "".
std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace merlon
