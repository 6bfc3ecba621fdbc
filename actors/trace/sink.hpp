// Where batches of spans go.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace belay::tracing {

enum class delivery : std::uint8_t {
  done,
  /// Not taken now; the same again may be.
  again,
  /// Never to be taken: dropped.
  refused,
};

/// What became of a batch.
struct sent {
  delivery what = delivery::done;
  /// Why not, for people.
  std::string why;
};

/// Used by one thread at a time.
class sink {
public:
  virtual ~sink() = default;
  sink() = default;
  sink(const sink&) = delete;
  sink& operator=(const sink&) = delete;

  /// Writes a line of OTLP JSON. May block, but asks `hurry` now and then and gives up (`again`)
  /// once that says so.
  virtual sent write(const std::string& line, const std::function<bool()>& hurry) = 0;
  /// The file or address, for people.
  [[nodiscard]] virtual std::string name() const = 0;
};

} // namespace belay::tracing
