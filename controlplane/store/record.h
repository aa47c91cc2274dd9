// SPDX-License-Identifier: Apache-2.0
// JSON records with a version, for the codecs of this folder.
#pragma once

#include <exception>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "zones/base/error.h"

namespace merlon::store {

inline constexpr int kRecordVersion = 1;

// Parses a versioned record and lets `read` take it apart; whatever does not fit is corruption.
template <class T, class Read>
Result<T> decode_record(std::string_view text, Read read) {
  try {
    const nlohmann::json record = nlohmann::json::parse(text);
    const int version = record.at("version");
    if (version != kRecordVersion) {
      return fail(ErrorCode::unsupported, "record version {}, this program reads version {}",
                  version, kRecordVersion);
    }
    return read(record);
  } catch (const std::exception& error) {
    return fail(ErrorCode::corruption, "record is damaged: {}", error.what());
  }
}

// The strict dump is the one place that tells whether a text is UTF-8.
inline Result<std::string> dump_strictly(const nlohmann::json& record, std::string_view what) {
  try {
    return record.dump();
  } catch (const nlohmann::json::exception&) {
    return fail(ErrorCode::invalid_argument, "{}: a text is not valid UTF-8", what);
  }
}

}  // namespace merlon::store
