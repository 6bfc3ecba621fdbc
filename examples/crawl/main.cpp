// The belay command line with the workflow `crawl`:
//
//     export BELAY_DATA=/tmp/crawls
//     crawl node &
//     crawl start --id doc crawl --args '{"root": "/usr/share/doc", "manifest": "/tmp/doc.sha256"}'
//     crawl wait doc
//     (cd /usr/share/doc && sha256sum --quiet -c /tmp/doc.sha256)
#include "app/embedding.hpp"
#include "examples/crawl/crawl.hpp"

int main(int argc, char** argv) {
  belay::embedding node;
  node.tool("crawl.list", examples::list_tree_schema(), examples::list_tree)
    .tool("crawl.hash", examples::hash_part_schema(), examples::hash_part)
    .workflow("crawl", examples::crawl, {.version = 1, .schema = examples::crawl_schema()});
  return node.run(argc, argv);
}
