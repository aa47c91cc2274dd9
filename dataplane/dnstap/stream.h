// SPDX-License-Identifier: Apache-2.0
// A stream of data frames by the Frame Streams protocol, to a reader on a Unix socket (with its
// handshake: READY, ACCEPT, START, and at the end STOP, FINISH) or into a file (START, STOP).
// libfstrm makes and reads the control frames; the input and output is ours, because its writers
// block for as long as a reader does not read, and a name server must be able to stop.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "zones/base/bytes.h"
#include "zones/base/error.h"

namespace merlon::dnstap {

// Not thread-safe.
class Stream {
 public:
  // "file:/path" or the path of a Unix socket. `wake` becomes readable when all waits shall end.
  Stream(std::string target, int wake);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // Connects and shakes hands, or makes the file; a file with content is kept beside it as PATH.1.
  // Waits a second at most. Errors: io, busy.
  Status open();
  bool is_open() const { return fd_ >= 0; }
  bool is_file() const { return is_file_; }
  // Takes the first bytes of whole frames that it can without waiting, and says how many. After an
  // error the stream is closed.
  Result<size_t> write(Bytes frames);
  // Whether the reader is still there (a socket's that has closed its end is not).
  bool peer_is_there();
  // Ends the stream properly, within about half a second.
  void finish();
  void close();

  const std::string& path() const { return path_; }

 private:
  enum class Control : uint8_t { accept, start, stop, ready, finish };

  Status open_file();
  Status connect();
  Status shake_hands();
  Status send_control(Control type);
  Status receive_control(Control type);
  Status receive_all(uint8_t* out, size_t size);
  // False when time is up or `wake` is readable.
  bool wait_for(short events) const;

  std::string path_;
  bool is_file_;
  int wake_;
  int fd_ = -1;
  uint64_t file_size_ = 0;  // of whole writes
  std::chrono::steady_clock::time_point deadline_;
  bool ignore_wake_ = false;
};

}  // namespace merlon::dnstap
