// belay store: check, stat, backup, restore, compact, export, import.
#include "storage/store.hpp"

#include "app/archive.hpp"
#include "app/commands/commands.hpp"
#include "app/node_file.hpp"

#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace belay::app {

namespace {

namespace fs = std::filesystem;

fs::path directory_of(const common_options& common) {
  return common.data.empty() ? default_data_directory() : fs::path{common.data};
}

/// Opens the store to read it; a node may be running on it.
storage::store open_to_read(const fs::path& directory) {
  storage::options opts;
  opts.directory = directory;
  opts.read_only = true;
  return storage::store{opts};
}

/// Opens the store for this command alone. Throws when a node holds it.
storage::store open_alone(const fs::path& directory, const char* holder) {
  storage::options opts;
  opts.directory = directory;
  opts.holder = holder;
  return storage::store{opts};
}

/// A directory beside a file, gone at the end of its scope.
class side_directory {
public:
  explicit side_directory(const fs::path& beside) {
    auto pattern = fs::absolute(beside).string() + ".XXXXXX";
    if (mkdtemp(pattern.data()) == nullptr) {
      throw command_failure{exit_code::usage,
                            beside.string() + ": nothing can be written beside it"};
    }
    path_ = pattern;
  }

  ~side_directory() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }

  side_directory(const side_directory&) = delete;
  side_directory& operator=(const side_directory&) = delete;

  [[nodiscard]] const fs::path& path() const {
    return path_;
  }

private:
  fs::path path_;
};

void must_be_new(const fs::path& path) {
  std::error_code ignored;
  const auto there = fs::exists(path, ignored);
  if (there && !(fs::is_directory(path, ignored) && fs::is_empty(path, ignored))) {
    throw command_failure{exit_code::usage,
                          path.string() + ": is there already; name a new file or directory"};
  }
}

/// Says so before anything is made beside a store that is not there.
void must_be_store(const fs::path& directory) {
  std::error_code ignored;
  if (!fs::is_regular_file(directory / "belay.mdb", ignored)) {
    throw command_failure{exit_code::usage, "the data directory " + directory.string()
                                              + " cannot be used: there is no store in it"};
  }
}

/// Gives what was made beside a new data directory its name, after a full check.
void install(const fs::path& fresh, const fs::path& directory, const std::string& from) {
  {
    const auto store = open_to_read(fresh);
    const auto findings = store.check();
    if (!findings.empty()) {
      throw command_failure{exit_code::usage,
                            from + ": is damaged, nothing is written: " + findings.front()};
    }
  }
  std::error_code ignored;
  fs::remove(fresh / "belay.mdb-lock", ignored);
  fs::remove(directory, ignored); // An empty one.
  fs::rename(fresh, directory);
  sync_path(fs::absolute(directory).parent_path());
}

exit_code check(const common_options& common) {
  const auto directory = directory_of(common);
  const auto store = open_to_read(directory);
  const auto findings = store.check();
  if (common.format == output_format::json) {
    print_line(nlohmann::json{{"findings", findings}}.dump(2));
  } else {
    for (const auto& finding : findings) {
      print_line(printable(finding));
    }
    if (findings.empty() && !common.quiet) {
      print_line("every checksum, index and invariant holds");
    }
  }
  return findings.empty() ? exit_code::success : exit_code::fault;
}

exit_code stat(const common_options& common) {
  const auto store = open_to_read(directory_of(common));
  const auto x = store.stat();
  const nlohmann::json text{{"page_bytes", x.page_bytes},
                            {"file_bytes", x.file_bytes},
                            {"used_bytes", x.used_bytes},
                            {"free_pages", x.free_pages},
                            {"disk_free_bytes", x.disk_free_bytes},
                            {"blobs", x.blobs},
                            {"last_transaction", x.last_transaction},
                            {"readers", x.readers},
                            {"oldest_reader_behind", x.oldest_reader_behind},
                            {"records", x.records},
                            {"by_state", x.by_state}};
  if (common.format == output_format::json) {
    print_line(text.dump(2));
    return exit_code::success;
  }
  for (const auto& [key, value] : text.items()) {
    if (value.is_object()) {
      print_line(key);
      for (const auto& [name, number] : value.items()) {
        print_line("  " + name + std::string(name.size() < 20 ? 20 - name.size() : 1, ' ')
                   + number.dump());
      }
    } else {
      print_line(key + std::string(key.size() < 22 ? 22 - key.size() : 1, ' ') + value.dump());
    }
  }
  return exit_code::success;
}

exit_code backup(const common_options& common, const std::string& file) {
  must_be_new(file);
  const auto store = open_to_read(directory_of(common));
  const side_directory side{file};
  store.copy_to(side.path() / "store", true);
  write_archive(side.path() / "store", side.path() / "tar");
  fs::rename(side.path() / "tar", file);
  sync_path(fs::absolute(file).parent_path());
  if (!common.quiet) {
    print_line(file + ": " + std::to_string(fs::file_size(file)) + " bytes");
  }
  return exit_code::success;
}

