// Records and keys of the store: any bytes are refused, or read as what can be written again.
//
// Byte 0 chooses what is read; its high bit leaves the checksum away.
#include "storage/records.hpp"

#include "storage/codec.hpp"
#include "storage/store.hpp"
#include "tests/fuzz/fuzz.hpp"

#include <array>
#include <vector>

using namespace belay;
using fuzz::expect;

namespace {

/// Bytes of a record that can be written in more than one way and read the same: the second flags
/// of a head, or whether a text is in a file.
constexpr std::size_t loose_bytes_max = 1;

/// `same_bytes`: whether there is one way only to write it. The labels of a body are sorted.
template <class Decode, class Encode>
void check(std::string_view bytes, const Decode& decode, const Encode& encode,
           bool same_bytes = true) {
  try {
    const auto x = decode(bytes);
    const std::string written = encode(x);
    expect(encode(decode(written)) == written, "a record read again is equal");
    if (same_bytes && written.size() == bytes.size()
        && written.front()
             == bytes.front()) { // A longer one has bytes at its end that nobody reads.
      std::size_t changed = 0;
      for (std::size_t i = 0; i + sizeof(std::uint32_t) < bytes.size(); ++i) {
        changed += bytes[i] == written[i] ? 0U : 1U;
      }
      expect(changed <= loose_bytes_max, "a record is written as it was read");
    }
  } catch (const storage::error&) {
    return; // Refused.
  }
}

const auto encode_any = [](const auto& x) { return storage::encode(x); };

struct reading {
  bool is_record;
  void (*run)(std::string_view bytes);
};

/// In the order of byte 0: append, never reorder.
constexpr std::array<reading, 19> readings{{
  {true, [](std::string_view x) { check(x, storage::decode_head, encode_any); }},
  {true, [](std::string_view x) { check(x, storage::decode_lease, encode_any); }},
  {true, [](std::string_view x) { check(x, storage::decode_body, encode_any, false); }},
  {true, [](std::string_view x) { check(x, storage::decode_event, encode_any); }},
  {true, [](std::string_view x) { check(x, storage::decode_event_key, encode_any); }},
  {true, [](std::string_view x) { check(x, storage::decode_outcome, encode_any); }},
  {true,
   [](std::string_view x) {
     check(
       x, [](std::string_view bytes) { return storage::decode_number(bytes, "meta"); },
       storage::encode_number);
   }},
  {false, [](std::string_view x) { check(x, storage::decode_ready, encode_any); }},
  {false,
   [](std::string_view x) {
     check(x, storage::decode_counter, [](const storage::counter_key& key) {
       expect(!storage::counter_word(key.state).empty(), "every state has a word");
       return storage::encode(key);
     });
   }},
  {false, [](std::string_view x) { check(x, storage::row_of, storage::row_key); }},
  {true, [](std::string_view x) { check(x, storage::decode_detail, encode_any); }},
  {true, [](std::string_view x) { check(x, storage::decode_wait, encode_any); }},
  {true, [](std::string_view x) { check(x, storage::decode_observer, encode_any); }},
  {true, [](std::string_view x) { check(x, storage::decode_wake, encode_any); }},
  {true, [](std::string_view x) { check(x, storage::decode_change, encode_any); }},
  {true, [](std::string_view x) { check(x, storage::decode_tombstone, encode_any); }},
  {true, [](std::string_view x) { check(x, storage::decode_journal, encode_any); }},
  {true, [](std::string_view x) { check(x, storage::decode_status, storage::encode_status); }},
  {true, [](std::string_view x) { check(x, storage::decode_attachment, encode_any); }},
}};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::uint8_t as_it_is = 0x80;
  if (size == 0) {
    return 0;
  }
  const auto& what = readings.at((data[0] & ~as_it_is) % readings.size());
  const auto content = fuzz::text_of(data + 1, size - 1);
  const auto text = what.is_record && (data[0] & as_it_is) == 0
                      ? storage::byte_writer{}.raw(content).record()
                      : std::string{content};
  const std::vector<char> bytes{text.begin(), text.end()}; // No room behind the last byte.
  what.run({bytes.data(), bytes.size()});
  return 0;
}
