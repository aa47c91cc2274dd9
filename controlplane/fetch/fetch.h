// SPDX-License-Identifier: Apache-2.0
// Brings the bytes of a feed. The URL's scheme says how:
//   http, https          conditional requests, compression, redirects within limits
//   ftp, ftps, sftp      sftp: only with the host's key in the credentials
//   taxii+https          a collection of a TAXII 2.1 server: what is new since the last time
//   misp+https, misp+file  a MISP feed's folder: its manifest, and the events that changed
//   rss+https            the enclosures of an RSS or Atom document
//   mbox, maildir        the newest mail of a mailbox: its attachments, else its text
//   pipe:///path         a named pipe that another program writes a list into
//   upload:              what somebody gave us with store_upload()
//   file:///path         a file; file:///path/ with its last slash: all files of a folder, sorted
// Polite (a User-Agent with a contact, Retry-After told to the caller) and suspicious: limits on
// time, speed, redirects and the decoded size; private, loopback and link-local addresses are
// refused when the connection is made, at every redirect, unless the caller allows them; a secret
// goes to the host that it was made for and to no other.
// Blocks until done; safe to call from many threads at once.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/fetch/budget.h"
#include "zones/base/bytes.h"
#include "zones/base/error.h"

namespace merlon::fetch {

// Where a connection may lead.
enum class Hosts : uint8_t { public_only, any };

struct FetchRequest {
  std::string url = {};
  std::string etag = {};           // of the copy at hand; "" when there is none
  std::string last_modified = {};  // of the copy at hand, as the server wrote it
  uint32_t timeout_s = 60;         // for all of it
  uint32_t connect_timeout_s = 15;
  uint64_t size_max_bytes = 64 << 20;  // after decompression
  std::string contact = {};      // e-mail or URL in the User-Agent; some publishers ask for it
  std::string credentials = {};  // credentials.h
  Hosts hosts = Hosts::public_only;
  std::string proxy = {};   // "http://host:port"; it resolves names, so `hosts` is its matter
  std::string accept = {};  // media type to ask for; "": any
  // A folder of this feed's own, for transports that bring changes only; "": nothing is kept.
  std::string directory = {};
  MemoryBudget* memory = nullptr;  // shared by all who fetch at the same time
  // When set and true, a transfer ends within about a second.
  const std::atomic<bool>* stop = nullptr;
};

struct FetchResult {
  enum class Outcome : uint8_t { content, not_modified };
  Outcome outcome = Outcome::content;
  std::vector<uint8_t> body;
  std::string etag;  // to send with the next request; for a file, its inode, size and times
  std::string last_modified;
  long status = 0;  // the HTTP status; 0 for a file
  // What of it could not be had, one sentence each; the rest is there all the same.
  std::vector<std::string> notes = {};
  MemoryBudget::Share memory{};  // of the body; let go when the body is
};

// What a server that sent nothing said all the same.
struct Advice {
  int64_t retry_after_s = 0;  // do not ask again before; 0: it did not say
};

// Errors name the URL (without credentials and query) and say what to do: invalid_argument (the
// URL, its host's address, or content above size_max_bytes), not_found (404, 410, no such file),
// busy (429, 503 and such, or *stop: try later), io (everything else that went wrong on the way).
Result<FetchResult> fetch(const FetchRequest& request, Advice* advice = nullptr);

// Content for a feed with the URL "upload:", kept in the request's directory. Errors:
// invalid_argument (another URL, or larger than size_max_bytes), io.
Status store_upload(const FetchRequest& request, Bytes content);

// invalid_argument when no feed can come from there.
Status check_source(std::string_view url, std::string_view credentials);

// The URL without user, password, query and fragment, fit for logs.
std::string url_for_display(std::string_view url);

}  // namespace merlon::fetch
