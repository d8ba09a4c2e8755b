// Gives libFuzzer the seeds: it puts them into the directory of the corpus, which is named on the command line.
#include "fuzz.hpp"

extern "C" int LLVMFuzzerInitialize(int* count, char*** words) {
  for (int i = 1; i < *count; ++i) {
    const std::filesystem::path corpus((*words)[i]);
    if (!std::filesystem::is_directory(corpus)) continue;
    size_t number = 0;
    for (const Bytes& seed : seeds()) write_plain(corpus / ("seed-" + std::to_string(number++)), seed);
    break;
  }
  return 0;
}
