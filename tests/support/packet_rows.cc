// SPDX-License-Identifier: Apache-2.0
#include "tests/support/packet_rows.h"

#include <algorithm>
#include <sstream>

#include "zones/base/assert.h"
#include "zones/wire/wire.h"

namespace merlon::tests {
namespace {

using answer::Outcome;
using answer::Transport;
using Buffer = std::vector<uint8_t>;

// Apex merlon.internal., its name server, mailbox and numbers; TTL 60.
constexpr std::string_view kSoa =
    "0006 0001 0000003c 0044"
    "026e73 066d65726c6f6e08696e7465726e616c00"
    "0a686f73746d6173746572 066d65726c6f6e08696e7465726e616c00"
    "00000001 00000e10 00000258 00015180 0000003c";

Buffer ask(std::string_view name, uint16_t type = 1) {
  return make_query({.name = name, .type = type});
}

Buffer ask_edns(std::string_view name, uint16_t type = 1, uint16_t payload = 1232) {
  return make_query({.name = name, .type = type, .edns = true, .payload = payload});
}

Buffer with_byte(Buffer message, size_t at, uint8_t value) {
  message.at(at) = value;
  return message;
}

Buffer with_tail(Buffer message, std::string_view hex) {
  const Buffer tail = from_hex_text(hex);
  message.insert(message.end(), tail.begin(), tail.end());
  return message;
}

Buffer cut_to(Buffer message, size_t size) {
  MERLON_ASSERT(size <= message.size());
  message.resize(size);
  return message;
}

Buffer with_case(Buffer message, std::string_view pattern) {
  // The name starts behind the header; length bytes are no letters.
  for (size_t i = 0; i < pattern.size(); ++i) {
    message.at(wire::kHeaderSize + i) = static_cast<uint8_t>(pattern[i]);
  }
  return message;
}

void add_answers(std::vector<PacketRow>& rows) {
  const std::string tiny = "c00c 0001 0001 0000012c 0004 c0000235";
  const std::string head = "1234 8500 0001 0001 0000 0000 Q ";
  rows.insert(
      rows.end(),
      {{"a record", ask("tiny.merlon.internal."), "192.0.2.10", Transport::udp, Outcome::answered,
        head + tiny},
       {"edns gets opt", ask_edns("tiny.merlon.internal."), "192.0.2.10", Transport::udp,
        Outcome::answered, "1234 8500 0001 0001 0000 0001 Q " + tiny + "OPT"},
       {"do is echoed",
        make_query({.name = "tiny.merlon.internal.", .edns = true, .dnssec_ok = true}),
        "192.0.2.10", Transport::udp, Outcome::answered,
        "1234 8500 0001 0001 0000 0001 Q " + tiny + "DO"},
       {"unknown option and a cookie are ignored",
        make_query({.name = "tiny.merlon.internal.",
                    .edns = true,
                    .options = from_hex_text("000a 0008 0102030405060708 fde9 0000")}),
        "192.0.2.10", Transport::udp, Outcome::answered,
        "1234 8500 0001 0001 0000 0001 Q " + tiny + "OPT"},
       {"edns flags other than do are not echoed",
        with_byte(with_byte(ask_edns("tiny.merlon.internal."), 45, 0x7f), 46, 0xff), "192.0.2.10",
        Transport::udp, Outcome::answered, "1234 8500 0001 0001 0000 0001 Q " + tiny + "OPT"},
       {"the reserved header flag is not echoed",
        make_query({.name = "tiny.merlon.internal.", .flags = 0x0140}), "192.0.2.10",
        Transport::udp, Outcome::answered, head + tiny},
       {"nsid of a server that has none",
        make_query(
            {.name = "tiny.merlon.internal.", .edns = true, .options = from_hex_text("0003 0000")}),
        "192.0.2.10", Transport::udp, Outcome::answered,
        "1234 8500 0001 0001 0000 0001 Q " + tiny + "OPT"},
       {"rd clear and cd set are copied, ad and ra are not",
        make_query({.name = "tiny.merlon.internal.", .flags = 0x00b0}), "192.0.2.10",
        Transport::udp, Outcome::answered, "1234 8410 0001 0001 0000 0000 Q " + tiny},
       {"case of the name is kept",
        with_case(ask("tiny.merlon.internal."), "\4tInY\6MERLON\10intERNAL"), "192.0.2.10",
        Transport::udp, Outcome::answered, head + tiny},
       {"ipv6 source", ask("tiny.merlon.internal."), "2001:db8:7::1", Transport::udp,
        Outcome::answered, head + tiny},
       {"txt", ask("text.merlon.internal.", 16), "192.0.2.10", Transport::udp, Outcome::answered,
        head + "c00c 0010 0001 0000012c 0007 066d65726c6f6e"},
       {"cname for another type is followed", ask("alias.merlon.internal."), "192.0.2.10",
        Transport::udp, Outcome::answered,
        "1234 8500 0001 0002 0000 0000 Q "
        "c00c 0005 0001 0000012c 0016 0474696e79066d65726c6f6e08696e7465726e616c00"
        "c033 0001 0001 0000012c 0004 c0000235"},
       {"cname to a name without the type", ask_edns("alias.merlon.internal.", 28), "192.0.2.10",
        Transport::udp, Outcome::nodata,
        "1234 8500 0001 0001 0001 0001 Q "
        "c00c 0005 0001 0000012c 0016 0474696e79066d65726c6f6e08696e7465726e616c00"
        "SOA(c038) OPT"},
       {"cname itself", ask("alias.merlon.internal.", 5), "192.0.2.10", Transport::udp,
        Outcome::answered,
        head + "c00c 0005 0001 0000012c 0016 0474696e79066d65726c6f6e08696e7465726e616c00"},
       {"any gets the smallest rrset", ask("both.merlon.internal.", 255), "192.0.2.10",
        Transport::udp, Outcome::answered, head + "c00c 0010 0001 0000012c 0007 066d65726c6f6e"},
       {"ns at the apex", ask("merlon.internal.", 2), "192.0.2.10", Transport::udp,
        Outcome::answered,
        head + "c00c 0002 0001 0000012c 0014 026e73066d65726c6f6e08696e7465726e616c00"},
       {"own account's list", ask_edns("block.zeta.merlon.internal."), "198.51.100.1",
        Transport::udp, Outcome::answered,
        "1234 8500 0001 0003 0000 0001 Q c00c 0001 0001 0000012c 0004 cb007164"
        "c00c 0001 0001 0000012c 0004 cb007165 c00c 0001 0001 0000012c 0004 cb007166 OPT"},
       {"name for a higher tier", ask("premium.merlon.internal."), "192.0.2.10", Transport::udp,
        Outcome::answered, head + "c00c 0001 0001 0000012c 0004 cb00714d"},
       {"operator's zone", ask("secret.ops.internal."), "10.1.2.3", Transport::udp,
        Outcome::answered, head + "c00c 0001 0001 0000012c 0004 0a000001"}});
}

std::string repeat(std::string_view text, size_t times) {
  std::string all;
  for (size_t i = 0; i < times; ++i) {
    all += text;
  }
  return all;
}

// What takes more than one body.
void add_assembled(std::vector<PacketRow>& rows) {
  const std::string ops = "036f7073 08696e7465726e616c 00";
  const std::string long_label = "3f" + repeat("61", name::kLabelSizeMax);
  const std::string too_long = std::string(name::kLabelSizeMax, 'b') + ".long.ops.internal.";
  rows.insert(
      rows.end(),
      {{"below a wildcard", ask("any.wild.ops.internal."), "10.1.2.3", Transport::udp,
        Outcome::answered, "1234 8500 0001 0001 0000 0000 Q c00c 0001 0001 0000012c 0004 0a000004"},
       {"below a delegation", ask_edns("www.sub.ops.internal."), "10.1.2.3", Transport::udp,
        Outcome::referral,
        "1234 8100 0001 0000 0001 0002 Q c010 0002 0001 0000012c 0015 026e73 03737562 " + ops +
            "c032 0001 0001 0000012c 0004 0a000003 OPT"},
       {"below a dname", ask("secret.away.ops.internal."), "10.1.2.3", Transport::udp,
        Outcome::answered,
        "1234 8500 0001 0003 0000 0000 Q c013 0027 0001 0000012c 000e " + ops +
            "c00c 0005 0001 0000012c 0015 06736563726574 " + ops +
            "c050 0001 0001 0000012c 0004 0a000001"},
       {"below a dname to a name that gets too long", ask(too_long), "10.1.2.3", Transport::udp,
        Outcome::yxdomain,
        "1234 8506 0001 0001 0000 0000 Q c04c 0027 0001 0000012c 00ce " + repeat(long_label, 3) +
            ops}});
}

void add_negatives(std::vector<PacketRow>& rows) {
  const std::string nodata = "1234 8500 0001 0000 0001 0000 Q ";
  const std::string nxdomain = "1234 8503 0001 0000 0001 0000 Q ";
  rows.insert(rows.end(),
              {{"type that the name lacks", ask("tiny.merlon.internal.", 28), "192.0.2.10",
                Transport::udp, Outcome::nodata, nodata + "SOA(c011)"},
               {"type 0", ask("tiny.merlon.internal.", 0), "192.0.2.10", Transport::udp,
                Outcome::nodata, nodata + "SOA(c011)"},
               {"apex without the type, pointer to the question itself", ask("merlon.internal."),
                "192.0.2.10", Transport::udp, Outcome::nodata, nodata + "SOA(c00c)"},
               {"empty non-terminal", ask("ent.merlon.internal.", 16), "192.0.2.10", Transport::udp,
                Outcome::nodata, nodata + "SOA(c010)"},
               {"any at an empty non-terminal", ask("ent.merlon.internal.", 255), "192.0.2.10",
                Transport::udp, Outcome::nodata, nodata + "SOA(c010)"},
               {"missing list", ask("gone.merlon.internal."), "192.0.2.10", Transport::udp,
                Outcome::nxdomain, nxdomain + "SOA(c011)"},
               {"missing list with edns", ask_edns("gone.merlon.internal."), "192.0.2.10",
                Transport::udp, Outcome::nxdomain, "1234 8503 0001 0000 0001 0001 Q SOA(c011) OPT"},
               {"below a name that exists", ask("x.tiny.merlon.internal."), "192.0.2.10",
                Transport::udp, Outcome::nxdomain, nxdomain + "SOA(c013)"},
               {"beside a label under an empty non-terminal", ask("b.ent.merlon.internal."),
                "192.0.2.10", Transport::udp, Outcome::nxdomain, nxdomain + "SOA(c012)"},
               {"verb empty: a listed name is not listed", ask("tiny.merlon.internal."),
                "203.0.113.3", Transport::udp, Outcome::nodata, nodata + "SOA(c011)"},
               {"verb empty: a missing name is no different", ask("gone.merlon.internal."),
                "203.0.113.3", Transport::udp, Outcome::nodata, nodata + "SOA(c011)"}});
}

void add_refusals(std::vector<PacketRow>& rows) {
  const std::string head = "1234 8105 0001 0000 0000 0000 Q";
  const std::string edns =
      "1234 8105 0001 0000 0000 0001 Q 00 0029 04d0 00 00 0000 0006 000f 0002 ";
  const auto refuse = [&](const char* description, Buffer query, const char* source,
                          Outcome outcome, std::string reply) {
    rows.push_back({description, std::move(query), source, Transport::udp, outcome, reply});
  };
  const Outcome not_ours = Outcome::refused_not_ours;
  refuse("unregistered source", ask("tiny.merlon.internal."), "8.8.8.8",
         Outcome::refused_unregistered, head);
  refuse("unregistered source gets ede 18", ask_edns("tiny.merlon.internal."), "2001:db9::1",
         Outcome::refused_unregistered, edns + "0012");
  refuse("unregistered source whose query is malformed", cut_to(ask("tiny.merlon.internal."), 30),
         "8.8.8.8", Outcome::refused_unregistered, "1234 8105 0000 0000 0000 0000");
  refuse("verb refuse", ask_edns("tiny.merlon.internal."), "203.0.113.2", Outcome::refused_by_verb,
         edns + "0012");
  refuse("verb refuse, ipv6", ask("tiny.merlon.internal."), "2001:db8:bad::9",
         Outcome::refused_by_verb, head);
  refuse("no such zone gets ede 20", ask_edns("www.example.com."), "192.0.2.10", not_ours,
         edns + "0014");
  refuse("the root", ask("."), "192.0.2.10", not_ours, head);
  refuse("suffix of a label is no zone", ask("notmerlon.internal."), "192.0.2.10", not_ours, head);
  refuse("parent of our zone", ask("internal."), "192.0.2.10", not_ours, head);
  refuse("name above the tier", ask_edns("basic.merlon.internal."), "203.0.113.1", not_ours,
         edns + "0014");
  refuse("name above the tier, by name", ask("premium.merlon.internal."), "192.0.2.20", not_ours,
         head);
  refuse("zone above the tier", ask("secret.ops.internal."), "192.0.2.10", not_ours, head);
  refuse("another account's list", ask_edns("block.acme.merlon.internal."), "198.51.100.1",
         not_ours, edns + "0014");
  refuse("list of an account that does not exist", ask_edns("block.nope.merlon.internal."),
         "198.51.100.1", not_ours, edns + "0014");
  refuse("class chaos", make_query({.name = "version.bind.", .type = 16, .qclass = 3}),
         "192.0.2.10", Outcome::refused_class, head);
  refuse("class chaos with edns gets ede 21",
         make_query({.name = "version.bind.", .type = 16, .qclass = 3, .edns = true}), "192.0.2.10",
         Outcome::refused_class, edns + "0015");
  refuse("unregistered source with nsid and cookie",
         make_query({.name = ".",
                     .edns = true,
                     .options = from_hex_text("0003 0000 000a 0008 0102030405060708")}),
         "8.8.8.8", Outcome::refused_unregistered, edns + "0012");
  refuse("class any", make_query({.name = "tiny.merlon.internal.", .qclass = 255}), "192.0.2.10",
         Outcome::refused_class, head);
}

// Who may have names of others looked up: RA in every reply, and what no zone of ours holds is
// SERVFAIL unless somebody looks it up.
void add_recursion(std::vector<PacketRow>& rows) {
  const auto add = [&](const char* description, Buffer query, const char* source, Outcome outcome,
                       std::string reply) {
    rows.push_back({description, std::move(query), source, Transport::udp, outcome, reply});
  };
  const auto without_rd = [](std::string_view name) {
    return make_query({.name = name, .flags = 0});
  };
  constexpr const char* kMay = "192.0.2.53";
  const std::string refused = "1234 8185 0001 0000 0000 0000 Q";
  const std::string servfail = "1234 8182 0001 0000 0000 0000 Q";
  const Outcome not_ours = Outcome::refused_not_ours;
  add("forwarded: no zone holds the name", ask("www.example.com."), kMay, Outcome::forwarded,
      servfail);
  add("forwarded over ipv6, with edns", ask_edns("www.example.com.", 28), "2001:db8:9::53",
      Outcome::forwarded, "1234 8182 0001 0000 0000 0001 Q OPT");
  add("forwarded: the root", ask(".", 2), kMay, Outcome::forwarded, servfail);
  add("forwarded: above our zone", ask("internal."), kMay, Outcome::forwarded, servfail);
  add("not forwarded: a zone above its tier", ask("secret.ops.internal."), kMay, not_ours, refused);
  add("not forwarded without rd", without_rd("www.example.com."), kMay, not_ours,
      "1234 8085 0001 0000 0000 0000 Q");
  add("not forwarded: another account's list", ask("block.zeta.merlon.internal."), kMay, not_ours,
      refused);
  add("not forwarded: a list of an account that does not exist", ask("block.nope.merlon.internal."),
      kMay, not_ours, refused);
  add("not forwarded: above its tier", ask("premium.merlon.internal."), kMay, not_ours, refused);
  add("ra in an answer", ask("tiny.merlon.internal."), kMay, Outcome::answered,
      "1234 8580 0001 0001 0000 0000 Q c00c 0001 0001 0000012c 0004 c0000235");
  add("ra in nxdomain", ask("gone.merlon.internal."), kMay, Outcome::nxdomain,
      "1234 8583 0001 0000 0001 0000 Q SOA(c011)");
  add("ra with formerr", with_byte(ask("tiny.merlon.internal."), 5, 2), kMay,
      Outcome::formerr_question_count, "1234 8181 0000 0000 0000 0000");
  add("ra with class chaos", make_query({.name = "version.bind.", .type = 16, .qclass = 3}), kMay,
      Outcome::refused_class, refused);
  add("the verb empty: nothing is looked up", ask("www.example.com."), "203.0.113.6", not_ours,
      "1234 8105 0001 0000 0000 0000 Q");
  add("the verb refuse: nothing is looked up", ask("www.example.com."), "203.0.113.7",
      Outcome::refused_by_verb, "1234 8105 0001 0000 0000 0000 Q");
}

void add_malformed_questions(std::vector<PacketRow>& rows) {
  const auto add = [&](const char* description, Buffer query, Outcome outcome, std::string reply) {
    rows.push_back({description, std::move(query), "192.0.2.10", Transport::udp, outcome, reply});
  };
  const std::string bare = "1234 8101 0000 0000 0000 0000";
  const Buffer good = ask("tiny.merlon.internal.");  // the name is at 12..33, the type at 34
  Buffer long_name = from_hex_text("1234 0100 0001 0000 0000 0000");
  for (int i = 0; i < 4; ++i) {
    long_name.push_back(63);
    long_name.insert(long_name.end(), 63, 'x');
  }
  add("no question", from_hex_text("1234 0100 0000 0000 0000 0000"),
      Outcome::formerr_question_count, bare);
  add("two questions", with_byte(good, 5, 2), Outcome::formerr_question_count, bare);
  add("256 questions", with_byte(with_byte(good, 4, 1), 5, 0), Outcome::formerr_question_count,
      bare);
  add("header_is_the_whole_message", from_hex_text("1234 0100 0001 0000 0000 0000"),
      Outcome::formerr_name, bare);
  add("label_ends_on_last_byte_of_message", cut_to(good, 33), Outcome::formerr_name, bare);
  add("label_runs_one_byte_past_the_message", cut_to(good, 32), Outcome::formerr_name, bare);
  add("length_byte_is_last_byte_of_message", cut_to(good, 18), Outcome::formerr_name, bare);
  add("root_label_is_last_byte_of_message", cut_to(good, 34), Outcome::formerr_question_short,
      bare);
  add("type_ends_on_last_byte_of_message", cut_to(good, 36), Outcome::formerr_question_short, bare);
  add("class_lacks_its_last_byte", cut_to(good, 37), Outcome::formerr_question_short, bare);
  add("compression pointer in the question", with_byte(with_byte(good, 12, 0xC0), 13, 12),
      Outcome::formerr_name, bare);
  add("reserved label type", with_byte(good, 12, 0x44), Outcome::formerr_name, bare);
  add("name of 256 bytes", with_tail(long_name, "00 0001 0001"), Outcome::formerr_name, bare);
  add("answer record count", with_byte(good, 7, 1), Outcome::formerr_record_count,
      "1234 8101 0001 0000 0000 0000 Q");
  add("authority record count", with_byte(good, 9, 1), Outcome::formerr_record_count,
      "1234 8101 0001 0000 0000 0000 Q");
  Buffer longest = from_hex_text("1234 0100 0001 0000 0000 0000");
  for (int i = 0; i < 127; ++i) {
    longest.insert(longest.end(), {1, 'x'});
  }
  add("name of 255 bytes in 127 labels", with_tail(longest, "00 0001 0001"),
      Outcome::refused_not_ours, "1234 8105 0001 0000 0000 0000 Q");
}

void add_malformed_records(std::vector<PacketRow>& rows) {
  const auto add = [&](const char* description, Buffer query, Outcome outcome, std::string reply) {
    rows.push_back({description, std::move(query), "192.0.2.10", Transport::udp, outcome, reply});
  };
  const std::string plain = "1234 8101 0001 0000 0000 0000 Q";
  const std::string with_opt = "1234 8101 0001 0000 0000 0001 Q OPT";
  const Buffer good = ask("tiny.merlon.internal.");
  const Buffer edns = ask_edns("tiny.merlon.internal.");  // OPT at 38..48
  const Buffer counted = with_byte(good, 11, 1);
  add("record_is_missing", counted, Outcome::formerr_record, plain);
  add("opt_lacks_its_last_byte", cut_to(edns, edns.size() - 1), Outcome::formerr_record, plain);
  add("record_data_runs_one_byte_past_the_message", with_byte(edns, edns.size() - 1, 1),
      Outcome::formerr_record, plain);
  add("owner_pointer_is_last_byte_of_message", with_tail(counted, "c0"), Outcome::formerr_record,
      plain);
  add("owner_runs_past_the_message", with_tail(counted, "05 6161"), Outcome::formerr_record, plain);
  add("owner_has_a_reserved_label_type", with_tail(counted, "80 00 0001 0001 00000000 0000"),
      Outcome::formerr_record, plain);
  add("byte_behind_the_question", with_tail(good, "00"), Outcome::formerr_trailing, plain);
  add("byte_behind_opt", with_tail(edns, "00"), Outcome::formerr_trailing, with_opt);
  add("opt is the question's type", ask("tiny.merlon.internal.", 41), Outcome::formerr_opt, plain);
  add("opt has a name", with_tail(counted, "0161 00 0029 04d0 00000000 0000"), Outcome::formerr_opt,
      plain);
  add("opt twice", with_tail(with_byte(edns, 11, 2), "00 0029 04d0 00000000 0000"),
      Outcome::formerr_opt, plain);
  const auto with_options = [](std::string_view hex) {
    return make_query(
        {.name = "tiny.merlon.internal.", .edns = true, .options = from_hex_text(hex)});
  };
  add("option header lacks a byte", with_options("000a 00"), Outcome::formerr_opt, plain);
  add("option runs one byte past its record", with_options("000a 0002 01"), Outcome::formerr_opt,
      plain);
  add("second option runs past its record", with_options("000a 0001 01 000b 0001"),
      Outcome::formerr_opt, plain);
  add("other additional record is passed over",
      with_tail(counted, "c00c 0001 0001 00000000 0004 01020304"), Outcome::answered,
      "1234 8500 0001 0001 0000 0000 Q c00c 0001 0001 0000012c 0004 c0000235");
  add("edns version 1", make_query({.name = "tiny.merlon.internal.", .edns = true, .version = 1}),
      Outcome::badvers, "1234 8100 0001 0000 0000 0001 Q 00 0029 04d0 01 00 0000 0000");
  add("edns version 255 with options of another form",
      make_query({.name = "tiny.merlon.internal.",
                  .edns = true,
                  .dnssec_ok = true,
                  .version = 255,
                  .options = from_hex_text("ff")}),
      Outcome::badvers, "1234 8100 0001 0000 0000 0001 Q 00 0029 04d0 01 00 8000 0000");
}

void add_cookies(std::vector<PacketRow>& rows) {
  const std::string malformed = "1234 8101 0001 0000 0000 0001 Q OPT";
  const std::string answered =
      "1234 8500 0001 0001 0000 0001 Q c00c 0001 0001 0000012c 0004 c0000235 OPT";
  const std::string badvers = "1234 8100 0001 0000 0000 0001 Q 00 0029 04d0 01 00 0000 0000";
  const auto add = [&](const std::string& description, const std::vector<size_t>& sizes,
                       Outcome outcome, const std::string& reply, uint8_t version = 0) {
    Buffer options;
    for (const size_t size : sizes) {
      options.insert(options.end(), {0, 10, 0, static_cast<uint8_t>(size)});
      for (size_t i = 0; i < size; ++i) {
        options.push_back(static_cast<uint8_t>(0xc0 + i));
      }
    }
    rows.push_back({description,
                    make_query({.name = "tiny.merlon.internal.",
                                .edns = true,
                                .version = version,
                                .options = options}),
                    "192.0.2.10", Transport::udp, outcome, reply});
  };
  for (const size_t size : std::initializer_list<size_t>{0, 7, 9, 15, 41}) {
    add("cookie of " + std::to_string(size) + " bytes", {size}, Outcome::formerr_cookie, malformed);
  }
  for (const size_t size : std::initializer_list<size_t>{8, 16, 23, 24, 25, 40}) {
    add("cookie of " + std::to_string(size) + " bytes", {size}, Outcome::answered, answered);
  }
  add("the first cookie counts, and is good", {24, 7}, Outcome::answered, answered);
  add("the first cookie counts, and is bad", {7, 24}, Outcome::formerr_cookie, malformed);
  add("another version's cookie is not looked at", {7}, Outcome::badvers, badvers, 1);
}

void add_not_for_us(std::vector<PacketRow>& rows) {
  const auto add = [&](const char* description, Buffer query, Outcome outcome, std::string reply) {
    rows.push_back({description, std::move(query), "192.0.2.10", Transport::udp, outcome, reply});
  };
  const Buffer good = ask("tiny.merlon.internal.");
  add("opcode notify", with_byte(good, 2, 0x20), Outcome::notimp_opcode,
      "1234 a004 0000 0000 0000 0000");
  add("opcode update keeps rd", with_byte(good, 2, 0x29), Outcome::notimp_opcode,
      "1234 a904 0000 0000 0000 0000");
  add("axfr", ask("merlon.internal.", 252), Outcome::notimp_type,
      "1234 8104 0001 0000 0000 0000 Q");
  const std::string not_supported =
      "1234 8104 0001 0000 0000 0001 Q 00 0029 04d0 00 00 0000 0006 000f 0002 0015";
  add("axfr with edns gets ede 21", ask_edns("merlon.internal.", 252), Outcome::notimp_type,
      not_supported);
  Buffer ixfr = with_byte(ask("merlon.internal.", 251), 9, 1);
  ixfr = with_tail(
      ixfr, "c00c 0006 0001 00000000 0016 0000 00000001 00000001 00000001 00000001 00000001");
  add("ixfr with its soa", ixfr, Outcome::notimp_type, "1234 8104 0001 0000 0000 0000 Q");
  add("ixfr with its soa and edns", with_tail(with_byte(ixfr, 11, 1), "00 0029 04d0 00000000 0000"),
      Outcome::notimp_type, not_supported);
  add("ixfr whose soa is missing", with_byte(ask("merlon.internal.", 251), 9, 1),
      Outcome::formerr_record, "1234 8101 0001 0000 0000 0000 Q");
  add("tsig", with_tail(with_byte(good, 11, 1), "0161 00 00fa 00ff 00000000 0000"),
      Outcome::notauth_tsig, "1234 8109 0001 0000 0000 0000 Q");
  add("tsig behind opt",
      with_tail(with_byte(ask_edns("tiny.merlon.internal."), 11, 2),
                "0161 00 00fa 00ff 00000000 0000"),
      Outcome::notauth_tsig, "1234 8109 0001 0000 0000 0001 Q OPT");
  add("empty message", {}, Outcome::drop_too_short, "");
  add("header_lacks_its_last_byte", cut_to(good, 11), Outcome::drop_too_short, "");
  add("response", with_byte(good, 2, 0x81), Outcome::drop_not_a_query, "");
  rows.push_back(
      {"verb ignore", good, "203.0.113.4", Transport::udp, Outcome::drop_ignored_source, ""});
  rows.push_back({"reply is one byte larger than its buffer", good, "192.0.2.10", Transport::udp,
                  Outcome::drop_no_room, "", good.size() + 15});
  rows.push_back({"verb ignore comes before refusing the class",
                  make_query({.name = "version.bind.", .type = 16, .qclass = 3}), "203.0.113.4",
                  Transport::tcp, Outcome::drop_ignored_source, ""});
}

void add_truncations(std::vector<PacketRow>& rows) {
  const std::string plain = "1234 8700 0001 0000 0000 0000 Q";
  const std::string with_opt = "1234 8700 0001 0000 0000 0001 Q OPT";
  const auto add = [&](const char* description, Buffer query, std::string reply) {
    rows.push_back(
        {description, std::move(query), "192.0.2.10", Transport::udp, Outcome::truncated, reply});
  };
  add("4000 records without edns", ask("basic.merlon.internal."), plain);
  add("one byte over 512", ask("reaches-513-bad.merlon.internal."), plain);
  add("512 with opt on top", ask_edns("reaches-512-ok.merlon.internal.", 1, 512), with_opt);
  add("payload below 512 counts as 512", ask_edns("reaches-513-bad.merlon.internal.", 1, 100),
      with_opt);
  add("payload 0", ask_edns("basic.merlon.internal.", 1, 0), with_opt);
  add("one byte over 1232", ask_edns("over.merlon.internal."), with_opt);
  add("one byte more than the client's payload", ask_edns("fit.merlon.internal.", 1, 1231),
      with_opt);
  add("huge payload is capped at ours", ask_edns("over.merlon.internal.", 1, 65535), with_opt);
}

}  // namespace

std::vector<uint8_t> from_hex_text(std::string_view text) {
  std::string digits;
  std::copy_if(text.begin(), text.end(), std::back_inserter(digits),
               [](char c) { return c != ' '; });
  Buffer bytes(digits.size() / 2);
  MERLON_ASSERT(from_hex(digits, bytes));
  return bytes;
}

std::vector<PacketRow> packet_rows() {
  std::vector<PacketRow> rows;
  add_answers(rows);
  add_assembled(rows);
  add_negatives(rows);
  add_refusals(rows);
  add_recursion(rows);
  add_malformed_questions(rows);
  add_malformed_records(rows);
  add_cookies(rows);
  add_not_for_us(rows);
  add_truncations(rows);
  return rows;
}

const answer::Identity& row_identity() {
  static const answer::Identity identity("ns1", "m2");
  return identity;
}

std::vector<PacketRow> identity_rows() {
  std::vector<PacketRow> rows;
  const auto ask_nsid = [](std::string_view name) {
    return make_query({.name = name, .edns = true, .options = from_hex_text("0003 0000")});
  };
  const auto chaos = [](std::string_view name, uint16_t type = 16) {
    return make_query({.name = name, .type = type, .qclass = 3});
  };
  const auto add = [&](const char* description, Buffer query, const char* source, Outcome outcome,
                       std::string reply) {
    rows.push_back({description, std::move(query), source, Transport::udp, outcome, reply});
  };
  const char* ours = "192.0.2.10";
  const std::string tiny = "c00c 0001 0001 0000012c 0004 c0000235 ";
  const std::string nsid = "00 0029 04d0 00000000 0007 0003 0003 6e7331";
  const std::string head = "1234 8500 0001 0001 0000 0000 Q ";
  const std::string name = head + "c00c 0010 0003 00000000 0004 03 6e7331";
  const std::string version = head + "c00c 0010 0003 00000000 0003 02 6d32";
  const std::string refused = "1234 8105 0001 0000 0000 0000 Q";
  add("nsid", ask_nsid("tiny.merlon.internal."), ours, Outcome::answered,
      "1234 8500 0001 0001 0000 0001 Q " + tiny + nsid);
  add("nsid that is not asked for", ask_edns("tiny.merlon.internal."), ours, Outcome::answered,
      "1234 8500 0001 0001 0000 0001 Q " + tiny + "OPT");
  add("nsid before ede", ask_nsid("www.example.com."), ours, Outcome::refused_not_ours,
      "1234 8105 0001 0000 0000 0001 Q 00 0029 04d0 00000000 000d 0003 0003 6e7331"
      "000f 0002 0014");
  add("nsid is not for strangers", ask_nsid("tiny.merlon.internal."), "8.8.8.8",
      Outcome::refused_unregistered,
      "1234 8105 0001 0000 0000 0001 Q 00 0029 04d0 00000000 0006 000f 0002 0012");
  add("nsid with a truncated answer", ask_nsid("basic.merlon.internal."), ours, Outcome::truncated,
      "1234 8700 0001 0000 0000 0001 Q " + nsid);
  add("nsid makes the answer too large by a byte", ask_nsid("fit.merlon.internal."), ours,
      Outcome::truncated, "1234 8700 0001 0000 0000 0001 Q " + nsid);
  add("id.server", chaos("id.server."), ours, Outcome::answered_chaos, name);
  add("hostname.bind in another case", chaos("HostName.BIND."), ours, Outcome::answered_chaos,
      name);
  add("version.bind", chaos("version.bind."), ours, Outcome::answered_chaos, version);
  add("version.server, any type", chaos("version.server.", 255), ours, Outcome::answered_chaos,
      version);
  add("id.server with nsid",
      make_query({.name = "id.server.",
                  .type = 16,
                  .qclass = 3,
                  .edns = true,
                  .options = from_hex_text("0003 0000")}),
      ours, Outcome::answered_chaos,
      "1234 8500 0001 0001 0000 0001 Q c00c 0010 0003 00000000 0004 03 6e7331" + nsid);
  add("another type of id.server", chaos("id.server.", 1), ours, Outcome::refused_class, refused);
  add("another chaos name", chaos("authors.bind."), ours, Outcome::refused_class, refused);
  add("below id.server", chaos("x.id.server."), ours, Outcome::refused_class, refused);
  add("id.server in class hesiod", make_query({.name = "id.server.", .type = 16, .qclass = 4}),
      ours, Outcome::refused_class, refused);
  add("id.server in class in", ask("id.server.", 16), ours, Outcome::refused_not_ours, refused);
  add("strangers are not told", chaos("id.server."), "8.8.8.8", Outcome::refused_unregistered,
      refused);
  return rows;
}

std::vector<uint8_t> expected_reply(const PacketRow& row) {
  Buffer reply;
  const auto add = [&reply](std::string_view hex) {
    const Buffer bytes = from_hex_text(hex);
    reply.insert(reply.end(), bytes.begin(), bytes.end());
  };
  std::string spaced = row.reply;
  for (const std::string_view word : {"Q", "OPT", "DO", "SOA("}) {
    const size_t at = spaced.find(word);
    if (at != std::string::npos) {
      spaced.insert(at, " ");
    }
  }
  std::istringstream words(spaced);
  for (std::string word; words >> word;) {
    if (word == "Q") {
      size_t end = wire::kHeaderSize;
      while (row.query.at(end) != 0) {
        end += row.query[end] + 1u;
      }
      reply.insert(reply.end(), row.query.begin() + wire::kHeaderSize,
                   row.query.begin() + static_cast<std::ptrdiff_t>(end) + 5);
    } else if (word == "OPT") {
      add("00 0029 04d0 00000000 0000");
    } else if (word == "DO") {
      add("00 0029 04d0 00008000 0000");
    } else if (word.starts_with("SOA(")) {
      add(word.substr(4, 4));
      add(kSoa);
    } else {
      add(word);
    }
  }
  return reply;
}

}  // namespace merlon::tests