exit_code restore(const common_options& common, const std::string& file) {
  const auto directory = directory_of(common);
  must_be_new(directory);
  const side_directory side{directory};
  const auto fresh = side.path() / "store";
  try {
    read_archive(file, fresh);
  } catch (const std::runtime_error& x) {
    throw command_failure{exit_code::usage, x.what()};
  }
  install(fresh, directory, file);
  if (!common.quiet) {
    print_line(directory.string() + ": restored");
  }
  return exit_code::success;
}

exit_code compact(const common_options& common) {
  const auto directory = directory_of(common);
  std::uintmax_t before = 0;
  const auto data = directory / "belay.mdb";
  must_be_store(directory);
  const side_directory side{data};
  {
    auto store = open_alone(directory, "belay store compact");
    store.remove_waste();
    before = fs::file_size(data);
    store.copy_to(side.path() / "store", true);
    // The lock is held until the new file stands in the place of the old one.
    fs::rename(side.path() / "store" / "belay.mdb", data);
  }
  if (!common.quiet) {
    print_line(data.string() + ": " + std::to_string(before) + " bytes before, "
               + std::to_string(fs::file_size(data)) + " now");
  }
  return exit_code::success;
}

exit_code export_lines(const common_options& common, const std::string& file) {
  const auto store = open_to_read(directory_of(common));
  if (file == "-") {
    store.export_lines(std::cout);
    return exit_code::success;
  }
  must_be_new(file);
  const side_directory side{file};
  const auto fresh = side.path() / "lines";
  make_private_file(fresh);
  {
    std::ofstream out{fresh, std::ios::binary};
    store.export_lines(out);
  }
  sync_path(fresh);
  fs::rename(fresh, file);
  sync_path(fs::absolute(file).parent_path());
  if (!common.quiet) {
    print_line(file + ": " + std::to_string(fs::file_size(file)) + " bytes");
  }
  return exit_code::success;
}

exit_code import_lines(const common_options& common, const std::string& file) {
  const auto directory = directory_of(common);
  std::ifstream in;
  if (file != "-") {
    in.open(file, std::ios::binary);
    std::error_code ignored;
    if (!in || fs::is_directory(file, ignored)) {
      throw command_failure{exit_code::usage, "cannot read " + file};
    }
  }
  must_be_new(directory);
  const side_directory side{directory};
  const auto fresh = side.path() / "store";
  open_alone(fresh, "belay store import").import_lines(file == "-" ? std::cin : in);
  install(fresh, directory, file);
  if (!common.quiet) {
    print_line(directory.string() + ": imported");
  }
  return exit_code::success;
}

using file_command = exit_code (*)(const common_options&, const std::string&);

void add_file_command(CLI::App& group, common_options& common, command_action& action,
                      const char* name, const char* help, const char* argument, const char* example,
                      file_command run) {
  auto& command = *group.add_subcommand(name, help);
  auto file = std::make_shared<std::string>();
  add_common(command, common, false);
  command.add_option(argument, *file, "File")->required();
  command.footer(std::string{"Example: belay store "} + example);
  command.callback([&common, &action, file, run] {
    action = [&common, file, run] { return run(common, *file); };
  });
}

void add_plain_command(CLI::App& group, common_options& common, command_action& action,
                       const char* name, const char* help,
                       exit_code (*run)(const common_options&)) {
  auto& command = *group.add_subcommand(name, help);
  add_common(command, common, false);
  command.footer(std::string{"Example: belay store "} + name + " --data /var/lib/belay");
  command.callback([&common, &action, run] { action = [&common, run] { return run(common); }; });
}

} // namespace

void add_store_commands(CLI::App& app, common_options& common, command_action& action) {
  auto& group = *app.add_subcommand("store", "Look after a data directory");
  group.require_subcommand(1);
  group.footer("Example: belay store check --data /var/lib/belay");
  add_plain_command(group, common, action, "check",
                    "Verify every checksum, index and invariant; a node may be running", check);
  add_plain_command(group, common, action, "stat", "Show sizes and counts; a node may be running",
                    stat);
  add_file_command(group, common, action, "backup",
                   "Write a consistent copy into one file; a node may be running", "FILE",
                   "backup /backup/belay.tar --data /var/lib/belay", backup);
  add_file_command(group, common, action, "restore",
                   "Make a new data directory from a backup, after checking it", "FILE",
                   "restore /backup/belay.tar --data /var/lib/belay-new", restore);
  add_plain_command(group, common, action, "compact",
                    "Give free pages back to the disk; no node may be running", compact);
  add_file_command(group, common, action, "export",
                   "Write everything as JSON lines ('-': standard output); a node may be running",
                   "FILE", "export - --data /var/lib/belay | gzip >belay.jsonl.gz", export_lines);
  add_file_command(group, common, action, "import",
                   "Fill a new data directory from an export ('-': standard input)", "FILE",
                   "import belay.jsonl --data /var/lib/belay-new", import_lines);
}

} // namespace belay::app
