// The belay command line with the workflow `album`:
//
//     export BELAY_DATA=/tmp/albums
//     album node &
//     album start --id summer album --args '{"source": "/pictures", "target": "/tmp/album"}'
//     album get summer                                   # its status says where to look
//     album signal summer approved --data '{"ok": true}'
//     album wait summer
#include "app/embedding.hpp"
#include "examples/album/album.hpp"

int main(int argc, char** argv) {
  belay::embedding node;
  node.tool("album.list", examples::list_pictures_schema(), examples::list_pictures)
    .tool("album.thumbnail", examples::make_thumbnail_schema(), examples::make_thumbnail)
    .workflow("album", examples::album, {.version = 1, .schema = examples::album_schema()});
  return node.run(argc, argv);
}
