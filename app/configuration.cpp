#include "app/configuration.hpp"

#include "actors/gate/tls_context.hpp"
#include "actors/machine.hpp"
#include "app/configuration_keys.hpp"
#include "app/configuration_values.hpp"
#include "app/node_file.hpp"
#include "messages/did_you_mean.hpp"
#include "messages/membership.hpp"
#include "messages/page_size.hpp"
#include "messages/time.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <sstream>
#include <toml++/toml.h>
#include <variant>

namespace belay::app {

namespace {

/// Thrown inside this file only.
struct bad_setting {
  std::string text;
};

std::string join(const texts& words) {
  std::string text;
  for (const auto& word : words) {
    text += (text.empty() ? "" : ", ") + word;
  }
  return text;
}

std::string number_text(const number_key& x, std::int64_t value) {
  switch (x.how) {
    case unit::duration:
      return format_duration(value);
    case unit::bytes:
      return size_text(value);
    case unit::count:
      break;
  }
  return std::to_string(value);
}

[[noreturn]] void fail(const std::string& origin, const std::string& name, const std::string& value,
                       const std::string& expected) {
  throw bad_setting{origin + ": " + name + ": " + value + " is not acceptable, expected "
                    + expected};
}

std::string expected_text(const number_key& x) {
  const auto range = " from " + number_text(x, x.low) + " to " + number_text(x, x.high);
  switch (x.how) {
    case unit::duration:
      return "a duration with a unit (ms, s, m, h, d)" + range;
    case unit::bytes:
      return "a size (B, KiB, MiB, GiB)" + range;
    case unit::count:
      break;
  }
  return "a whole number" + range;
}

std::string node_text(const toml::node& node) {
  std::ostringstream out;
  node.visit([&out](const auto& x) { out << x; });
  return out.str();
}

void set(configuration& to, const number_key& x, const std::string& name, const toml::node& node,
         const std::string& origin) {
  std::optional<std::int64_t> value;
  if (const auto number = node.as_integer(); number != nullptr && x.how != unit::duration) {
    value = number->get();
  } else if (const auto text = node.as_string(); text != nullptr && x.how != unit::count) {
    value = x.how == unit::bytes ? parse_size(text->get()) : parse_duration(text->get());
  }
  if (!value || *value < x.low || *value > x.high) {
    fail(origin, name, node_text(node), expected_text(x));
  }
  to.*x.member = *value;
}

void set(configuration& to, const text_key& x, const std::string& name, const toml::node& node,
         const std::string& origin) {
  const auto* text = node.as_string();
  const auto acceptable = [&x](const std::string& given) {
    if (given.empty()) {
      return x.may_be_empty;
    }
    return x.words.empty()
             ? given.find_first_not_of(" \t") != std::string::npos && given.size() <= x.bytes_max
             : std::find(x.words.begin(), x.words.end(), given) != x.words.end();
  };
  if (text == nullptr || !acceptable(text->get())) {
    const auto* least = x.may_be_empty ? "0" : "1";
    fail(origin, name, node_text(node),
         x.words.empty()
           ? std::string{"a text of "} + least + " to " + std::to_string(x.bytes_max) + " bytes"
           : "one of " + join(x.words));
  }
  to.*x.member = text->get();
}

void set(configuration& to, const flag_key& x, const std::string& name, const toml::node& node,
         const std::string& origin) {
  const auto* given = node.as_boolean();
  if (given == nullptr) {
    fail(origin, name, node_text(node), "true or false");
  }
  to.*x.member = given->get();
}

void set(configuration& to, const ratio_key& x, const std::string& name, const toml::node& node,
         const std::string& origin) {
  const auto value = node.value<double>();
  if (!value || !(*value >= 0.0 && *value <= 1.0)) {
    fail(origin, name, node_text(node), "a number from 0 to 1");
  }
  to.*x.member = *value;
}

void set(configuration& to, const list_key& x, const std::string& name, const toml::node& node,
         const std::string& origin) {
  const auto* list = node.as_array();
  texts result;
  for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
    if (const auto* text = list->get_as<std::string>(i)) {
      result.push_back(text->get());
    }
  }
  if (list == nullptr || result.size() != list->size()) {
    fail(origin, name, node_text(node), "a list of strings");
  }
  to.*x.member = std::move(result);
}

const key* find_key(const std::string& name) {
  for (const auto& x : keys()) {
    if (x.name == name) {
      return &x;
    }
  }
  return nullptr;
}

texts key_names() {
  texts names;
  for (const auto& x : keys()) {
    names.push_back(x.name);
  }
  return names;
}

void set_key(configuration& to, const std::string& name, const toml::node& node,
             const std::string& origin) {
  const auto* found = find_key(name);
  if (found == nullptr) {
    const auto near = did_you_mean(name, key_names());
    throw bad_setting{
      origin + ": unknown key '" + name + "'"
      + (near ? "; did you mean '" + *near + "'?" : "; `belay config show` lists all keys")};
  }
  std::visit([&](const auto& x) { set(to, x, name, node, origin); }, found->what);
  to.origins[name] = origin;
}

void set_table(configuration& to, const std::string& prefix, const toml::table& table,
               const std::string& file) {
  for (const auto& [name, node] : table) {
    const auto full = (prefix.empty() ? "" : prefix + ".") + std::string{name.str()};
    const auto origin = file + ":" + std::to_string(node.source().begin.line);
    const auto* inner = node.as_table();
    const auto is_group = std::any_of(keys().begin(), keys().end(), [&full](const key& x) {
      return x.name.compare(0, full.size() + 1, full + ".") == 0;
    });
    if (inner != nullptr && (is_group || inner->empty())) {
      if (!is_group) {
        set_key(to, full, node, origin); // An unknown, empty table: refused with a suggestion.
      }
      set_table(to, full, *inner, file);
    } else {
      set_key(to, full, node, origin);
    }
  }
}

/// Reads a value as it stands on a command line or in a variable: TOML, or a bare text.
void set_from_text(configuration& to, const std::string& name, const std::string& value,
                   const std::string& origin) {
  const auto parse = [](const std::string& text) -> std::optional<toml::table> {
    try {
      return toml::parse("x = " + text);
    } catch (const toml::parse_error&) {
      return std::nullopt;
    }
  };
  auto parsed = parse(value);
  const auto* found = find_key(name);
  const auto wants_text = found != nullptr && !std::holds_alternative<list_key>(found->what)
                          && !std::holds_alternative<flag_key>(found->what)
                          && !std::holds_alternative<ratio_key>(found->what);
  const auto is_text = found != nullptr && std::holds_alternative<text_key>(found->what);
  if (!parsed || parsed->size() != 1 || (is_text && !(*parsed)["x"].is_string())
      || (wants_text && !(*parsed)["x"].is_string() && !(*parsed)["x"].is_integer())) {
    parsed = parse(quoted(value));
  }
  if (!parsed) {
    throw bad_setting{origin + ": " + name + ": the value is not UTF-8 text"};
  }
  set_key(to, name, *(*parsed)["x"].node(), origin);
}

/// Whatever is kept must fit into a message, and a page of what is told in pages.
void check_message_sizes(const configuration& x) {
  using c = configuration;
  constexpr std::array<std::pair<const char*, std::int64_t c::*>, 6> parts{
    {{"registration.input_max", &c::registration_input_max},
     {"store.event_max", &c::store_event_max},
     {"store.outcome_max", &c::store_outcome_max},
     {"store.status_max", &c::store_status_max},
     {"store.attachment_max", &c::store_attachment_max},
     {"workflow.result_max", &c::workflow_result_max}}};
  for (const auto& [name, member] : parts) {
    if (x.cluster_message_max < x.*member) {
      throw bad_setting{"cluster.message_max: " + size_text(x.cluster_message_max)
                        + " is not acceptable, expected at least " + name + " ("
                        + size_text(x.*member) + ")"};
    }
  }
  constexpr std::array<std::pair<const char*, std::int64_t c::*>, 3> paged{
    {{"registration.input_max", &c::registration_input_max},
     {"store.event_max", &c::store_event_max},
     {"workflow.result_max", &c::workflow_result_max}}};
  constexpr auto page = static_cast<std::int64_t>(page_bytes_max);
  for (const auto& [name, member] : paged) {
    if (x.cluster_message_max < page + x.*member) {
      throw bad_setting{"cluster.message_max: " + size_text(x.cluster_message_max)
                        + " is not acceptable, expected at least " + size_text(page) + " and "
                        + name + " (" + size_text(x.*member) + "), as a page of them may have"};
    }
  }
}

void check_address(const configuration& x) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  const auto* const address = x.node_address.c_str();
  const auto is_ip = inet_pton(AF_INET, address, bytes.data()) == 1
                     || inet_pton(AF_INET6, address, bytes.data()) == 1;
  if (!is_ip) {
    throw bad_setting{"node.address: '" + x.node_address
                      + "' is not acceptable, expected an IP address"};
  }
  if (x.node_tls.empty() && !x.cluster_insecure && !actors::is_this_machine(x.node_address)) {
    throw bad_setting{"node.address: '" + x.node_address
                      + "' is not acceptable, expected a loopback address: plain connections carry "
                        "no passwords, so beyond this machine TLS is needed (node.tls)"};
  }
}

