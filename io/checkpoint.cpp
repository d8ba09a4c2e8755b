#include <cotangent/io/checkpoint.hpp>

#include <algorithm>
#include <bit>

#include <fmt/format.h>

#include <cotangent/io/safetensors_internal.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::io {
namespace {

constexpr const char* kFormat = "cotangent checkpoint 1";

}  // namespace

void Checkpoint::add(const std::string& part, const StateDict& state) {
  if (part.empty() || part.find('.') != std::string::npos)
    fail<ValueError>("[Checkpoint] a part cannot be called '{}'; its name must be a word without dots", part);
  const std::vector<std::string> known = parts();
  if (std::find(known.begin(), known.end(), part) != known.end())
    fail<ValueError>("[Checkpoint] there is a part {} already", part);
  if (state.empty()) fail<ValueError>("[Checkpoint] the state of {} is empty; leave it out", part);
  for (const auto& [name, tensor] : state) tensors.add(fmt::format("{}.{}", part, name), tensor);
}

void Checkpoint::add(const std::string& part, const Generator& generator) {
  const auto [seed, block] = generator.state();
  const std::vector<int64_t> words{std::bit_cast<int64_t>(seed), std::bit_cast<int64_t>(block)};
  add(part, StateDict{{"state", from_vector(words, {2})}});
}

StateDict Checkpoint::operator[](const std::string& part) const {
  StateDict state;
  for (const auto& [name, tensor] : tensors)
    if (name.size() > part.size() && name.starts_with(part) && name[part.size()] == '.')
      state.add(name.substr(part.size() + 1), tensor);
  if (state.empty())
    fail<IndexError>("[Checkpoint] there is no part {}; there are {}", part,
                     fmt::format("{}", fmt::join(parts(), ", ")));
  return state;
}

void Checkpoint::restore(const std::string& part, Generator& generator) const {
  const StateDict saved = (*this)[part];
  const Tensor& words = saved.get("state");
  if (!words.defined() || words.dtype() != int64 || words.shape() != Shape{2})
    fail<ValueError>("[Checkpoint] the part {} is not the state of a generator", part);
  const auto* state = words.data<int64_t>();
  generator.set_state({std::bit_cast<uint64_t>(state[0]), std::bit_cast<uint64_t>(state[1])});
}

std::vector<std::string> Checkpoint::parts() const {
  std::vector<std::string> result;
  for (const auto& [name, tensor] : tensors) {
    std::string part = name.substr(0, name.find('.'));
    if (std::find(result.begin(), result.end(), part) == result.end()) result.push_back(std::move(part));
  }
  return result;
}

void save_checkpoint(const std::string& path, const Checkpoint& checkpoint) {
  Metadata metadata = checkpoint.settings;
  if (metadata.contains("format"))
    fail<ValueError>("[save_checkpoint] no setting can be called format: that word says what the file is");
  metadata["format"] = kFormat;
  write_safetensors("save_checkpoint", path, checkpoint.tensors, metadata);
}

Checkpoint load_checkpoint(const std::string& path) {
  SafeTensors file = read_safetensors("load_checkpoint", path);
  if (!file.metadata.contains("format") || file.metadata.at("format") != kFormat)
    fail<IOError>(
        "[load_checkpoint] {} is no checkpoint, but a safetensors file of another kind; read_safetensors reads it",
        path);
  file.metadata.erase("format");
  Checkpoint result;
  result.settings = std::move(file.metadata);
  result.tensors = std::move(file.tensors);
  return result;
}

}  // namespace cotangent::io
