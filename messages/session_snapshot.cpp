#include "messages/session_snapshot.hpp"

#include <nlohmann/json.hpp>

namespace belay {

namespace {

/// Returns a member that is a text, or an empty one.
std::string text_member(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

nlohmann::json time_or_null(timestamp_ms at) {
  return at == 0 ? nlohmann::json(nullptr) : nlohmann::json(at);
}

nlohmann::json text_or_null(const std::string& text) {
  return text.empty() ? nlohmann::json(nullptr) : nlohmann::json(text);
}

nlohmann::json wait_json(const wait_view& x) {
  if (x.until.kind == wait_kind::none) {
    return nullptr;
  }
  return {{"for", to_string(x.until.kind)},
          {"name", x.until.name},
          {"ordinal", x.until.ordinal},
          {"since_ms", x.since},
          {"deadline_ms", time_or_null(x.until.deadline)}};
}

nlohmann::json error_json(const session_entry& x) {
  if (x.error.empty() && x.error_code.empty()) {
    return nullptr;
  }
  return {{"code", text_or_null(x.error_code)}, {"text", x.error}};
}

nlohmann::json roles_json(const session_entry& x) {
  auto roles = nlohmann::json::array();
  if (x.observes) {
    roles.push_back("observer");
  }
  if (x.woken_by) {
    roles.push_back("wake");
  }
  return roles;
}

nlohmann::json events_json(const std::vector<event>& events) {
  auto all = nlohmann::json::array();
  for (const auto& x : events) {
    all.push_back({{"seq", x.seq},
                   {"at_ms", x.at},
                   {"type", x.type},
                   {"payload", nlohmann::json::parse(x.payload)}});
  }
  return all;
}

} // namespace

void describe(session_entry& x, const registration& what) {
  x.title = what.label;
  const auto input = nlohmann::json::parse(what.input);
  const auto metadata = input.find("metadata");
  if (input.at("type") == "external" && metadata != input.end() && metadata->is_object()) {
    for (const auto* key : {"label", "name", "title"}) {
      if (x.title.empty()) {
        x.title = text_member(*metadata, key);
      }
    }
    x.child_session = text_member(*metadata, "child_session_id");
  }
  if (x.title.empty()) {
    x.title = what.kind;
  }
}

void describe(session_entry& x, const outcome& ended) {
  if (ended.kind != outcome_kind::success) {
    x.error_code = ended.code;
    x.error = ended.message.empty() ? to_string(ended.kind) : ended.message;
  }
}

nlohmann::json host_json(const session_entry& x, timestamp_ms now) {
  const auto& process = x.process;
  nlohmann::json text{{"id", process.id},
                      {"kind", process.kind},
                      {"label", x.title},
                      {"state", state_word(process, now)},
                      {"roles", roles_json(x)},
                      {"rule", to_string(x.rule)},
                      {"originator", process.originator},
                      {"created_at_ms", process.created_at},
                      {"updated_at_ms", process.updated_at},
                      {"started_at_ms", time_or_null(process.started_at)},
                      {"finished_at_ms", time_or_null(process.finished_at)},
                      {"attempt", process.attempt},
                      {"last_seq", process.last_seq},
                      {"child_session_id", text_or_null(x.child_session)},
                      {"waiting", wait_json(process.waiting)},
                      {"error", error_json(x)},
                      {"lease", nullptr},
                      {"first_started", nullptr},
                      {"abandon", nullptr},
                      {"events", events_json(x.events)}};
  if (!process.holder.name.empty()) {
    text["lease"] = {{"owner", process.holder.name},
                     {"incarnation", process.holder.incarnation},
                     {"expires_at_ms", process.lease_expires_at}};
  }
  if (!process.first_owner.name.empty()) {
    text["first_started"] = {{"owner", process.first_owner.name},
                             {"incarnation", process.first_owner.incarnation},
                             {"fence", static_cast<std::uint64_t>(process.first_fence)}};
  }
  if (!process.abandon.empty()) {
    text["abandon"] = nlohmann::json::parse(process.abandon);
  }
  return text;
}

} // namespace belay
