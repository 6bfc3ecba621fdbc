#include "actors/gate/basp_frame.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace belay::gates {

namespace {

/// caf/io/basp/message_type.hpp.
enum operation : std::uint8_t {
  server_handshake = 0,
  client_handshake = 1,
  direct_message = 2,
  routed_message = 3,
  monitor_message = 4,
  down_message = 5,
  heartbeat = 6,
};

/// caf/io/basp/header.hpp.
constexpr std::uint8_t named_receiver_flag = 1;
constexpr std::uint8_t select_connection_flag = 2;
/// caf/io/basp/version.hpp. CAF itself does not compare it.
constexpr std::uint64_t basp_version = 3;
/// caf/message_id.hpp, response_flag_mask.
constexpr std::uint64_t response_flag = 1ULL << 63U;
/// caf::atom("default") and caf::atom("SpawnServ").
constexpr std::uint64_t default_atom = 0x00003E9AAB9BAC79;
constexpr std::uint64_t spawn_server_atom = 0x03DDD66F3376ADFB;

/// Chosen: ours announce 200 bytes; room for a rich interface.
constexpr std::size_t handshake_max = 65'536;
/// Chosen: node ids and a reason; reasons are a sentence.
constexpr std::size_t down_max = 65'536;
/// Chosen: our longest is 60 bytes; two of them fit into `inspected_max`.
constexpr std::size_t type_names_max = 1'024;

using namespace std::string_view_literals;

/// What CAF itself asks each new node: ('sys', 'get', "info"), and of which types the answer is.
constexpr auto info_request
  = "\0\0\0\x14@<>+@atom+@atom+@str\0\0\0\0\0\x3F\x8F\xB8\0\0\0\0\0\x3E\xCA\xB9\4info"sv;
constexpr std::string_view info_answer = "@<>+@atom+@str+@strong_actor_ptr+@str";

/// CAF's own types that may be elements of a message; those of belay have no '@'. Not among them:
/// what acts on an actor whoever it comes from (@exit, @down, @error outside answers, streams,
/// time-outs), what links (@strong_actor_ptr), what holds further messages and so recurses
/// (@message, @config_value), and what believes a length (@charbuf).
constexpr std::array<std::string_view, 15> plain_types{
  "@atom", "@i16", "@i32", "@i64",      "@i8",   "@node", "@str", "@strset",
  "@u16",  "@u32", "@u64", "@timespan", "@unit", "@u8",   "bool"};

/// Reads a payload from its beginning; every call returns nothing where it ends too early.
class cursor {
public:
  explicit cursor(std::string_view bytes) : bytes_{bytes} {}

  std::optional<std::uint64_t> number(std::size_t size) {
    const auto raw = text(size);
    if (!raw) {
      return std::nullopt;
    }
    std::uint64_t x = 0;
    for (const char c : *raw) {
      x = (x << 8U) | static_cast<unsigned char>(c);
    }
    return x;
  }

  std::optional<std::string_view> text(std::size_t size) {
    if (size > bytes_.size()) {
      return std::nullopt;
    }
    const auto result = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return result;
  }

  std::optional<std::uint64_t> length() {
    constexpr unsigned bits = 7;
    constexpr unsigned groups = 5; // 32 bits: CAF reads on and shifts out of the word.
    std::uint64_t x = 0;
    for (unsigned i = 0; i < groups; ++i) {
      const auto byte = number(1);
      if (!byte) {
        return std::nullopt;
      }
      x |= (*byte & 0x7FU) << (bits * i);
      if ((*byte & 0x80U) == 0) {
        return x;
      }
    }
    return std::nullopt;
  }

  /// Type number 0 and the names of a message's types.
  std::optional<std::string_view> type_names() {
    const auto zero = number(2);
    const auto size = zero == 0U ? length() : std::nullopt;
    return size && *size <= type_names_max ? text(*size) : std::nullopt;
  }

