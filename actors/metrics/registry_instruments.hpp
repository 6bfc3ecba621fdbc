// What the registry counts of its work, at the event.
#pragma once

#include "actors/metrics/exposition.hpp"
#include "messages/operations.hpp"
#include "storage/store.hpp"

#include <functional>
#include <memory>
#include <span>

namespace belay::metrics {

/// docs/METRICS.md says what each metric means.
///
/// Concurrency: the counting members from the registry's thread, the others from any.
class registry_instruments {
public:
  /// `name_of` gives the text of a kind's number (`storage::store::name`); asked once for each.
  registry_instruments(std::shared_ptr<exposition> to,
                       std::function<std::string(std::uint32_t)> name_of);
  ~registry_instruments();
  registry_instruments(const registry_instruments&) = delete;
  registry_instruments& operator=(const registry_instruments&) = delete;

  /// The first operation of a batch is here: it is now waited for.
  void batch_begins();
  /// The batch is being written.
  void commit_begins();
  void committed(std::span<const operation> batch, const storage::batch_result& result);
  /// Nothing of the batch was written; all of it was refused.
  void commit_failed(std::size_t operations, ec why);
  /// Refused before it came into a batch.
  void refused(ec code);
  void workers(std::size_t nodes, std::uint64_t slots);

  /// How long the oldest operation has waited for its commit, in seconds; 0 when none waits.
  [[nodiscard]] double commit_pending_seconds() const;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace belay::metrics
