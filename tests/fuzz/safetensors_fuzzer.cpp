// A file that is read is read the same after it is written again.
#include <cotangent/io/safetensors.hpp>
#include <cotangent/tensor/create.hpp>
#include <cstring>

#include "fuzz.hpp"

using namespace cotangent;

std::vector<Bytes> seeds() {
  std::vector<Bytes> result;
  const auto add = [&](const StateDict& tensors, const io::Metadata& metadata = {}) {
    io::write_safetensors(directory() / "seed", tensors, metadata);
    result.push_back(read_all(directory() / "seed"));
  };
  add({});
  add({{"a", ones({2, 3})}}, {{"format", "pt"}, {"who", "x\n\"y\""}});
  StateDict every;
  for (const Dtype dtype : {float32, float64, bfloat16, float16, int64, int32, uint8, boolean})
    every.add(std::string(1, static_cast<char>('a' + static_cast<int>(dtype))), zeros({3, 1}, dtype));
  every.add("none", zeros({0, 4}));
  every.add("scalar", ones({}));
  add(every, {{"k", ""}});
  return result;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string path = file_of("f", Bytes(data, data + size));
  io::SafeTensors first;
  if (!succeeds<IOError>("[read_safetensors] ", [&] { first = io::read_safetensors(path); })) return 0;
  io::write_safetensors(path, first.tensors, first.metadata);
  const io::SafeTensors second = io::read_safetensors(path);
  promise(first.metadata == second.metadata, "the metadata come back");
  promise(first.tensors.size() == second.tensors.size(), "as many tensors come back");
  auto b = second.tensors.begin();
  for (const auto& [name, a] : first.tensors) {
    promise(name == b->name && a.shape() == b->tensor.shape() && a.dtype() == b->tensor.dtype(), "each comes back");
    const auto bytes = static_cast<size_t>(a.numel() * item_size(a.dtype()));
    promise(bytes == 0 || std::memcmp(a.raw_data(), b->tensor.raw_data(), bytes) == 0, "bit for bit");
    ++b;
  }
  return 0;
}
