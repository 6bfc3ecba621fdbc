#include "actors/trace/span.hpp"

#include <nlohmann/json.hpp>

namespace belay::tracing {

namespace {

using nlohmann::json;

/// `STATUS_CODE_ERROR` of trace.proto. One that went well says nothing: OK is for the application.
constexpr int status_error = 2;

json to_json(const std::vector<attribute>& all) {
  auto list = json::array();
  for (const auto& [key, value] : all) {
    json shown;
    if (const auto* text = std::get_if<std::string>(&value)) {
      shown["stringValue"] = *text;
    } else if (const auto* number = std::get_if<std::int64_t>(&value)) {
      shown["intValue"] = std::to_string(*number);
    } else {
      shown["boolValue"] = std::get<bool>(value);
    }
    list.push_back({{"key", key}, {"value", std::move(shown)}});
  }
  return list;
}

json to_json(const span& x) {
  json text{{"traceId", x.trace_id},
            {"spanId", x.span_id},
            {"name", x.name},
            {"kind", static_cast<int>(x.kind)},
            {"startTimeUnixNano", std::to_string(x.start_ns)},
            {"endTimeUnixNano", std::to_string(x.end_ns)},
            {"attributes", to_json(x.attributes)}};
  if (!x.parent_id.empty()) {
    text["parentSpanId"] = x.parent_id;
  }
  for (const auto& one : x.links) {
    text["links"].push_back({{"traceId", one.trace_id}, {"spanId", one.span_id}});
  }
  if (x.failed) {
    text["status"]["code"] = status_error;
    if (!x.message.empty()) {
      text["status"]["message"] = x.message;
    }
  }
  return text;
}

} // namespace

std::string to_otlp_json(const resource& whose, std::span<const span> spans) {
  auto list = json::array();
  for (const auto& x : spans) {
    list.push_back(to_json(x));
  }
  const json scope{{"scope", {{"name", "belay"}}}, {"spans", std::move(list)}};
  const json from{{"resource", {{"attributes", to_json(whose)}}},
                  {"scopeSpans", json::array({scope})}};
  return json{{"resourceSpans", json::array({from})}}.dump(-1, ' ', false,
                                                           json::error_handler_t::replace);
}

} // namespace belay::tracing
