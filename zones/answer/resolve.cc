// SPDX-License-Identifier: Apache-2.0
#include "zones/answer/resolve.h"

#include <algorithm>
#include <cstring>

#include "zones/answer/assemble.h"
#include "zones/answer/denial.h"
#include "zones/answer/visible.h"
#include "zones/name/nsec3.h"
#include "zones/wire/wire.h"

namespace merlon::answer {
namespace {

using Section = Assembler::Section;
using snapshot::Body;
using snapshot::Encloser;
using snapshot::LoadedZone;
using snapshot::Node;
using snapshot::Rrset;
namespace flag = snapshot::node_flag;
namespace type = wire::type;

constexpr size_t kRecordFixedSize = 10;                        // type, class, TTL, data size
constexpr size_t kDataAt = 2 + kRecordFixedSize;               // behind an owner 0xC00C
constexpr size_t kSoaMinimumSize = 4;                          // the last field of an SOA's data
constexpr size_t kNsec3NameMax = name::kNsec3LabelSize + 222;  // with the longest apex it can have

const Rrset* find_type(const Node& node, uint16_t wanted) {
  for (const Rrset& rrset : node.rrsets()) {
    if (rrset.type == wanted) {
      return &rrset;
    }
  }
  return nullptr;
}

// The data of a body's first record, whose owner is 0xC00C.
Bytes first_data(const Body& body) {
  return body.bytes().subspan(kDataAt, load_be16(body.data + kDataAt - 2));
}

uint32_t first_ttl(const Body& body) {
  return load_be32(body.data + 6);
}

// Label boundaries are those of `name`.
bool is_at_or_below(const LabelledName& name, const LabelledName& ancestor) {
  return name.label_count >= ancestor.label_count &&
         std::ranges::equal(name.suffix(ancestor.label_count), ancestor.name);
}

class Resolver {
 public:
  Resolver(const Query& query, const Lookup& lookup, const Subject& subject, MutableBytes scratch,
           Reply& reply)
      : query_(query),
        subject_(subject),
        lookup_(lookup),
        name_(labelled(query)),
        out_(scratch, query.question_end, name_, wire::kHeaderSize),
        reply_(reply) {}

  void run();
  void finish(size_t room);

 private:
  // Whether there is a next step: at target_, which stands at target_at_ in the message.
  bool step();
  bool answer_from(const Node& node, const Encloser* expanded);
  bool answer_signatures(const Node& node, const Encloser* expanded);
  bool redirect(const Encloser& owner);
  bool refer(const Encloser& cut);
  bool deny(Outcome outcome);
  bool hide();
  bool follow();
  void ask_parent_for_ds();

  void add_rrset(Section section, Owner& owner, const Node& node, const Rrset& rrset);
  void add_soa();
  void add_proofs();
  void add_glue(const LabelledName& cut, Bytes ns_records, size_t at);
  bool add_addresses(const LabelledName& name, size_t at);

  bool wants_dnssec() const { return query_.dnssec_ok && lookup_.zone->is_signed(); }
  const Node* find(Bytes name) const {
    return lookup_.zone->find(lookup_.snapshot->key().hash(name), name);
  }
  // The part of the name that is `depth` labels deep.
  LabelledName ancestor(size_t depth) const {
    const size_t skipped = name_.label_count - depth;
    const size_t at = name_.label_offsets[skipped];
    for (size_t i = 0; i <= depth; ++i) {
      ancestor_offsets_[i] = static_cast<uint8_t>(name_.label_offsets[skipped + i] - at);
    }
    return {name_.name.subspan(at), ancestor_offsets_.data(), depth};
  }
  // Whether its DNAME is.
  bool is_in_answer(const Node& node) const {
    const auto before = std::span(dnames_).first(links_);
    return std::ranges::find(before, &node) != before.end();
  }
  // A body that answers by itself, without a copy.
  bool answers_alone() const { return links_ == 0 && !wants_dnssec(); }

