#include "messages/membership.hpp"

#include "messages/json_strict.hpp"
#include "messages/registration.hpp"

namespace belay {

namespace {

constexpr std::size_t name_bytes_max = 128;
constexpr std::uint32_t slots_max = 65'536;
constexpr std::size_t list_max = 10'000;
/// A queue's name, or a workflow's with its version.
constexpr std::size_t word_bytes_max = 300;

std::optional<refusal> check_words(const char* field, const std::vector<std::string>& words) {
  if (words.size() > list_max) {
    return bad_field(field, std::to_string(words.size()) + " of them",
                     "at most " + std::to_string(list_max));
  }
  for (const auto& word : words) {
    if (word.empty() || word.size() > word_bytes_max || !is_plain_text(word)) {
      return bad_field(field, "'" + word.substr(0, 80) + "'",
                       "1 to " + std::to_string(word_bytes_max) + " bytes of text");
    }
  }
  return std::nullopt;
}

} // namespace

std::optional<refusal> validate(const worker_card& x) {
  if (x.name.empty() || x.name.size() > name_bytes_max || !is_plain_text(x.name)) {
    return bad_field("name", "'" + x.name.substr(0, 80) + "'",
                     "1 to " + std::to_string(name_bytes_max) + " bytes of text");
  }
  if (x.run == 0) {
    return bad_field("run", "0", "a random number");
  }
  if (x.slots == 0 || x.slots > slots_max) {
    return bad_field("slots", std::to_string(x.slots), "1 to " + std::to_string(slots_max));
  }
  if (auto no = check_words("kinds", x.kinds)) {
    return no;
  }
  if (auto no = check_words("queues", x.queues)) {
    return no;
  }
  if (x.version.size() > name_bytes_max || x.place.size() > word_bytes_max) {
    return bad_field("version or place", "a long text", "at most 128 and 300 bytes");
  }
  return std::nullopt;
}

} // namespace belay
