// SPDX-License-Identifier: Apache-2.0
#include "controlplane/forward/client.h"

#include <algorithm>
#include <array>
#include <optional>

namespace merlon::forward {
namespace {

constexpr uint32_t kStaleTtl_s = 30;  // RFC 8767 section 4

using Zones = std::vector<const PolicyZone*>;

struct Served {
  ClientContext& context;
  ClientQueryPointer query;

  const Question& question() const { return query->asked.question(); }
};

// Policy zones as they are named in the snapshot that the query holds; pointers of an index may
// change while the query waits, so they are looked for again.
Zones zones_of(const Served& served, const DevicePolicies* devices) {
  return served.context.policies.zones_for(served.query->snapshot, served.query->subject, devices);
}

void count_action(Counters& counters, PolicyAction action) {
  constexpr std::array kOf = {Counter::count_,          Counter::policy_passthru,
                              Counter::policy_drop,     Counter::policy_tcp_only,
                              Counter::policy_nxdomain, Counter::policy_nodata,
                              Counter::policy_garden,   Counter::policy_data};
  static_assert(kOf.size() == kPolicyActionCount);
  counters.add(kOf[static_cast<size_t>(action)]);
}

void reply_resolved(const Served& served, const Resolved& resolved) {
  if (resolved.answer == nullptr) {
    served.context.counters.add(Counter::servfail);
    served.query->reply(write_reply(served.query->asked,
                                    {.rcode = wire::rcode::servfail, .ede = kEdeNetworkError}));
    return;
  }
  const Answer& answer = *resolved.answer;
  if (answer.rcode != wire::rcode::noerror && answer.rcode != wire::rcode::nxdomain) {
    served.context.counters.add(Counter::servfail);
    served.query->reply(
        write_reply(served.query->asked, {.rcode = wire::rcode::servfail, .ede = answer.ede}));
    return;
  }
  ReplyParts parts{.rcode = answer.rcode,
                   .authenticated = answer.authenticated,
                   .records = &answer.records,
                   .age_s = resolved.age_s};
  if (resolved.is_stale) {
    served.context.counters.add(Counter::stale);
    parts.ede = answer.rcode == wire::rcode::nxdomain ? kEdeStaleNxdomain : kEdeStaleAnswer;
    parts.ttl_max_s = kStaleTtl_s;
    parts.authenticated = false;
  }
  served.query->reply(write_reply(served.query->asked, parts));
}

// What our own zones say of a name, to this source; nullopt: they hold it not.
std::optional<Answer> answer_from_own(const Served& served, const Question& question) {
  std::vector<uint8_t> message = write_query(question, question.name, Padding::none);
  store_be16(message.data() + 2, 0);  // without RD: nothing is looked up
  const answer::Limits limits{.transport = answer::Transport::tcp};
  answer::Query parsed;
  std::vector<uint8_t> scratch(wire::kMessageSizeMax);
  answer::Reply reply = answer::answer(*served.query->snapshot, message, &served.query->subject,
                                       limits, parsed, scratch);
  using answer::Outcome;
  if (reply.outcome != Outcome::answered && reply.outcome != Outcome::nodata &&
      reply.outcome != Outcome::nxdomain) {
    return std::nullopt;
  }
  const size_t query_size = message.size();
  message.resize(wire::kMessageSizeMax);
  const size_t size = answer::compose(parsed, reply, limits, message, query_size);
  Read read = read_answer(Bytes(message).first(size), question, question.name, {});
  if (read.verdict != Verdict::good) {
    return std::nullopt;
  }
  return std::move(read.answer);
}

void reply_rewritten(const Served& served, const Records& records, ReplyParts parts,
                     const snapshot::LoadedZone& zone) {
  Records soa;
  add_policy_soa(zone, soa);
  parts.records = &records;
  parts.more = &soa;
  served.query->reply(write_reply(served.query->asked, parts));
}

// Behind the alias, the garden's own records.
void reply_garden(const Served& served, Records records, const Match& match,
                  const name::Name& owner) {
  records.add({.section = Section::answer,
               .owner = owner.wire(),
               .type = wire::type::cname,
               .ttl = match.ttl_s,
               .data = match.garden.wire()});
  const Question& asked = served.question();
  if (asked.type == wire::type::cname || asked.type == wire::type::any) {
    reply_rewritten(served, records, {.ede = kEdeFiltered}, *match.zone);
    return;
  }
  auto use = [served, records = std::move(records), zone = match.zone](const Answer* garden,
                                                                       uint32_t age_s) mutable {
    if (garden != nullptr) {
      garden->records.for_each([&](const Record& record) {
        Record aged = record;
        aged.ttl = record.ttl > age_s ? record.ttl - age_s : 0;
        if (record.section == Section::answer) {
          records.add(aged);
        }
        return true;
      });
    }
    reply_rewritten(served, records, {.ede = kEdeFiltered}, *zone);
  };
  const Question question{.name = match.garden, .type = asked.type};
  if (const auto own = answer_from_own(served, question)) {
    auto now = use;
    now(&*own, 0);
    return;
  }
  // The snapshot, which the query holds, keeps the zone.
  served.context.resolver.resolve(
      question,
      [use](const Resolved& resolved) mutable { use(resolved.answer.get(), resolved.age_s); },
      served.context.now_ms);
}

// Does what the policy says of `owner`; `before` are the aliases that led there. False: nothing,
// the answer is given as it is.
bool apply(const Served& served, const Match& match, const name::Name& owner, Records before) {
  count_action(served.context.counters, match.action);
  switch (match.action) {
    case PolicyAction::none:
    case PolicyAction::passthru:
      return false;
    case PolicyAction::drop:
      served.query->reply({});
      return true;
    case PolicyAction::tcp_only:
      if (!served.query->asked.is_udp()) {
        return false;
      }
      served.query->reply(write_reply(served.query->asked, {.truncated = true}));
      return true;
    case PolicyAction::nxdomain:
      reply_rewritten(served, before, {.rcode = wire::rcode::nxdomain, .ede = kEdeBlocked},
                      *match.zone);
      return true;
    case PolicyAction::nodata:
      reply_rewritten(served, before, {.ede = kEdeBlocked}, *match.zone);
      return true;
    case PolicyAction::garden:
      reply_garden(served, std::move(before), match, owner);
      return true;
    case PolicyAction::data:
      add_local_data(match, owner, served.question().type, before);
      reply_rewritten(served, before, {.ede = kEdeFiltered}, *match.zone);
      return true;
  }
  return false;
}

address::Address address_of(const Record& record) {
  return record.type == wire::type::a
             ? address::Address::v4(address::load_network_v4(record.data.data()))
             : address::Address::v6(address::load_network_v6(record.data.data()));
}

// Where an alias or an address of the answer meets a rule. True: the query is replied to.
bool check_answer(const Served& served, const Resolved& resolved, const Zones& zones) {
  ClientContext& context = served.context;
  Records chain;
  std::optional<Match> found;
  name::Name owner = served.question().name;
  bool by_address = false;
  resolved.answer->records.for_each([&](const Record& record) {
    if (record.section != Section::answer) {
      return true;
    }
    Match match;
    if (record.type == wire::type::cname) {
      Record aged = record;
      aged.ttl = record.ttl > resolved.age_s ? record.ttl - resolved.age_s : 0;
      chain.add(aged);
      const auto target = name::Name::from_wire(record.data);
      owner = target ? *target : owner;
      match = context.policies.match_name(served.query->snapshot, zones, owner);
    } else if (record.type == wire::type::a || record.type == wire::type::aaaa) {
      match = context.policies.match_address(served.query->snapshot, zones, served.question().name,
                                             address_of(record));
      by_address = match.action != PolicyAction::none;
    }
    if (match.action != PolicyAction::none) {
      found = match;
    }
    return !found;
  });
  if (!found) {
    return false;
  }
  context.counters.add(by_address ? Counter::policy_by_address : Counter::policy_by_alias);
  // Of an address the answer is replaced from its question on.
  return by_address ? apply(served, *found, served.question().name, {})
                    : apply(served, *found, owner, std::move(chain));
}

}  // namespace

void serve(ClientContext& context, const ClientQueryPointer& query, const DevicePolicies* devices) {
  const Served served{context, query};
  const Question& question = served.question();
  if (const AnswerPointer local = context.local_names.answer(question)) {
    context.counters.add(Counter::local);
    reply_resolved(served, {.answer = local});
    return;
  }
  const Zones zones = zones_of(served, devices);
  const Match match = context.policies.match_name(query->snapshot, zones, question.name);
  const bool is_decided = match.action != PolicyAction::none;
  if (is_decided && apply(served, match, question.name, {})) {
    return;
  }
  if (is_decided || zones.empty()) {
    context.resolver.resolve(
        question, [served](const Resolved& resolved) { reply_resolved(served, resolved); },
        context.now_ms);
    return;
  }
  // Zones are the snapshot's, and the query holds that; the index's own list may be gone by then.
  std::vector<PolicyZone> kept;
  for (const PolicyZone* zone : zones) {
    kept.push_back(*zone);
  }
  context.resolver.resolve(
      question,
      [served, kept = std::move(kept)](const Resolved& resolved) {
        Zones again;
        for (const PolicyZone& zone : kept) {
          again.push_back(&zone);
        }
        if (resolved.answer == nullptr || !check_answer(served, resolved, again)) {
          reply_resolved(served, resolved);
        }
      },
      context.now_ms);
}

}  // namespace merlon::forward
