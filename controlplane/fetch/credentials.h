// SPDX-License-Identifier: Apache-2.0
// How we show who we are to a feed's host, and how we know the host, as one line of text in the
// feed's definition; several statements have ; between them:
//   header NAME file:PATH         http: a header whose value is the file's first line
//   basic USER file:PATH          http, ftp, sftp: a name and the password in the file
//   certificate CERT KEY          https, ftps: PEM files of a client certificate
//   key USER PATH                 sftp: a private key
//   host SHA256:BASE64            sftp: the fingerprint of the host's key, as ssh-keygen -l shows
//   it
// Secrets are in files that only their owner may read, so that they are in no definition, no
// backup of the store, no log line and no answer of the API.
#pragma once

#include <string>
#include <string_view>

#include "zones/base/error.h"

namespace merlon::fetch {

struct Credentials {
  std::string header_name = {};
  std::string header_file = {};
  std::string user = {};
  std::string password_file = {};
  std::string certificate_file = {};
  std::string key_file = {};  // of the certificate, or of `user` for sftp
  std::string host_key = {};  // base64

  bool empty() const { return *this == Credentials{}; }
  bool operator==(const Credentials&) const = default;
};

// "" is no credentials. Errors: invalid_argument, with what would be right. No file is opened.
Result<Credentials> parse_credentials(std::string_view text);

// The first line of a secret's file. Errors: not_found, io, invalid_argument (others may read it,
// it is empty, longer than 4096 bytes or holds control characters); none shows what is in it.
Result<std::string> read_secret(const std::string& path);

// invalid_argument or not_found when others than the owner may read the file.
Status check_private(const std::string& path);

}  // namespace merlon::fetch