/// A name goes to other nodes: what they would refuse is refused here.
void check_name(const configuration& x) {
  worker_card card;
  card.name = x.node_name;
  card.run = 1;
  card.slots = 1;
  if (const auto no = validate(card)) {
    throw bad_setting{"node." + no->text};
  }
}

void check_certificates(const configuration& x) {
  if (x.node_tls.empty()) {
    return;
  }
  const auto context = gates::tls_context::load(gates::tls_files_in(x.node_tls));
  if (!context) {
    throw bad_setting{"node.tls: " + context.why().text};
  }
}

void check_metrics(const configuration& x) {
  if (x.metrics_listen.empty()) {
    return;
  }
  const auto at = parse_listen(x.metrics_listen);
  if (!at) {
    throw bad_setting{"metrics.listen: " + at.why().text};
  }
  if (!x.metrics_insecure && !actors::is_this_machine(at->host)) {
    throw bad_setting{"metrics.listen: '" + x.metrics_listen
                      + "' is not acceptable, expected a loopback address: metrics are told to "
                        "whoever asks, so beyond this machine metrics.insecure is needed"};
  }
  if (x.metrics_threads > x.metrics_connections_max) {
    throw bad_setting{"metrics.threads: " + std::to_string(x.metrics_threads)
                      + " is not acceptable, expected at most metrics.connections_max ("
                      + std::to_string(x.metrics_connections_max) + ")"};
  }
}

