#include "messages/json_strict.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

namespace belay {

checked<nlohmann::json> parse_json_strict(std::string_view text) {
  using nlohmann::json;
  std::vector<std::set<std::string>> keys;
  std::string fault;
  const json::parser_callback_t check = [&keys, &fault](int depth, json::parse_event_t what,
                                                        json& value) {
    if (what == json::parse_event_t::object_start) {
      keys.emplace_back();
    } else if (what == json::parse_event_t::object_end) {
      keys.pop_back();
    } else if (what == json::parse_event_t::key
               && !keys.back().insert(value.get<std::string>()).second && fault.empty()) {
      fault = "the key " + shortened(value) + " stands twice in one object";
    }
    const auto begins
      = what == json::parse_event_t::object_start || what == json::parse_event_t::array_start;
    if (static_cast<std::size_t>(depth) + (begins ? 1 : 0) > json_depth_max) {
      throw std::length_error{"nested deeper than " + std::to_string(json_depth_max) + " levels"};
    }
    return true;
  };
  try {
    auto value = json::parse(text.begin(), text.end(), check);
    if (!fault.empty()) {
      return refusal{ec::bad_request, fault};
    }
    return value;
  } catch (const json::parse_error& x) {
    return refusal{ec::bad_request, "not JSON at byte "
                                      + std::to_string(std::min(x.byte, text.size())) + " of "
                                      + std::to_string(text.size())};
  } catch (const json::exception&) {
    return refusal{ec::bad_request, "a number in it is too large"};
  } catch (const std::length_error& x) {
    return refusal{ec::bad_request, x.what()};
  }
}

std::string shortened(const nlohmann::json& value) {
  constexpr std::size_t length_max = 80;
  auto text = value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  if (text.size() > length_max) {
    text = text.substr(0, length_max - 3) + "...";
  }
  return text;
}

refusal bad_field(const std::string& field, const std::string& value, const std::string& expected) {
  return {ec::bad_request, field + ": " + value + " is not acceptable, expected " + expected};
}

refusal
bad_value(const std::string& field, const nlohmann::json& value, const std::string& expected) {
  return bad_field(field, shortened(value), expected);
}

} // namespace belay
