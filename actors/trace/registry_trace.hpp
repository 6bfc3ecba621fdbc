// What the registry tells of traces: registrations, waits, claims, commits, and runs that were
// lost.
#pragma once

#include "actors/trace/tracer.hpp"
#include "messages/operations.hpp"

#include <map>
#include <span>
#include <vector>

namespace belay::tracing {

/// **Concurrency.** The registry's own.
class registry_trace {
public:
  explicit registry_trace(std::shared_ptr<const tracer> by) : by_{std::move(by)} {}

  /// An operation has come into the batch.
  void joined();
  /// The batch is about to be applied.
  void commit_begins();
  /// It is on disk; nobody has been told yet. Both are in the same order.
  void committed(std::span<const operation> batch, std::span<const answer> answers);
  /// Nothing of it was written.
  void commit_failed();

private:
  /// A sampled run, as far as the registry knows: kept to say so when it is lost, and to link
  /// commits to it.
  struct running {
    fencing_token fence{};
    std::uint32_t attempt = 0;
    std::string owner;
    std::int64_t claimed_ns = 0;
    process_trace trace;
    std::string span_id;
  };

  void registered(const registration& what, row_id row, std::int64_t start_ns);
  void claimed_one(const claimed& x);
  void claimed_all(const claimed_list& rows);
  void lost(const claimed& successor, const running& x);
  /// The run under this lease is over or, when not `ends`, has written something.
  void wrote(const lease& held, bool ends);
  void link(const std::string& trace_id, const std::string& span_id);
  void look_at(const operation& op, const answer& x, std::int64_t start_ns);
  void write_commit(std::size_t operations);

  std::shared_ptr<const tracer> by_;
  std::vector<std::int64_t> joined_ns_;
  std::int64_t begin_ns_ = 0;
  std::int64_t end_ns_ = 0;
  std::vector<span_link> links_;
  std::map<row_id, running> running_;
};

} // namespace belay::tracing
