#include "actors/metrics/gauges.hpp"

#include "messages/membership.hpp"

#ifndef BELAY_COMMIT
#define BELAY_COMMIT ""
#endif

namespace belay::metrics {

namespace {

void add(std::vector<reading>& to, const char* name, const char* help, double value) {
  to.push_back({name, help, {{value, {}}}});
}

void add(std::vector<reading>& to, const char* name, const char* help, std::uint64_t value) {
  add(to, name, help, static_cast<double>(value));
}

} // namespace

void add_store(std::vector<reading>& to, const storage::store& store) {
  const auto x = store.stat();
  add(to, "belay_store_used_bytes", "Of the data file, what is in use.", x.used_bytes);
  add(to, "belay_store_file_bytes", "Size of the data file.", x.file_bytes);
  add(to, "belay_store_size_max_bytes", "Size that the data file may have.", x.size_max_bytes);
  add(to, "belay_store_disk_free_bytes", "Free on the disk of the data directory.",
      x.disk_free_bytes);
  add(to, "belay_store_nearly_full",
      "1 while new processes are refused because the disk or the store is nearly full.",
      std::uint64_t{store.nearly_full() ? 1U : 0U});
  add(to, "belay_store_readers", "Read transactions that are open or were.", x.readers);
  add(to, "belay_store_oldest_reader_transactions",
      "How many transactions the oldest reader lies behind: pages that it may read stay taken.",
      x.oldest_reader_behind);
  const auto records = [&x](const char* table) {
    const auto found = x.records.find(table);
    return found == x.records.end() ? std::uint64_t{0} : found->second;
  };
  add(to, "belay_leases_held", "Processes that a worker holds now.", records("lease"));
  add(to, "belay_timers_pending", "Timers and deadlines of what waits.", records("timer"));
  add(to, "belay_store_files", "Longer texts kept in files beside the store.", x.blobs);
  reading states{"belay_processes", "Processes by state, those included that have ended.", {}};
  for (const auto* state : {"ready", "running", "waiting", "quarantined", "external", "success",
                            "failure", "cancelled", "abandoned"}) {
    const auto found = x.by_state.find(state);
    states.samples.push_back(
      {found == x.by_state.end() ? 0 : static_cast<double>(found->second), {{"state", state}}});
  }
  to.push_back(std::move(states));
}

void add_build(std::vector<reading>& to, const std::string& node, const std::string& role) {
  to.push_back(
    {"belay_build_info",
     "1; the labels say what runs here.",
     {{1,
       {{"version", program_version}, {"commit", BELAY_COMMIT}, {"node", node}, {"role", role}}}}});
}

} // namespace belay::metrics
