// Drives a fuzz target without libFuzzer: the files of a corpus, then seeded mutations of them.
//
// Usage: fuzz_TARGET CORPUS [MUTATIONS [SEED]]. CORPUS may be a single file. The input under which
// the target failed is left in failed-input.
#include "tests/fuzz/fuzz.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <unistd.h>
#include <vector>

extern "C" void __sanitizer_set_death_callback(void (*)()) __attribute__((weak));

namespace {

constexpr std::size_t input_bytes_max = 32'768;
constexpr auto time_max = std::chrono::seconds{10};

/// Exactly as large as the input, so that a sanitizer sees every byte that is read beyond it.
std::vector<std::uint8_t> current;

void keep_input() {
  const int file = open("failed-input", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  const auto written = file < 0 ? -1 : write(file, current.data(), current.size());
  constexpr std::string_view kept = "the input is in failed-input\n";
  if (written == static_cast<ssize_t>(current.size())) {
    static_cast<void>(!write(STDERR_FILENO, kept.data(), kept.size()));
  }
}

extern "C" void on_signal(int number) {
  keep_input();
  std::signal(number, SIG_DFL);
  std::raise(number);
}

void run(const std::string& input) {
  std::vector<std::uint8_t>{input.begin(), input.end()}.swap(current);
  LLVMFuzzerTestOneInput(current.data(), current.size());
}

std::vector<std::string> read_corpus(const std::filesystem::path& path) {
  std::vector<std::filesystem::path> files;
  if (std::filesystem::is_directory(path)) {
    for (const auto& entry : std::filesystem::directory_iterator{path}) {
      files.push_back(entry.path());
    }
  } else {
    files.push_back(path);
  }
  std::sort(files.begin(), files.end()); // The same mutations on every machine.
  std::vector<std::string> result;
  for (const auto& file : files) {
    std::ifstream in{file, std::ios::binary};
    result.emplace_back(std::istreambuf_iterator<char>{in}, std::istreambuf_iterator<char>{});
  }
  return result;
}

class mutator {
public:
  mutator(const std::vector<std::string>& corpus, unsigned seed) : corpus_{corpus}, random_{seed} {}

  std::string next() {
    auto text = corpus_[below(corpus_.size())];
    for (auto changes = 1 + below(4); changes > 0; --changes) {
      change(text);
    }
    text.resize(std::min(text.size(), input_bytes_max));
    return text;
  }

private:
  std::size_t below(std::size_t bound) {
    return bound == 0 ? 0 : static_cast<std::size_t>(random_() % bound);
  }

  void change(std::string& text) {
    constexpr std::array<char, 16> marks{'\0', '\n',   '"',    '\'',   '\\',   '{',    '}', '[',
                                         ']',  '\x7F', '\x80', '\xFF', '\xC2', '\x01', '-', '9'};
    const auto at = below(text.size() + 1);
    switch (below(6)) {
      case 0: // flip
        if (at < text.size()) {
          text[at] = static_cast<char>(static_cast<unsigned char>(text[at]) ^ (1U << below(8)));
        }
        break;
      case 1: // insert
        text.insert(at, 1, below(2) == 0 ? marks[below(marks.size())] : any());
        break;
      case 2: // delete
        text.erase(at, 1 + below(8));
        break;
      case 3: // splice
      {
        const auto& other = corpus_[below(corpus_.size())];
        text.replace(at, std::string::npos, other, below(other.size() + 1), std::string::npos);
        break;
      }
      case 4: // repeat
      {
        const auto piece = text.substr(at, 1 + below(16));
        for (auto times = std::size_t{1} << below(8); times > 0; --times) {
          text.insert(at, piece);
        }
        break;
      }
      default: // overwrite
        if (at < text.size()) {
          text[at] = any();
        }
    }
  }

  char any() {
    return static_cast<char>(below(256));
  }

  const std::vector<std::string>& corpus_;
  std::mt19937 random_;
};

} // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: %s CORPUS [MUTATIONS [SEED]]\n", argv[0]);
    return 2;
  }
  const auto corpus = read_corpus(argv[1]);
  const auto mutations = argc > 2 ? std::stoul(argv[2]) : 4'000;
  const auto seed = argc > 3 ? std::stoul(argv[3]) : 1;
  if (corpus.empty()) {
    std::fprintf(stderr, "no input in %s\n", argv[1]);
    return 2;
  }
  if (__sanitizer_set_death_callback != nullptr) {
    __sanitizer_set_death_callback(keep_input);
  }
  std::signal(SIGABRT, on_signal);
  for (const auto& input : corpus) {
    run(input);
  }
  mutator mutate{corpus, static_cast<unsigned>(seed)};
  const auto end = std::chrono::steady_clock::now() + time_max;
  std::size_t done = 0;
  while (done < mutations && std::chrono::steady_clock::now() < end) {
    run(mutate.next());
    ++done;
  }
  std::printf("%zu files and %zu mutations of them, seed %lu\n", corpus.size(), done, seed);
  return 0;
}