  std::optional<node_key> node() {
    const auto kind = number(sizeof(std::uint64_t));
    const auto os_pid = number(sizeof(std::uint32_t));
    node_key x;
    const auto host = text(x.host.size());
    if (kind != default_atom || !os_pid || !host) {
      return std::nullopt;
    }
    x.os_pid = static_cast<std::uint32_t>(*os_pid);
    std::memcpy(x.host.data(), host->data(), x.host.size());
    return is_valid(x) ? std::optional{x} : std::nullopt;
  }

private:
  std::string_view bytes_;
};

/// Names come from the peer: only what can be shown as it is goes into a log.
std::string shown(std::string_view text) {
  constexpr std::size_t shown_max = 80;
  std::string result{text.substr(0, shown_max)};
  std::replace_if(
    result.begin(), result.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return "'" + result + "'";
}

bool is_plain(std::string_view name) {
  return std::find(plain_types.begin(), plain_types.end(), name) != plain_types.end();
}

/// Checks the elements of a message one by one. `handles`: whether actors may be among them.
std::optional<std::string> check_types(std::string_view names, bool handles) {
  constexpr std::string_view start = "@<>";
  if (!names.starts_with(start)) {
    return "message with types " + shown(names) + ", expected \"@<>\" and names";
  }
  auto rest = names.substr(start.size());
  while (!rest.empty()) {
    const auto end = std::min(rest.find('+', 1), rest.size());
    const auto name = rest.substr(1, end - 1);
    // CAF's own names begin with '@', but for three; the others are registered by name.
    const auto is_ours = name.starts_with("belay::") || name.starts_with("std::vector<belay::")
                         || name == "std::vector<std::string>";
    if (rest.front() != '+'
        || !(is_plain(name) || (handles && (is_ours || name == "@actor" || name == "@strvec")))) {
      return "message with an element of type " + shown(name) + ", which may not pass";
    }
    rest.remove_prefix(end);
  }
  return std::nullopt;
}

/// An error's message may hold text and numbers, nothing that holds messages again.
std::optional<std::string> check_error(cursor at) {
  const auto code = at.number(1);
  const auto category = at.number(sizeof(std::uint64_t));
  const auto names = at.type_names();
  if (!code || !category || !names) {
    return "an error that cannot be read";
  }
  return check_types(*names, false);
}

std::optional<std::string> check_message(std::string_view payload, bool is_named, bool is_answer) {
  cursor at{payload};
  const auto stages = at.length();
  if (stages != 0U) {
    return "a message with a forwarding stack";
  }
  const auto names = at.type_names();
  if (!names) {
    return "a message whose types cannot be read";
  }
  if (is_named && payload != info_request) {
    return "a message with types " + shown(*names)
           + " to a named actor, expected what CAF asks a new node";
  }
  if (*names == info_answer) {
    return std::nullopt;
  }
  if (*names == "@<>+@error") {
    return is_answer ? check_error(at) : "an error that answers nothing";
  }
  return check_types(*names, true);
}

} // namespace

struct frame_reader::header {
  explicit header(std::string_view bytes) {
    cursor at{bytes};
    operation = static_cast<std::uint8_t>(*at.number(1));
    padding = *at.number(2);
    flags = static_cast<std::uint8_t>(*at.number(1));
    payload = static_cast<std::size_t>(*at.number(sizeof(std::uint32_t)));
    data = *at.number(sizeof(std::uint64_t));
    source = *at.number(sizeof(std::uint64_t));
    destination = *at.number(sizeof(std::uint64_t));
  }