  const Query& query_;
  const Subject& subject_;
  Lookup lookup_;
  LabelledName name_;  // the question's, or what aliases led to
  Assembler out_;
  Reply& reply_;
  Outcome outcome_ = Outcome::answered;
  const Body* alone_ = nullptr;
  bool is_refused_ = false;
  size_t links_ = 0;  // aliases followed
  std::array<uint64_t, kChainMax + 1> visited_;
  std::array<const Node*, kChainMax> dnames_;  // answered with, by link; nullptr: a CNAME
  Proofs proofs_;
  // By turns the name and what the next alias leads to.
  std::array<LabelledCopy, 2> copies_;
  LabelledCopy* target_ = &copies_[0];
  size_t target_at_ = 0;
  mutable std::array<uint8_t, name::kLabelCountMax + 1> ancestor_offsets_;
};

void Resolver::run() {
  visited_[0] = lookup_.hash;
  ask_parent_for_ds();
  while (step()) {
    if (links_ + 1 == kChainMax || !out_.ok() || !follow()) {
      outcome_ = Outcome::answered;
      break;
    }
  }
  if (outcome_ == Outcome::answered || outcome_ == Outcome::yxdomain) {
    add_proofs();  // of wildcards on the way; the other outcomes have theirs
  }
}

// RFC 4035 section 3.1.4.1: the DS records of a zone are its parent's, the zone that delegates to
// it. A zone above that does not (an account's zone is not delegated to), or that has delegated a
// name between them, is no parent; then the zone itself answers that there are none.
void Resolver::ask_parent_for_ds() {
  if (query_.qtype != type::ds || lookup_.node == nullptr ||
      (lookup_.node->flags & flag::apex) == 0) {
    return;
  }
  Lookup above = lookup_;
  look_above(name_, above);
  above = as_seen_by(name_, above, subject_);
  if (above.node == nullptr || !may_see(name_, above, subject_) ||
      (above.node->flags & (flag::cut | flag::occluded)) != flag::cut) {
    return;
  }
  lookup_ = above;
}

bool Resolver::step() {
  const Encloser encloser = lookup_.node != nullptr
                                ? Encloser{lookup_.node, name_.label_count}
                                : lookup_.zone->closest_encloser(lookup_.snapshot->key(), name_);
  Encloser top = encloser;
  while ((top.node->flags & flag::occluded) != 0) {  // the apex is not
    --top.depth;
    top.node = find(name_.suffix(top.depth));
  }
  const bool is_exact = top.depth == name_.label_count;
  if ((top.node->flags & flag::cut) != 0 && !(is_exact && query_.qtype == type::ds)) {
    return refer(top);
  }
  if ((top.node->flags & flag::dname) != 0 && !is_exact) {
    return redirect(top);
  }
  if (lookup_.node != nullptr) {
    return answer_from(*lookup_.node, nullptr);
  }
  if ((encloser.node->flags & flag::wildcard_parent) == 0) {
    if (wants_dnssec()) {
      proofs_.prove_no_wildcard(*lookup_.zone, name_, encloser.depth);
    }
    return deny(Outcome::nxdomain);
  }
  // The name has a label more than its encloser, so there is room for `*`.
  std::array<uint8_t, name::kWireSizeMax> wildcard = {1, '*'};
  const Bytes suffix = name_.suffix(encloser.depth);
  std::memcpy(wildcard.data() + 2, suffix.data(), suffix.size());
  return answer_from(*find(Bytes(wildcard).first(2 + suffix.size())), &encloser);
}

// `expanded`: the node is the wildcard below this encloser of the name.
bool Resolver::answer_from(const Node& node, const Encloser* expanded) {
  const LoadedZone& zone = *lookup_.zone;
  if (!may_see_node(zone, &node, subject_)) {
    return hide();
  }
  if (query_.qtype == type::rrsig && answer_signatures(node, expanded)) {
    return false;
  }
  const Rrset* rrset =
      query_.qtype == type::rrsig ? nullptr : find_rrset(node.rrsets(), query_.qtype);
  const bool is_answer = rrset != nullptr;
  if (!is_answer && (node.flags & flag::cname) != 0 && (node.flags & flag::cut) == 0) {
    rrset = find_type(node, type::cname);
  }
  if (rrset == nullptr) {
    if (wants_dnssec()) {
      if (expanded == nullptr) {
        proofs_.prove_no_type(zone, name_);
      } else {
        proofs_.prove_no_wildcard(zone, name_, expanded->depth);
      }
    }
    return deny(Outcome::nodata);
  }
  if (is_answer && answers_alone()) {
    alone_ = &rrset->body;
    return false;
  }
  if (is_answer && rrset->type == type::dname && is_in_answer(node)) {
    return false;  // it was asked for, and has led here
  }
  const size_t at = out_.at();
  Owner owner = out_.owner(name_);
  target_at_ = at + owner.size + kRecordFixedSize;
  add_rrset(Section::answer, owner, node, *rrset);
  if (expanded != nullptr && wants_dnssec()) {
    proofs_.prove_no_closer(zone, name_, expanded->depth);
  }
  if (is_answer) {
    return false;
  }
  dnames_[links_] = nullptr;
  return target_->assign(first_data(rrset->body));
}

// All signatures at a name. False: there are none.
bool Resolver::answer_signatures(const Node& node, const Encloser* expanded) {
  Owner owner = out_.owner(name_);
  bool any = false;
  for (const Rrset& rrset : node.rrsets()) {
    const Body signature = lookup_.zone->signature_of(node, rrset);
    if (signature.size != 0) {
      out_.add(Section::answer, owner, signature);
      any = true;
    }
  }
  if (any && expanded != nullptr && wants_dnssec()) {
    proofs_.prove_no_closer(*lookup_.zone, name_, expanded->depth);
  }
  return any;
}

// RFC 6672 section 3.2: the DNAME, the CNAME that it makes, and on with that.
bool Resolver::redirect(const Encloser& owner) {
  if (!may_see_node(*lookup_.zone, owner.node, subject_)) {
    return hide();
  }
  const Rrset& rrset = *find_type(*owner.node, type::dname);
  LabelledCopy suffix;
  if (!suffix.assign(first_data(rrset.body))) {
    return false;
  }
  const LabelledName from = ancestor(owner.depth);
  if (!is_in_answer(*owner.node)) {
    Owner dname_owner = out_.owner(from);
    add_rrset(Section::answer, dname_owner, *owner.node, rrset);
  } else if (is_at_or_below(suffix.name(), from)) {
    return false;  // it leads below itself, longer each time
  }
  dnames_[links_] = owner.node;
  if (!target_->assign(name_, owner.depth, suffix)) {
    outcome_ = Outcome::yxdomain;
    return false;
  }
  const Owner alias = out_.owner(name_);
  target_at_ = out_.at() + alias.size + kRecordFixedSize;
  out_.add_record(Section::answer, alias, type::cname, first_ttl(rrset.body), target_->bytes());
  return query_.qtype != type::cname;
}

bool Resolver::refer(const Encloser& cut) {
  const LoadedZone& zone = *lookup_.zone;
  if (!may_see_node(zone, cut.node, subject_)) {
    return hide();
  }
  outcome_ = Outcome::referral;
  const LabelledName cut_name = ancestor(cut.depth);
  Owner owner = out_.owner(cut_name);
  const size_t at = out_.at();
  const Rrset& servers = *find_type(*cut.node, type::ns);
  out_.add(Section::authority, owner, servers.body);
  const Bytes ns_records = out_.ok() ? out_.written_since(at) : Bytes{};
  if (wants_dnssec()) {
    const Rrset* ds = find_type(*cut.node, type::ds);
    if (ds != nullptr) {
      add_rrset(Section::authority, owner, *cut.node, *ds);
    } else {
      proofs_.prove_no_type(zone, cut_name);
    }
  }
  add_proofs();
  if (out_.ok()) {
    add_glue(cut_name, ns_records, at);
  }
  return false;
}

// RFC 9471: all addresses of servers below the cut, or TC; of other servers in the zone what fits.
void Resolver::add_glue(const LabelledName& cut, Bytes ns_records, size_t at) {
  for (const bool is_below : {true, false}) {
    size_t behind = 0;
    while (behind < ns_records.size() && out_.ok()) {
      // Record by record, each with its owner: labels, then a pointer or the root.
      while (ns_records[behind] != 0 && (ns_records[behind] & 0xC0) != 0xC0) {
        behind += size_t{ns_records[behind]} + 1;
      }
      behind += ns_records[behind] == 0 ? 1u : 2u;
      const size_t data_at = behind + kRecordFixedSize;
      const Bytes data = ns_records.subspan(data_at, load_be16(ns_records.data() + data_at - 2));
      behind = data_at + data.size();
      LabelledCopy server;
      if (!server.assign(data) || is_at_or_below(server.name(), cut) != is_below) {
        continue;
      }
      const Assembler::Mark mark = out_.mark();
      if (!add_addresses(server.name(), at + data_at) && !is_below) {
        out_.return_to(mark);
        return;
      }
    }
  }
}

// The addresses in this zone of a server whose name stands at `at`. False: no room.
bool Resolver::add_addresses(const LabelledName& name, size_t at) {
  const LoadedZone& zone = *lookup_.zone;
  const Node* node = find(name.name);
  if (node == nullptr || !may_see_node(zone, node, subject_)) {
    return true;
  }
  Owner owner = Assembler::owner_at(at, name.name);
  for (const uint16_t family : {type::a, type::aaaa}) {
    if (const Rrset* rrset = find_type(*node, family); rrset != nullptr) {
      add_rrset(Section::additional, owner, *node, *rrset);
    }
  }
  return out_.ok();
}

bool Resolver::deny(Outcome outcome) {
  outcome_ = outcome;
  if (answers_alone()) {
    alone_ = &lookup_.zone->negative();
    return false;
  }
  add_soa();
  add_proofs();
  return false;
}

// The subject may not see what would answer: as if it were not ours.
bool Resolver::hide() {
  is_refused_ = links_ == 0;
  return false;
}

// To what an alias leads. False: the chain ends with the alias.
bool Resolver::follow() {
  const LabelledName target = target_->name();
  const snapshot::Snapshot& snapshot = *lookup_.snapshot;
  Lookup next;
  next.snapshot = &snapshot;
  next.hash = snapshot.key().hash(target.name);
  const auto been_at = std::span(visited_).first(links_ + 1);
  if (std::ranges::find(been_at, next.hash) != been_at.end()) {
    return false;
  }
  next.zone = snapshot.find_zone(target.name, target.label_offsets, target.label_count);
  next.node = next.zone == nullptr ? nullptr : next.zone->find(next.hash, target.name);
  next = as_seen_by(target, next, subject_);
  if (!may_see(target, next, subject_)) {
    return false;
  }
  lookup_ = next;
  visited_[++links_] = next.hash;
  name_ = target;
  out_.lean_on(name_, target_at_);
  target_ = target_ == &copies_[0] ? &copies_[1] : &copies_[0];
  ask_parent_for_ds();
  return true;
}

void Resolver::add_rrset(Section section, Owner& owner, const Node& node, const Rrset& rrset) {
  out_.add(section, owner, rrset.body);
  if (wants_dnssec()) {
    const Body signature = lookup_.zone->signature_of(node, rrset);
    if (signature.size != 0) {
      out_.add(section, owner, signature);
    }
  }
}

// RFC 2308 section 3: the TTL of a negative answer's SOA is at most its minimum field.
void Resolver::add_soa() {
  const LoadedZone& zone = *lookup_.zone;
  const Node& apex = zone.apex_node();
  const Rrset* soa = find_type(apex, type::soa);
  const Bytes data = soa == nullptr ? Bytes{} : first_data(soa->body);
  if (data.size() < kSoaMinimumSize) {
    return;
  }
  const uint32_t minimum = load_be32(data.data() + data.size() - kSoaMinimumSize);
  const uint32_t ttl = std::min(first_ttl(soa->body), minimum);
  Owner owner = out_.owner(zone.view().apex());
  out_.add(Section::authority, owner, soa->body, ttl);
  if (wants_dnssec()) {
    const Body signature = zone.signature_of(apex, *soa);
    if (signature.size != 0) {
      out_.add(Section::authority, owner, signature, ttl);
    }
  }
}

void Resolver::add_proofs() {
  for (const Proof& proof : proofs_.all()) {
    const snapshot::ZoneView& view = proof.zone->view();
    const snapshot::BodiesView& bodies = view.own_bodies();
    if (view.info().denial == snapshot::Denial::nsec) {
      const snapshot::NodeEntry& node = view.nodes()[proof.number];
      const auto rrsets = view.rrsets_of(node);
      const auto nsec =
          std::ranges::lower_bound(rrsets, type::nsec, {}, &snapshot::RrsetEntry::type);
      const auto place = node.rrset_first + static_cast<size_t>(nsec - rrsets.begin());
      Owner owner = out_.owner(view.name_of(node));
      out_.add(Section::authority, owner, proof.zone->body_of(*nsec));
      if (const uint32_t signature = view.signature_of(place); signature != snapshot::kNoBody) {
        out_.add(Section::authority, owner, bodies.body(signature));
      }
      continue;
    }
    const snapshot::Nsec3Entry& entry = view.nsec3()[proof.number];
    const Bytes apex = view.apex();
    std::array<uint8_t, kNsec3NameMax> name;
    if (apex.size() > name.size() - name::kNsec3LabelSize) {
      continue;  // such a name cannot be
    }
    name::write_nsec3_label(entry.hash, std::span(name).first<name::kNsec3LabelSize>());
    std::memcpy(name.data() + name::kNsec3LabelSize, apex.data(), apex.size());
    Owner owner = out_.owner(Bytes(name).first(name::kNsec3LabelSize + apex.size()));
    out_.add(Section::authority, owner, bodies.body(entry.body));
    out_.add(Section::authority, owner, bodies.body(entry.signature));
  }
}

void Resolver::finish(size_t room) {
  reply_.in_scratch = false;
  reply_.body = Body{};
  if (is_refused_) {
    reply_.outcome = Outcome::refused_not_ours;
    reply_.authoritative = false;
    return;
  }
  reply_.outcome = outcome_;
  // A referral's own data is the child's; with aliases in front of it the answer is still ours.
  reply_.authoritative = outcome_ != Outcome::referral || links_ != 0;
  if (alone_ != nullptr ? alone_->size > room : !out_.ok()) {
    reply_.outcome = Outcome::truncated;
  } else if (alone_ != nullptr) {
    reply_.body = *alone_;
    reply_.pointer = static_cast<uint16_t>(
        0xC000u | (wire::kHeaderSize + query_.qname_size - lookup_.zone->apex_size()));
  } else {
    reply_.body = out_.body();
    reply_.in_scratch = true;
  }
}

}  // namespace

void resolve(const Query& query, const Lookup& lookup, const Subject& subject, size_t room,
             MutableBytes scratch, Reply& reply) {
  Resolver resolver(query, lookup, subject, scratch.first(std::min(room, scratch.size())), reply);
  resolver.run();
  resolver.finish(room);
}

}  // namespace merlon::answer