void check_together(const configuration& x) {
  check_metrics(x);
  check_name(x);
  check_address(x);
  check_certificates(x);
  if (x.cluster_timeout < 2 * x.cluster_heartbeat_interval) {
    throw bad_setting{"cluster.timeout: " + format_duration(x.cluster_timeout)
                      + " is not acceptable, expected at least twice cluster.heartbeat_interval ("
                      + format_duration(x.cluster_heartbeat_interval) + ")"};
  }
  if (x.cluster_reconnect_max < x.cluster_reconnect_min) {
    throw bad_setting{"cluster.reconnect_max: " + format_duration(x.cluster_reconnect_max)
                      + " is not acceptable, expected at least cluster.reconnect_min ("
                      + format_duration(x.cluster_reconnect_min) + ")"};
  }
  check_message_sizes(x);
  if (const auto no = bad_trace_setting(x)) {
    throw bad_setting{*no};
  }
  if (x.lease_ttl < 3 * x.lease_renew_interval) {
    throw bad_setting{"lease.ttl: " + format_duration(x.lease_ttl)
                      + " is not acceptable, expected at least three times lease.renew_interval ("
                      + format_duration(x.lease_renew_interval)
                      + "), so that two missed renewals lose no lease"};
  }
  texts components;
  for (const auto component : log::components()) {
    components.emplace_back(component);
  }
  for (const auto& text : x.log_levels) {
    const auto equals = std::min(text.find('='), text.size());
    const auto component = text.substr(0, equals);
    if (std::find(components.begin(), components.end(), component) == components.end()) {
      throw bad_setting{"log.levels: '" + text + "' names no component"
                        + suggestion(component, components)};
    }
    if (equals == text.size() || !log::level_from(std::string_view{text}.substr(equals + 1))) {
      throw bad_setting{"log.levels: '" + text
                        + "' is not acceptable, expected COMPONENT=LEVEL as in sweeper=debug"};
    }
  }
}

