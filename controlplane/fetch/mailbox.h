// SPDX-License-Identifier: Apache-2.0
// The newest mail of a mailbox, for lists that are sent by mail: mbox:///path, a file with one mail
// behind the other, and maildir:///path, a folder with new/ and cur/. Newest is what was delivered
// last, not what a sender dates last. ?from=lists@host&subject=text tells a list's mail from
// others: `from` is the whole address or @domain, `subject` a part of it. Anybody can write any
// From: let the mail server refuse forgeries (SPF, DKIM) before it delivers into this mailbox.
#pragma once

#include "controlplane/fetch/fetch.h"

namespace merlon::fetch {

Result<FetchResult> fetch_mbox(const FetchRequest& request);
Result<FetchResult> fetch_maildir(const FetchRequest& request);

}  // namespace merlon::fetch
