#include "examples/album/page.hpp"

namespace examples {

namespace {

std::string escaped(const std::string& text) {
  std::string result;
  for (const auto letter : text) {
    switch (letter) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += letter;
    }
  }
  return result;
}

/// A file name as part of a URL.
std::string as_url(const std::string& name) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string result;
  for (const auto letter : name) {
    const auto byte = static_cast<unsigned char>(letter);
    if (std::isalnum(byte) != 0 || letter == '.' || letter == '-' || letter == '_') {
      result += letter;
    } else {
      result += {'%', digits[byte >> 4U], digits[byte & 15U]};
    }
  }
  return result;
}

} // namespace

std::string album_page(const std::string& title, const nlohmann::json& pictures) {
  auto page = "<!doctype html>\n<meta charset=\"utf-8\">\n<title>" + escaped(title)
              + "</title>\n<h1>" + escaped(title) + "</h1>\n";
  for (const auto& one : pictures) {
    const auto name = one.at("name").get<std::string>();
    page += "<img src=\"thumbs/" + as_url(name) + "\" alt=\"" + escaped(name) + "\" width=\""
            + one.at("width").dump() + "\" height=\"" + one.at("height").dump() + "\">\n";
  }
  return page;
}

} // namespace examples
