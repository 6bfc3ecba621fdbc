// An album of pictures: listed, made small, looked at by a person, published or taken back.
#pragma once

#include "actors/workflow/workflow.hpp"

namespace examples {

/// The workflow `album`, version 1.
belay::task<belay::json> album(belay::workflow& wf, belay::json args);
belay::json album_schema();

/// The tool `album.list`: the names of the PNG files of the folder `source`, sorted.
belay::json list_pictures(const belay::json& args);
belay::json list_pictures_schema();

/// The tool `album.thumbnail`: writes the picture `from` to `to`, `width` pixels wide at most. Says
/// what it has written. The same again writes the same.
belay::json make_thumbnail(const belay::json& args);
belay::json make_thumbnail_schema();

} // namespace examples
