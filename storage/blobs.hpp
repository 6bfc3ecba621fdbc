// Long texts: content-addressed files beside the store.
#pragma once

#include "storage/records.hpp"

#include <filesystem>

namespace belay::storage {

/// Files named by their SHA-256 below `blobs/`, in folders of the first two digits. A file is on
/// disk, complete and named, before the record that points to it is written; a file without a
/// record is waste, never damage.
class blob_store {
public:
  blob_store(std::filesystem::path directory, std::size_t inline_bytes_max)
    : root_{std::move(directory) / "blobs"}, inline_bytes_max_{inline_bytes_max} {}

  /// Makes the stored form of a text; writes its file when it is longer than the bound.
  /// Throws `error{full}` when the disk is, `error{fault}` otherwise.
  [[nodiscard]] stored_text put(std::string_view text) const;

  /// Returns the text. Throws `error{fault}` when its file is missing or damaged.
  [[nodiscard]] std::string get(const stored_text& x) const;

  /// Deletes a file that no record points to. A failure leaves waste behind, nothing worse.
  void remove(const std::string& name) const;

  /// How many folders there may be, and in which of them a name stands.
  static constexpr std::size_t folders = 256;
  [[nodiscard]] static std::size_t folder_of(const std::string& name);
  /// The names of the files in a folder; those that are not ours are left out.
  [[nodiscard]] std::vector<std::string> names_in(std::size_t folder) const;

private:
  std::filesystem::path root_;
  std::size_t inline_bytes_max_;
};

} // namespace belay::storage
