// What this program is: version, commit, how it was built, what it rests on.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace belay::app {

/// Returns the version, as in "0.1.0".
[[nodiscard]] std::string version();

/// Returns the commit that this was built from, twelve hexadecimal digits and "-dirty" where files
/// differed from it; "unknown" outside a checkout.
[[nodiscard]] std::string commit();

/// Returns the day of that commit, YYYY-MM-DD; outside a checkout that of the build.
[[nodiscard]] std::string commit_date();

/// What `belay --version` prints; the first line alone says which program it is.
[[nodiscard]] std::string version_text();

/// The same for programs.
[[nodiscard]] nlohmann::json version_json();

} // namespace belay::app
