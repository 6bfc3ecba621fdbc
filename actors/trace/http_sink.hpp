// Spans to an OpenTelemetry collector: OTLP/HTTP with JSON.
#pragma once

#include "actors/trace/sink.hpp"
#include "messages/error.hpp"
#include "messages/ids.hpp"

#include <memory>
#include <optional>

namespace belay::tracing {

/// Checks an address to post to. Nothing when it is one.
[[nodiscard]] std::optional<refusal> check_endpoint(const std::string& url);

/// Posts each line. 429, 502, 503, 504 and a connection that fails are `again`, every other answer
/// but 2xx is `refused` (the OTLP specification, "OTLP/HTTP Response"). Redirects are not followed.
class http_sink : public sink {
public:
  http_sink(std::string url, duration_ms timeout_ms);
  ~http_sink() override;

  sent write(const std::string& line, const std::function<bool()>& hurry) override;
  [[nodiscard]] std::string name() const override;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace belay::tracing