  std::uint8_t operation;
  std::uint64_t padding;
  std::uint8_t flags;
  std::size_t payload;
  std::uint64_t data;
  std::uint64_t source;
  std::uint64_t destination;
};

frame_reader::frame_reader(const frame_rules& rules) : rules_{rules} {}

std::optional<std::string> frame_reader::check_header(const header& x) {
  const auto size = [&x](const char* what, std::size_t low, std::size_t high) {
    return x.payload >= low && x.payload <= high
             ? std::nullopt
             : std::optional{std::string{what} + " with " + std::to_string(x.payload)
                             + " bytes, expected " + std::to_string(low) + " to "
                             + std::to_string(high)};
  };
  const auto allowed = x.operation == client_handshake ? select_connection_flag
                       : x.operation == direct_message ? named_receiver_flag
                                                       : 0;
  if (x.operation > heartbeat) {
    return "operation " + std::to_string(x.operation) + ", expected 0 to 6";
  }
  if (x.padding != 0 || (x.flags & ~allowed) != 0) {
    return "operation " + std::to_string(x.operation) + " with flags " + std::to_string(x.flags)
           + " or padding that CAF does not write";
  }
  const auto is_client = rules_.from == speaker::client;
  const auto first = is_client ? client_handshake : server_handshake;
  if (!announced_ && x.operation != first) {
    return "operation " + std::to_string(x.operation) + " before the handshake";
  }
  switch (x.operation) {
    case server_handshake:
      if (is_client || announced_) {
        return "a server's handshake, which is not expected here";
      }
      if (x.data != basp_version) {
        return "BASP version " + std::to_string(x.data) + ", expected 3 (CAF 0.17)";
      }
      return size("a server's handshake", node_bytes, handshake_max);
    case client_handshake:
      if (!is_client) {
        return "a client's handshake, which is not expected here";
      }
      return size("a client's handshake", node_bytes, node_bytes);
    case direct_message:
      if (x.destination == 0
          || (x.flags == named_receiver_flag && x.destination != spawn_server_atom)) {
        return "a message to an actor that may not be addressed";
      }
      return size("a message", 1, rules_.message_max);
    case routed_message:
      return "a message for or from a third node";
    case monitor_message:
      return size("a monitor frame", 2 * node_bytes, 2 * node_bytes);
    case down_message:
      return size("a DOWN frame", 2 * node_bytes, std::min(down_max, rules_.message_max));
    default:
      return size("a heartbeat", 0, 0);
  }
}

std::optional<std::string>
frame_reader::check_addressee(const header& x, std::string_view payload) const {
  cursor at{payload};
  static_cast<void>(at.length());
  // CAF answers its own question, which some actor of its own has asked, with a plain message.
  if (at.type_names() == info_answer) {
    return std::nullopt;
  }
  if ((x.data & response_flag) != 0 || x.flags == named_receiver_flag) {
    return std::nullopt;
  }
  if (x.source == 0) {
    return "a message without a sender"; // It would look as if it came from our own actors.
  }
  if (rules_.may_address && !rules_.may_address(x.destination)) {
    return "a message to actor " + std::to_string(x.destination) + ", which is not open to peers";
  }
  return std::nullopt;
}

std::optional<std::string>
frame_reader::check_handshake(const header& x, std::string_view payload) {
  const auto node = cursor{payload}.node();
  if (!node) {
    return "a handshake without a node id of CAF's usual kind";
  }
  if (*node == rules_.own) {
    return "a handshake with our own node id " + to_string(*node);
  }
  if (announced_ && *announced_ != *node) {
    return "a second handshake with another node id, " + to_string(*node) + " after "
           + to_string(*announced_);
  }
  if (x.source != 0 || x.destination != 0) {
    return "a handshake that names actors";
  }
  announced_ = *node;
  return std::nullopt;
}

std::optional<std::string> frame_reader::check_nodes(std::string_view payload) const {
  cursor at{payload};
  const auto source = at.node();
  const auto destination = at.node();
  if (!source || *source != *announced_) {
    return "a frame in the name of another node";
  }
  if (!destination || *destination != rules_.own) {
    return "a frame for another node";
  }
  return std::nullopt;
}

std::optional<std::string> frame_reader::check(const header& x, std::string_view payload) {
  switch (x.operation) {
    case server_handshake:
    case client_handshake:
      return check_handshake(x, payload);
    case direct_message:
      if (auto no
          = check_message(payload, x.flags == named_receiver_flag, (x.data & response_flag) != 0)) {
        return no;
      }
      return check_addressee(x, payload);
    case monitor_message:
      return check_nodes(payload);
    case down_message:
      if (auto no = check_nodes(payload)) {
        return no;
      }
      return check_error(cursor{payload.substr(2 * node_bytes)});
    default:
      return std::nullopt;
  }
}

std::optional<std::string> frame_reader::read(std::string_view bytes, std::string& passed) {
  while (!bytes.empty()) {
    if (passing_ > 0) {
      const auto size = std::min(passing_, bytes.size());
      passed += bytes.substr(0, size);
      bytes.remove_prefix(size);
      passing_ -= size;
      continue;
    }
    const auto size = std::min(wanted_ - held_.size(), bytes.size());
    held_ += bytes.substr(0, size);
    bytes.remove_prefix(size);
    if (held_.size() < wanted_) {
      return std::nullopt;
    }
    const header x{std::string_view{held_}.substr(0, header_bytes)};
    if (held_.size() == header_bytes) {
      if (auto no = check_header(x)) {
        return no;
      }
      wanted_ = header_bytes + std::min(x.payload, inspected_max);
      if (x.payload > 0) {
        continue;
      }
    }
    if (auto no = check(x, std::string_view{held_}.substr(header_bytes))) {
      return no;
    }
    passed += held_;
    passing_ = x.payload - (held_.size() - header_bytes);
    held_.clear();
    wanted_ = header_bytes;
  }
  return std::nullopt;
}

std::string heartbeat_frame() {
  std::string frame(header_bytes, '\0');
  frame.front() = static_cast<char>(heartbeat);
  return frame;
}

} // namespace belay::gates
