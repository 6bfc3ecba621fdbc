// Text for people: what others wrote cannot drive a terminal.
#include "app/output.hpp"

#include <catch2/catch.hpp>

using belay::app::printable;

TEST_CASE("output: what drives a terminal or misleads its reader is escaped", "[app]") {
  CHECK(printable("plain, \u00fcber, \u65e5\u672c, \U0001F600")
        == "plain, \u00fcber, \u65e5\u672c, \U0001F600");
  CHECK(printable("a\x1b[2Jb\n\x7f") == "a\\x1b[2Jb\\x0a\\x7f");
  CHECK(printable(std::string_view{"\0", 1}) == "\\x00");
  CHECK(printable("\u009b2J") == "\\u009b2J");
  CHECK(printable("evil\u202etxt.exe \u2066x\u2069 \u200f\u061c\u2028")
        == "evil\\u202etxt.exe \\u2066x\\u2069 \\u200f\\u061c\\u2028");
  CHECK(printable("cut \xe6\x97") == "cut \\xe6\\x97");
  CHECK(printable("\x9b") == "\\x9b");
}
