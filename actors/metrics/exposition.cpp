#include "actors/metrics/exposition_impl.hpp"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>
#include <sstream>

namespace belay::metrics {

exposition::exposition(std::size_t names_max)
  : impl_{std::make_unique<impl>()}, kinds_{names_max}, queues_{names_max} {}

exposition::~exposition() = default;

std::string exposition::text(const std::vector<reading>& readings) const {
  auto families = impl_->all.Collect();
  for (const auto& one : readings) {
    prometheus::MetricFamily family;
    family.name = one.name;
    family.help = one.help;
    family.type = one.is_counter ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge;
    for (const auto& x : one.samples) {
      prometheus::ClientMetric metric;
      for (const auto& [name, value] : x.labels) {
        metric.label.push_back({name, value});
      }
      (one.is_counter ? metric.counter.value : metric.gauge.value) = x.value;
      family.metric.push_back(std::move(metric));
    }
    if (!family.metric.empty()) {
      families.push_back(std::move(family));
    }
  }
  std::ostringstream out;
  prometheus::TextSerializer{}.Serialize(out, families);
  return out.str();
}

std::string exposition::kind_label(const std::string& kind) {
  const std::lock_guard lock{mutex_};
  return kinds_.of(kind);
}

std::set<std::string> exposition::labelled_queues() {
  const std::lock_guard lock{mutex_};
  return queues_.names();
}

std::string exposition::queue_label(const std::string& queue) {
  const std::lock_guard lock{mutex_};
  return queues_.of(queue);
}

} // namespace belay::metrics
