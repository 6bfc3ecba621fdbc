// The granted right to run one process, until a deadline.
#pragma once

#include "messages/ids.hpp"

namespace belay {

/// What a claim grants. Every write of the process presents it; the registry compares token, owner
/// and fence with the stored lease and refuses when they differ or the deadline has passed.
struct lease {
  row_id row{};
  process_id id;
  owner holder;
  lease_token token;
  fencing_token fence{};
  timestamp_ms claimed_at = 0;
  timestamp_ms expires_at = 0;
};

template <class Inspector>
typename Inspector::result_type inspect(Inspector& f, lease& x) {
  using inspection::field;
  return inspection::object(f, "lease", field("row", x.row), field("id", x.id),
                            field("holder", x.holder), field("token", x.token),
                            field("fence", x.fence), field("claimed_at", x.claimed_at),
                            field("expires_at", x.expires_at));
}

} // namespace belay
