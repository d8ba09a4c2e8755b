// Private: safetensors files for checkpoints. `who` is the function that the user called: errors bear its name.
#pragma once
#include <cotangent/io/safetensors.hpp>

namespace cotangent::io {

SafeTensors read_safetensors(const char* who, const std::string& path);
void write_safetensors(const char* who, const std::string& path, const StateDict& tensors, const Metadata& metadata);

}  // namespace cotangent::io
