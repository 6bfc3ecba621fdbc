// The numbers and names under which types travel. Append, never reorder: newer CAF versions put the
// numbers on the wire.
#pragma once

#include "messages/operations.hpp"

#include <caf/atom.hpp>
#include <caf/error.hpp>
#include <caf/make_message.hpp>
#include <caf/message.hpp>
#include <caf/type_id.hpp>

namespace belay {
struct welcome;
} // namespace belay

CAF_ERROR_CODE_ENUM(belay::ec, "belay")

// Atom texts: at most 10 of [a-z_]; any other character collapses to a space.
CAF_BEGIN_TYPE_ID_BLOCK(belay_messages, caf::first_custom_type_id)

  CAF_ADD_ATOM(belay_messages, belay::atom, alarm, "alarm")
  CAF_ADD_ATOM(belay_messages, belay::atom, append, "append")
  CAF_ADD_ATOM(belay_messages, belay::atom, cancel, "cancel")
  CAF_ADD_ATOM(belay_messages, belay::atom, changed, "changed")
  CAF_ADD_ATOM(belay_messages, belay::atom, claim, "claim")
  CAF_ADD_ATOM(belay_messages, belay::atom, commit, "commit")
  CAF_ADD_ATOM(belay_messages, belay::atom, complete, "complete")
  CAF_ADD_ATOM(belay_messages, belay::atom, connect, "attach")
  CAF_ADD_ATOM(belay_messages, belay::atom, count, "count")
  CAF_ADD_ATOM(belay_messages, belay::atom, drain, "drain")
  CAF_ADD_ATOM(belay_messages, belay::atom, enlist, "enlist")
  CAF_ADD_ATOM(belay_messages, belay::atom, enroll, "enroll")
  CAF_ADD_ATOM(belay_messages, belay::atom, events, "events")
  CAF_ADD_ATOM(belay_messages, belay::atom, finished, "finished")
  CAF_ADD_ATOM(belay_messages, belay::atom, follow, "follow")
  CAF_ADD_ATOM(belay_messages, belay::atom, get, "fetch")
  CAF_ADD_ATOM(belay_messages, belay::atom, grant, "grant")
  CAF_ADD_ATOM(belay_messages, belay::atom, hello, "hello")
  CAF_ADD_ATOM(belay_messages, belay::atom, list, "list")
  CAF_ADD_ATOM(belay_messages, belay::atom, lost, "lost")
  CAF_ADD_ATOM(belay_messages, belay::atom, offer, "offer")
  CAF_ADD_ATOM(belay_messages, belay::atom, release, "release")
  CAF_ADD_ATOM(belay_messages, belay::atom, renew, "renew")
  CAF_ADD_ATOM(belay_messages, belay::atom, snapshot, "snapshot")
  CAF_ADD_ATOM(belay_messages, belay::atom, stop, "stop")
  CAF_ADD_ATOM(belay_messages, belay::atom, sweep, "sweep")
  CAF_ADD_ATOM(belay_messages, belay::atom, tick, "alarm_tick")
  CAF_ADD_ATOM(belay_messages, belay::atom, wait, "wait")
  CAF_ADD_ATOM(belay_messages, belay::atom, withdraw, "withdraw")

  CAF_ADD_TYPE_ID(belay_messages, (belay::ec))
  CAF_ADD_TYPE_ID(belay_messages, (belay::row_id))
  CAF_ADD_TYPE_ID(belay_messages, (belay::fencing_token))
  CAF_ADD_TYPE_ID(belay_messages, (belay::owner))
  CAF_ADD_TYPE_ID(belay_messages, (belay::lease))
  CAF_ADD_TYPE_ID(belay_messages, (belay::event))
  CAF_ADD_TYPE_ID(belay_messages, (belay::event_page))
  CAF_ADD_TYPE_ID(belay_messages, (belay::outcome))
  CAF_ADD_TYPE_ID(belay_messages, (belay::registration))
  CAF_ADD_TYPE_ID(belay_messages, (belay::process_view))
  CAF_ADD_TYPE_ID(belay_messages, (belay::list_query))
  CAF_ADD_TYPE_ID(belay_messages, (belay::process_page))
  CAF_ADD_TYPE_ID(belay_messages, (belay::process_counts))
  CAF_ADD_TYPE_ID(belay_messages, (belay::append_request))
  CAF_ADD_TYPE_ID(belay_messages, (belay::cancel_request))
  CAF_ADD_TYPE_ID(belay_messages, (belay::registered_list))
  CAF_ADD_TYPE_ID(belay_messages, (belay::claimed_list))
  CAF_ADD_TYPE_ID(belay_messages, (belay::completion))
  CAF_ADD_TYPE_ID(belay_messages, (belay::cancel_receipt))
  CAF_ADD_TYPE_ID(belay_messages, (belay::done))
  CAF_ADD_TYPE_ID(belay_messages, (belay::outcome_view))
  CAF_ADD_TYPE_ID(belay_messages, (belay::welcome))
  CAF_ADD_TYPE_ID(belay_messages, (std::vector<belay::registration>))
  CAF_ADD_TYPE_ID(belay_messages, (std::vector<belay::row_id>))
  CAF_ADD_TYPE_ID(belay_messages, (std::vector<std::string>))

  CAF_ADD_ATOM(belay_messages, belay::atom, abandon, "abandon")
  CAF_ADD_ATOM(belay_messages, belay::atom, again, "again")
  CAF_ADD_ATOM(belay_messages, belay::atom, changes, "changes")
  CAF_ADD_ATOM(belay_messages, belay::atom, check, "check")
  CAF_ADD_ATOM(belay_messages, belay::atom, compact, "compact")
  CAF_ADD_ATOM(belay_messages, belay::atom, forget, "forget")
  CAF_ADD_ATOM(belay_messages, belay::atom, observe, "observe")
  CAF_ADD_ATOM(belay_messages, belay::atom, park, "park")
  CAF_ADD_ATOM(belay_messages, belay::atom, prune, "prune")
  CAF_ADD_ATOM(belay_messages, belay::atom, recent, "recent")
  CAF_ADD_ATOM(belay_messages, belay::atom, reference, "reference")
  CAF_ADD_ATOM(belay_messages, belay::atom, requeue, "requeue")
  CAF_ADD_ATOM(belay_messages, belay::atom, retarget, "retarget")
  CAF_ADD_ATOM(belay_messages, belay::atom, settle, "settle")
  CAF_ADD_ATOM(belay_messages, belay::atom, transfer, "transfer")
  CAF_ADD_ATOM(belay_messages, belay::atom, wakes, "wakes")

  CAF_ADD_TYPE_ID(belay_messages, (belay::wake_id))
  CAF_ADD_TYPE_ID(belay_messages, (belay::wait_condition))
  CAF_ADD_TYPE_ID(belay_messages, (belay::park_receipt))
  CAF_ADD_TYPE_ID(belay_messages, (belay::observe_request))
  CAF_ADD_TYPE_ID(belay_messages, (belay::transfer_request))
  CAF_ADD_TYPE_ID(belay_messages, (belay::session_report))
  CAF_ADD_TYPE_ID(belay_messages, (belay::retarget_request))
  CAF_ADD_TYPE_ID(belay_messages, (belay::wake_list))
  CAF_ADD_TYPE_ID(belay_messages, (belay::take_wakes_request))
  CAF_ADD_TYPE_ID(belay_messages, (belay::settle_wake_request))
  CAF_ADD_TYPE_ID(belay_messages, (belay::external_ref_request))
  CAF_ADD_TYPE_ID(belay_messages, (belay::settle_request))
  CAF_ADD_TYPE_ID(belay_messages, (belay::abandon_request))
  CAF_ADD_TYPE_ID(belay_messages, (belay::abandon_receipt))
  CAF_ADD_TYPE_ID(belay_messages, (belay::requeue_request))
  CAF_ADD_TYPE_ID(belay_messages, (belay::again_request))
  CAF_ADD_TYPE_ID(belay_messages, (belay::prune_request))
  CAF_ADD_TYPE_ID(belay_messages, (belay::prune_report))
  CAF_ADD_TYPE_ID(belay_messages, (belay::compact_request))
  CAF_ADD_TYPE_ID(belay_messages, (belay::change_page))
  CAF_ADD_TYPE_ID(belay_messages, (belay::wakes_query))
  CAF_ADD_TYPE_ID(belay_messages, (belay::check_report))

CAF_END_TYPE_ID_BLOCK(belay_messages)
