// The parts of a node that log lines are told apart by; `log.levels` names them.
#pragma once

#include <array>
#include <string_view>

namespace belay::component {

inline constexpr const char* client = "client";
inline constexpr const char* gate = "gate";
inline constexpr const char* keeper = "keeper";
inline constexpr const char* membership = "membership";
inline constexpr const char* node = "node";
inline constexpr const char* process = "process";
inline constexpr const char* registry = "registry";
inline constexpr const char* sweeper = "sweeper";
inline constexpr const char* trace = "trace";
inline constexpr const char* uplink = "uplink";
inline constexpr const char* watcher = "watcher";
inline constexpr const char* workflow = "workflow";

inline constexpr std::array<std::string_view, 12> all{client, gate,    keeper,   membership,
                                                      node,   process, registry, sweeper,
                                                      trace,  uplink,  watcher,  workflow};

} // namespace belay::component
