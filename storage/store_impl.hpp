// The inside of a store, shared by its source files.
#pragma once

#include "storage/batch.hpp"
#include "storage/blobs.hpp"
#include "storage/dropped_blobs.hpp"
#include "storage/environment.hpp"
#include "storage/store.hpp"
#include "storage/tables.hpp"

namespace belay::storage {

struct store::impl {
  explicit impl(options given)
    : opts{std::move(given)},
      env{opts},
      blobs{opts.directory, opts.inline_bytes_max},
      tables{opts.read_only ? open_tables_to_read(env) : open_tables(env, blobs)},
      names{opts.read_only ? 0 : count_names()},
      shared{opts, env, tables, blobs, declared, names},
      dropped{env, tables, blobs, opts.dropped_names_max} {}

  /// Queue and kind names that are stored.
  [[nodiscard]] std::uint64_t count_names() const {
    const transaction txn{env, transaction::mode::read};
    return table_reader{txn, tables, blobs}.count_names();
  }

  [[nodiscard]] batch_result
  apply(std::span<const operation> operations, const batch_context& context);

  options opts;
  environment env;
  blob_store blobs;
  table_handles tables;
  declared_types declared;
  std::uint64_t names;
  batch_environment shared;
  dropped_blobs dropped;
};

/// Fills what both `get` and `list` show of a row.
[[nodiscard]] process_view
view_of(const table_reader& read, row_id row, const head_record& head, const body_record& body);

} // namespace belay::storage
