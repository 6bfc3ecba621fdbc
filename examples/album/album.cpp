#include "examples/album/album.hpp"

#include "examples/album/page.hpp"
#include "examples/common/files.hpp"

namespace examples {

using belay::cancellation;
using belay::child;
using belay::failure;
using belay::json;
using belay::task;
using belay::workflow;
namespace fs = std::filesystem;

namespace {

/// What was asked for, and how far it has come.
struct album_state {
  fs::path source;
  fs::path target;
  std::string title;
  int width = 0;
  std::chrono::seconds patience{0};

  /// The names of the pictures, and a child for each that makes its thumbnail.
  json names;
  std::vector<child> children;
  std::size_t ended = 0;
  json made = json::array();
  json skipped = json::array();
  bool page_begun = false;

  [[nodiscard]] fs::path thumbs() const {
    return target / "thumbs";
  }
};

album_state state_from(const json& args) {
  album_state x;
  x.source = args.at("source").get<std::string>();
  x.target = args.at("target").get<std::string>();
  x.title = args.value("title", x.source.filename().string());
  x.width = args.value("width", 160);
  x.patience = std::chrono::seconds{args.value("patience_s", 7 * 24 * 3'600)};
  return x;
}

/// Starts a child for each picture and waits for all of them. A picture that cannot be read is left
/// out and named.
task<void> make_thumbnails(workflow& wf, album_state& x) {
  belay::child_options options;
  options.retry.attempts = 3;
  for (const auto& one : x.names) {
    const auto name = one.get<std::string>();
    x.children.push_back(co_await wf.start("album.thumbnail",
                                           {{"from", (x.source / name).string()},
                                            {"to", (x.thumbs() / name).string()},
                                            {"width", x.width}},
                                           options));
  }
  for (; x.ended < x.children.size(); ++x.ended) {
    wf.set_status({{"stage", "thumbnails"}, {"done", x.ended}, {"of", x.children.size()}});
    try {
      x.made.push_back(co_await x.children[x.ended]);
    } catch (const failure& why) {
      if (why.code != "bad_picture") {
        throw;
      }
      x.skipped.push_back({{"name", x.names[x.ended]}, {"why", why.what()}});
    }
  }
}

struct verdict {
  bool yes = false;
  std::string words;
};

verdict verdict_from(const std::optional<json>& answer) {
  if (!answer) {
    return {false, "nobody answered in time"};
  }
  const auto yes = answer->is_object() ? answer->value("ok", json(true)) : *answer;
  if (yes.is_null() || yes == true) {
    return {true, "approved"};
  }
  return {false, "rejected"};
}

task<verdict> ask_a_person(workflow& wf, const album_state& x) {
  wf.set_status({{"stage", "waiting for approval"},
                 {"look_at", x.thumbs().string()},
                 {"pictures", x.made.size()},
                 {"skipped", x.skipped}});
  const auto answer = co_await wf.wait_signal("approved", x.patience);
  co_return verdict_from(answer);
}

/// Writes the page and keeps the manifest with the process.
task<json> publish(workflow& wf, album_state& x) {
  x.page_begun = true;
  const auto write_page = [&x] {
    const auto page = album_page(x.title, x.made);
    remove_unfinished(x.thumbs());
    write_file(x.target / "index.html", page);
    remove_unfinished(x.target);
    return sha256(page);
  };
  const auto page = co_await wf.step("page", write_page);
  const json manifest{{"title", x.title}, {"page_sha256", page}, {"pictures", x.made}};
  const auto ref = wf.attach(manifest.dump(2) + "\n", "manifest.json");
  wf.set_status({{"stage", "published"}, {"page", (x.target / "index.html").string()}});
  co_return json{
    {"published", true}, {"pictures", x.made.size()}, {"skipped", x.skipped}, {"manifest", ref}};
}

/// Removes what was made. Thumbnails that are being made end first: one that was written afterwards
/// would stay.
task<void> take_back(workflow& wf, album_state& x) {
  for (; x.ended < x.children.size(); ++x.ended) {
    try {
      co_await x.children[x.ended];
    } catch (const failure&) {
      // It may have been cancelled with us.
    }
  }
  const auto remove = [&x] {
    for (const auto& name : x.names) {
      remove_file(x.thumbs() / name.get<std::string>());
    }
    if (x.page_begun) {
      remove_file(x.target / "index.html");
    }
    for (const auto& folder : {x.thumbs(), x.target}) {
      remove_unfinished(folder);
      std::error_code not_empty;
      fs::remove(folder, not_empty);
    }
  };
  co_await wf.step("take back", remove);
}

} // namespace

json album_schema() {
  return json::parse(R"({
    "type": "object",
    "required": ["source", "target"],
    "additionalProperties": false,
    "properties": {
      "source": {"type": "string", "pattern": "^/"},
      "target": {"type": "string", "pattern": "^/"},
      "title": {"type": "string"},
      "width": {"type": "integer", "minimum": 16, "maximum": 2000},
      "patience_s": {"type": "integer", "minimum": 1, "maximum": 31536000}}})");
}

task<json> album(workflow& wf, json args) {
  auto x = state_from(args);
  // There is no co_await in a handler: it keeps what was thrown, and what follows undoes.
  std::optional<cancellation> cancelled;
  std::optional<failure> failed;
  verdict said;
  try {
    x.names = co_await wf.call("album.list", {{"source", x.source.string()}});
    co_await make_thumbnails(wf, x);
    said = co_await ask_a_person(wf, x);
    if (said.yes) {
      co_return co_await publish(wf, x);
    }
  } catch (const cancellation& why) {
    cancelled = why;
  } catch (const failure& why) {
    failed = why;
  }
  wf.set_status({{"stage", "taking back"}});
  co_await take_back(wf, x);
  wf.set_status({{"stage", "taken back"}});
  if (cancelled) {
    throw *cancelled;
  }
  if (failed) {
    throw *failed;
  }
  co_return json{{"published", false}, {"why", said.words}};
}

} // namespace examples
