// The SHA-256 of every file of a tree, by many children, in one sorted manifest.
#pragma once

#include "actors/running/tool.hpp"
#include "actors/workflow/workflow.hpp"

namespace examples {

/// The workflow `crawl`, version 1. Its result has the manifest's own SHA-256: the same tree gives
/// the same, whatever happens on the way.
///
/// What is large never goes through the journal: lists and sums are files in a folder beside the
/// manifest, and the journal has their hashes.
belay::task<belay::json> crawl(belay::workflow& wf, belay::json args);
belay::json crawl_schema();

/// The tool `crawl.list`: writes the paths of all regular files below `root` to a file of `work`,
/// sorted, and cuts it into `parts` at most. Links are not followed; folders that may not be read
/// are passed over.
belay::json list_tree(belay::running::tool_context& context, const belay::json& args);
belay::json list_tree_schema();

/// The tool `crawl.hash`: hashes the files in the bytes `from` to `to` of that list and writes a
/// part of the manifest. Files that may not be read are left out and counted.
belay::json hash_part(belay::running::tool_context& context, const belay::json& args);
belay::json hash_part_schema();

} // namespace examples
