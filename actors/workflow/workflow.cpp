#include "actors/workflow/workflow.hpp"

#include "actors/workflow/core.hpp"

namespace belay {

using workflows::operation_ptr;

namespace {

std::string hash_of(const json& input) {
  return hash_hex(input.dump()).substr(0, 32);
}

} // namespace

effect<json> workflow::call(std::string tool, arguments args, call_options options) {
  auto name = options.name.empty() ? tool : std::string{options.name};
  const json asked{{"tool", tool}, {"args", args.value()}};
  auto x = core_.make(effect_kind::call, std::move(name), hash_of(asked));
  x->target = std::move(tool);
  x->args = std::move(args).value();
  x->retry = options.retry;
  x->timeout_ms = options.timeout.count();
  return effect<json>{core_, std::move(x)};
}

operation_ptr workflow::make_step(std::string name, std::function<json()> code) {
  auto x = core_.make(effect_kind::step, std::move(name));
  x->code = std::move(code);
  return x;
}

started workflow::start(std::string tool, arguments args, child_options options) {
  const json input{{"type", "tool_call"}, {"tool", tool}, {"args", std::move(args).value()}};
  auto kind = tool;
  return started{core_, core_.make_child(std::move(tool), std::move(kind), input, options)};
}

started workflow::start_workflow(std::string name, arguments args, child_options options) {
  const json input{{"type", "workflow"},
                   {"workflow", name},
                   {"version", options.version},
                   {"args", std::move(args).value()}};
  auto kind = name + "@" + std::to_string(options.version);
  return started{core_, core_.make_child(std::move(name), std::move(kind), input, options)};
}

child workflow::attach_to(process_id id) {
  return child{core_, std::move(id)};
}

effect<json> child::result() const {
  auto x = engine_->make(effect_kind::child, id_);
  x->target = id_;
  return effect<json>{*engine_, std::move(x)};
}

effect<json> workflow::wait_signal(std::string name) {
  auto x = core_.make(effect_kind::signal, name);
  x->target = std::move(name);
  return effect<json>{core_, std::move(x)};
}

effect<std::optional<json>>
workflow::wait_signal(std::string name, std::chrono::milliseconds timeout) {
  auto x = core_.make(effect_kind::signal, name);
  x->target = std::move(name);
  x->wait_ms = timeout.count();
  return effect<std::optional<json>>{core_, std::move(x)};
}

effect<void> workflow::sleep(std::chrono::milliseconds length) {
  auto x = core_.make(effect_kind::timer, "sleep");
  x->wait_ms = length.count();
  return effect<void>{core_, std::move(x)};
}

effect<void> workflow::sleep_until(std::chrono::sys_time<std::chrono::milliseconds> at) {
  auto x = core_.make(effect_kind::timer, "sleep");
  x->until = at.time_since_epoch().count();
  return effect<void>{core_, std::move(x)};
}

void workflow::emit(std::string type, const json& payload) {
  core_.emit(std::move(type), payload.dump());
}

void workflow::set_status(const json& status) {
  core_.set_status(status.dump());
}

std::string workflow::attach(const std::string& bytes, std::string name) {
  return core_.attach(bytes, std::move(name));
}

bool workflow::cancelled() const {
  return core_.cancelled();
}

std::uint64_t workflow::random() {
  return core_.random();
}

std::chrono::sys_time<std::chrono::milliseconds> workflow::now() {
  return std::chrono::sys_time<std::chrono::milliseconds>{std::chrono::milliseconds{core_.now()}};
}

const process_id& workflow::id() const {
  return core_.setup().id;
}

std::uint32_t workflow::attempt() const {
  return core_.setup().attempt;
}

bool workflow::replaying() const {
  return core_.replaying();
}

bool workflow::patched(std::string name) {
  return core_.patched(std::move(name));
}

void workflow::log(const std::string& text, const json& fields) {
  core_.log(text, fields);
}

} // namespace belay
