#include "messages/error.hpp"

#include <array>

namespace belay {

namespace {

struct words {
  const char* name;
  const char* sentence;
};

constexpr std::array<words, 22> table{{
  {"none", "nothing is wrong"},
  {"unknown_process", "no process has this id"},
  {"registration_conflict", "the id is taken by another registration"},
  {"bad_request", "a field of the request is not acceptable"},
  {"lease_superseded", "the lease is no longer the live one"},
  {"already_terminal", "the process has its outcome already"},
  {"event_conflict", "the idempotency key was used with another payload"},
  {"store_full", "the disk or the store is nearly full; new processes are refused"},
  {"overloaded", "too many requests at once; try again later"},
  {"shutting_down", "the node is stopping"},
  {"outcome_unknown", "the write may or may not have happened; repeat it with the same id or key"},
  {"protocol_mismatch", "client and node speak different versions of the protocol"},
  {"timed_out", "there was no answer in time"},
  {"pruned", "the process had its outcome and is no longer kept"},
  {"authority_refused", "this authority may not complete this process"},
  {"already_set", "another value was set first and stands"},
  {"wrong_state", "the process is not in a state in which this can be done"},
  {"exhausted", "a number that only rises has reached its end"},
  {"unknown_observer", "the session does not observe this process"},
  {"name_taken", "another worker that is connected has this name"},
  {"unknown_node", "no node of the cluster has this name"},
  {"not_permitted", "the certificate's role does not allow it"},
}};
static_assert(table.size() == static_cast<std::size_t>(ec::not_permitted) + 1);

const words& lookup(ec code) {
  static constexpr words unknown{"unknown", "a code of another version"};
  const auto index = static_cast<std::size_t>(code);
  return index < table.size() ? table.at(index) : unknown;
}

} // namespace

std::string to_string(ec code) {
  return lookup(code).name;
}

std::string describe(ec code) {
  return lookup(code).sentence;
}

} // namespace belay
