#include "actors/workflow/engine.hpp"

#include "actors/workflow/core.hpp"

namespace belay::workflows {

engine::engine(engine_setup setup, workflow_function code)
  : core_{std::make_unique<core>(std::move(setup), std::move(code))} {}

engine::~engine() = default;

void engine::advance() {
  core_->advance();
}

bool engine::must_commit() const {
  return core_->journal().is_urgent();
}

bool engine::is_dirty() const {
  return core_->journal().is_dirty();
}

journal_batch engine::take_batch() {
  return core_->take_batch();
}

void engine::committed() {
  core_->committed();
}

std::vector<want> engine::take_wants() {
  return core_->take_wants();
}

std::vector<std::uint64_t> engine::take_dropped() {
  return core_->take_dropped();
}

void engine::complete(std::uint64_t op, std::string result_json) {
  core_->complete(op, std::move(result_json));
}

void engine::note(std::uint64_t op, std::string state_json) {
  core_->note(op, std::move(state_json));
}

void engine::request_cancel(const std::string& reason) {
  core_->request_cancel(reason);
}

const std::optional<outcome>& engine::result() const {
  return core_->result();
}

std::vector<want> engine::pending() const {
  return core_->pending();
}

std::size_t engine::needed() const {
  return core_->needed();
}

bool engine::is_taken(const std::string& signal, event_seq seq) const {
  return core_->is_taken(signal, seq);
}

bool engine::replaying() const {
  return core_->replaying();
}

} // namespace belay::workflows