void load_file(configuration& to, const std::filesystem::path& path) {
  std::ifstream in{path};
  if (!in) {
    throw bad_setting{"cannot read the configuration file " + path.string()};
  }
  try {
    set_table(to, "", toml::parse(in, path.string()), path.string());
  } catch (const toml::parse_error& x) {
    throw bad_setting{path.string() + ":" + std::to_string(x.source().begin.line) + ": "
                      + std::string{x.description()}};
  }
}

std::string variable_of(const std::string& name) {
  std::string result = "BELAY_";
  for (const char c : name) {
    result += c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return result;
}

std::string value_text(const configuration& from, const key& x) {
  if (const auto* number = std::get_if<number_key>(&x.what)) {
    const auto text = number_text(*number, from.*number->member);
    return number->how == unit::count ? text : quoted(text);
  }
  if (const auto* text = std::get_if<text_key>(&x.what)) {
    return quoted(from.*text->member);
  }
  if (const auto* flag = std::get_if<flag_key>(&x.what)) {
    return from.*flag->member ? "true" : "false";
  }
  if (const auto* ratio = std::get_if<ratio_key>(&x.what)) {
    return ratio_text(from.*ratio->member);
  }
  std::string list = "[";
  for (const auto& item : from.*std::get<list_key>(x.what).member) {
    list += (list.size() == 1 ? "" : ", ") + quoted(item);
  }
  return list + "]";
}

} // namespace

std::vector<key_info> configuration_keys() {
  const configuration defaults;
  const auto unit_text = [](const key& x) -> std::string {
    if (const auto* number = std::get_if<number_key>(&x.what)) {
      return number->how == unit::duration ? "duration"
             : number->how == unit::bytes  ? "size"
                                           : "number";
    }
    return std::holds_alternative<list_key>(x.what)   ? "list of texts"
           : std::holds_alternative<flag_key>(x.what) ? "true or false"
                                                      : "text";
  };
  std::vector<key_info> result;
  for (const auto& x : keys()) {
    auto help = x.help;
    if (const auto* number = std::get_if<number_key>(&x.what)) {
      help += " (" + number_text(*number, number->low) + " to " + number_text(*number, number->high)
              + ")";
    } else if (const auto* text = std::get_if<text_key>(&x.what);
               text != nullptr && !text->words.empty()) {
      help += " (" + join(text->words) + ")";
    } else if (std::holds_alternative<ratio_key>(x.what)) {
      help += " (0 to 1)";
    }
    result.push_back({x.name, value_text(defaults, x), std::move(help), unit_text(x)});
  }
  return result;
}

checked<configuration> load_configuration(const std::optional<std::filesystem::path>& file,
                                          const environment_lookup& environment,
                                          const std::vector<std::string>& overrides) {
  configuration result;
  try {
    if (file) {
      load_file(result, *file);
    }
    for (const auto& x : keys()) {
      const auto variable = variable_of(x.name);
      if (const auto value = environment(variable)) {
        set_from_text(result, x.name, *value, variable);
      }
    }
    for (const auto& text : overrides) {
      const auto equals = text.find('=');
      if (equals == std::string::npos) {
        throw bad_setting{"--set: '" + text
                          + "' is not acceptable, expected KEY=VALUE as in worker.slots=8"};
      }
      set_from_text(result, text.substr(0, equals), text.substr(equals + 1), "--set");
    }
    check_together(result);
  } catch (const bad_setting& x) {
    return refusal{ec::bad_request, x.text};
  }
  return result;
}

std::string render_configuration(const configuration& x) {
  std::string text;
  std::string section;
  for (const auto& item : keys()) {
    const auto dot = item.name.rfind('.');
    const auto here = item.name.substr(0, dot);
    if (here != section) {
      text += (text.empty() ? "[" : "\n[") + here + "]\n";
      section = here;
    }
    const auto origin = x.origins.find(item.name);
    text += item.name.substr(dot + 1) + " = " + value_text(x, item) + "  # "
            + (origin == x.origins.end() ? "default" : origin->second) + "\n";
  }
  return text;
}

environment_lookup process_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str()); // NOLINT(concurrency-mt-unsafe): before threads
    return value == nullptr ? std::nullopt : std::optional<std::string>{value};
  };
}

} // namespace belay::app
