#include "actors/metrics/gauges.hpp"

#include "messages/membership.hpp"

#include <algorithm>
#include <map>

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

void add_queues(std::vector<reading>& to, exposition& labels, const std::vector<queue_depth>& all) {
  // The store leaves empty queues out; a series that was there goes on with zeros.
  std::map<std::string, queue_depth> by_label{{label_set::other, {}}};
  for (const auto& label : labels.labelled_queues()) {
    by_label[label] = {};
  }
  for (const auto& one : all) {
    auto& x = by_label[labels.queue_label(one.name)];
    x.ready += one.ready;
    x.delayed += one.delayed;
    x.running += one.running;
    x.waiting += one.waiting;
    x.oldest_ready_ms = std::max(x.oldest_ready_ms, one.oldest_ready_ms);
  }
  reading ready{"belay_queue_ready", "Processes that are due and not claimed.", {}};
  reading delayed{"belay_queue_delayed", "Processes that are due later.", {}};
  reading running{"belay_queue_running", "Processes that a worker holds.", {}};
  reading waiting{
    "belay_queue_waiting", "Processes that wait for something, without a worker.", {}};
  reading oldest{"belay_queue_oldest_ready_seconds",
                 "How long the oldest process that is due has waited to be claimed.",
                 {}};
  for (const auto& [label, x] : by_label) {
    const std::vector<std::pair<std::string, std::string>> queue{{"queue", label}};
    ready.samples.push_back({static_cast<double>(x.ready), queue});
    delayed.samples.push_back({static_cast<double>(x.delayed), queue});
    running.samples.push_back({static_cast<double>(x.running), queue});
    waiting.samples.push_back({static_cast<double>(x.waiting), queue});
    oldest.samples.push_back({static_cast<double>(x.oldest_ready_ms) / 1e3, queue});
  }
  to.insert(to.end(), {ready, delayed, running, waiting, oldest});
}

void add_build(std::vector<reading>& to, const std::string& node, const std::string& role,
               const std::string& commit) {
  to.push_back(
    {"belay_build_info",
     "1; the labels say what runs here.",
     {{1, {{"version", program_version}, {"commit", commit}, {"node", node}, {"role", role}}}}});
}

} // namespace belay::metrics
