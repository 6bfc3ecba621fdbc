// The records of journals, statuses and attachments.
#include "storage/record_parts.hpp"

namespace belay::storage {

std::string encode(const journal_record& x) {
  byte_writer out;
  out.u8(record_version)
    .u8(static_cast<std::uint8_t>(x.kind))
    .text(x.scope)
    .text(x.name)
    .u32(x.ordinal)
    .text(x.input_hash)
    .u64(x.done);
  write(out, x.result);
  return out.record();
}

journal_record decode_journal(std::string_view bytes) {
  auto in = open_record(bytes, "journal");
  journal_record x;
  x.kind = static_cast<effect_kind>(in.u8());
  x.scope = in.text();
  x.name = in.text();
  x.ordinal = in.u32();
  x.input_hash = in.text();
  x.done = in.u64();
  x.result = read_text(in);
  return x;
}

std::string encode_status(const stored_text& x) {
  byte_writer out;
  out.u8(record_version);
  write(out, x);
  return out.record();
}

stored_text decode_status(std::string_view bytes) {
  auto in = open_record(bytes, "status");
  return read_text(in);
}

std::string encode(const attachment_record& x) {
  byte_writer out;
  out.u8(record_version).text(x.hash).text(x.name).u64(x.bytes);
  write(out, x.content);
  return out.record();
}

attachment_record decode_attachment(std::string_view bytes) {
  auto in = open_record(bytes, "attachment");
  attachment_record x;
  x.hash = in.text();
  x.name = in.text();
  x.bytes = in.u64();
  x.content = read_text(in);
  return x;
}

} // namespace belay::storage
