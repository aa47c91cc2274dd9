// SPDX-License-Identifier: Apache-2.0
// merlon-feed-sets: lists of addresses, prefixes, ranges and names in, one sorted and merged set
// out. See kHelp.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>

#include "tools/feed_sets/sets.h"

namespace merlon::feed_sets {
namespace {

constexpr const char* kHelp =
    "merlon-feed-sets [--cidr|--ranges|--single] [--strict] [union|except|common] [FILE..]\n"
    "  Reads lists (one address, prefix, range or host name a line) and writes one sorted, merged\n"
    "  set. Without a FILE, and for the FILE \"-\", standard input is read.\n"
    "  union    what any of them holds (the default)\n"
    "  except   what the first holds and none of the others\n"
    "  common   what all of them hold\n"
    "  --cidr   prefixes (the default)   --ranges  first-last   --single  every address\n"
    "  --strict lines that cannot be read are an error, not only counted\n";

enum class Verb : unsigned char { unite, except, common };

struct Options {
  Form form = Form::cidr;
  Verb verb = Verb::unite;
  bool strict = false;
  std::vector<std::string> files;
};

// The bytes of a file or of standard input; mapped where that is possible.
class Content {
 public:
  Content() = default;
  Content(const Content&) = delete;
  Content& operator=(const Content&) = delete;
  ~Content() {
    if (mapped_ != nullptr) {
      ::munmap(mapped_, mapped_size_);
    }
  }
  Status read(const std::string& file);
  std::string_view text() const {
    return mapped_ != nullptr ? std::string_view(static_cast<const char*>(mapped_), mapped_size_)
                              : std::string_view(read_.data(), read_.size());
  }

 private:
  Status read_all(int descriptor, const std::string& file);

  void* mapped_ = nullptr;
  size_t mapped_size_ = 0;
  std::vector<char> read_;
};

Status Content::read_all(int descriptor, const std::string& file) {
  size_t used = 0;
  read_.resize(1 << 20);
  while (true) {
    if (used == read_.size()) {
      read_.resize(read_.size() * 2);
    }
    const ssize_t size = ::read(descriptor, read_.data() + used, read_.size() - used);
    if (size < 0 && errno != EINTR) {
      return fail_errno(fmt::format("read {}", file), errno);
    }
    if (size == 0) {
      read_.resize(used);
      return {};
    }
    used += size > 0 ? static_cast<size_t>(size) : 0;
  }
}

Status Content::read(const std::string& file) {
  const bool standard = file == "-";
  const int descriptor = standard ? STDIN_FILENO : ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    return fail_errno(fmt::format("open {}", file), errno);
  }
  struct stat info{};
  Status status;
  const bool regular = ::fstat(descriptor, &info) == 0 && S_ISREG(info.st_mode) &&
                       info.st_size > 0 && ::lseek(descriptor, 0, SEEK_CUR) == 0;
  if (regular) {
    mapped_size_ = static_cast<size_t>(info.st_size);
    mapped_ = ::mmap(nullptr, mapped_size_, PROT_READ, MAP_PRIVATE | MAP_POPULATE, descriptor, 0);
    mapped_ = mapped_ == MAP_FAILED ? nullptr : mapped_;
  }
  if (mapped_ == nullptr) {
    status = read_all(descriptor, standard ? "standard input" : file);
  }
  if (!standard) {
    ::close(descriptor);
  }
  return status;
}

std::optional<Options> parse(int argc, char** argv) {
  Options options;
  bool verb_seen = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const bool verb = word == "union" || word == "except" || word == "common";
    if (word == "--cidr" || word == "--ranges" || word == "--single") {
      options.form = word == "--cidr"     ? Form::cidr
                     : word == "--ranges" ? Form::ranges
                                          : Form::single;
    } else if (word == "--strict") {
      options.strict = true;
    } else if (verb && !verb_seen && options.files.empty()) {
      verb_seen = true;
      options.verb = word == "union" ? Verb::unite : word == "except" ? Verb::except : Verb::common;
    } else if (word.starts_with("--")) {
      return std::nullopt;
    } else {
      options.files.emplace_back(word);
    }
  }
  if (options.files.empty()) {
    options.files.emplace_back("-");
  }
  return options;
}

int run(const Options& options) {
  std::optional<Sets> result;
  bool refused = false;
  for (const std::string& file : options.files) {
    Content content;
    const Status read = content.read(file);
    if (!read) {
      std::fprintf(stderr, "merlon-feed-sets: %s\n", read.error().message.c_str());
      return 1;
    }
    ReadReport report;
    Sets sets = read_sets(content.text(), report);
    if (report.refused_count > 0) {
      refused = true;
      std::fprintf(stderr, "merlon-feed-sets: %s: %llu lines not read; first: %s\n", file.c_str(),
                   static_cast<unsigned long long>(report.refused_count),
                   report.first_refused.c_str());
    }
    result = !result                        ? std::move(sets)
             : options.verb == Verb::unite  ? result->united(sets)
             : options.verb == Verb::except ? result->minus(sets)
                                            : result->intersected(sets);
  }
  if (refused && options.strict) {
    return 1;
  }
  const Status written = write_sets(*result, options.form, STDOUT_FILENO);
  if (!written) {
    std::fprintf(stderr, "merlon-feed-sets: %s\n", written.error().message.c_str());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace merlon::feed_sets

int main(int argc, char** argv) {
  const bool help = argc == 2 && std::strcmp(argv[1], "--help") == 0;
  const auto options = merlon::feed_sets::parse(argc, argv);
  if (help || !options) {
    std::fputs(merlon::feed_sets::kHelp, help ? stdout : stderr);
    return help ? 0 : 2;
  }
  return merlon::feed_sets::run(*options);
}
