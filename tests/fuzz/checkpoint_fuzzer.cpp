// All parts of a checkpoint that is loaded can be read, and what is saved again is loaded again.
#include <cotangent/io/checkpoint.hpp>
#include <cotangent/tensor/create.hpp>

#include "fuzz.hpp"

using namespace cotangent;

std::vector<Bytes> seeds() {
  io::Checkpoint saved;
  saved.add("generator", Generator(7));
  std::vector<Bytes> result;
  for (const bool large : {false, true}) {
    if (large) {
      saved.add("model", StateDict{{"layer.weight", ones({2, 2})}, {"layer.bias", zeros({2})}});
      saved.settings["step"] = "12";
    }
    io::save_checkpoint(directory() / "seed", saved);
    result.push_back(read_all(directory() / "seed"));
  }
  return result;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string path = file_of("f", Bytes(data, data + size));
  io::Checkpoint saved;
  if (!succeeds<IOError>("[load_checkpoint] ", [&] { saved = io::load_checkpoint(path); })) return 0;
  for (const std::string& part : saved.parts()) {
    Generator generator(0);
    succeeds<Error>("[Checkpoint] ", [&] { saved[part]; });
    succeeds<Error>("[Checkpoint] ", [&] { saved.restore(part, generator); });
  }
  io::save_checkpoint(path, saved);
  const io::Checkpoint again = io::load_checkpoint(path);
  promise(again.settings == saved.settings, "the settings come back");
  promise(again.parts() == saved.parts(), "the parts come back");
  return 0;
}
