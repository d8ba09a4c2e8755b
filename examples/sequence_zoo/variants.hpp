// The animals of the zoo: every layer of sequences in the library, a line each.
#pragma once
#include <cotangent/nn/sequence/sequence.hpp>
#include <functional>
#include <string>
#include <vector>

/// Where a layer is to work.
struct Place {
  int64_t width, heads;
  bool causal;
  int64_t length;                 // of the longest sequence in training
  int64_t longest;                // of all: tables by position must reach so far
  int64_t layer = 0, layers = 1;  // which of the model's layers it is
};

enum class Family : uint8_t { softmax, positions, sparse, linear, gated, state };

/// What a model adds to its tokens so that they differ by place.
enum class Positions : uint8_t { none, learned, sinusoidal };

struct Variant {
  std::string name;  // where char_gpt --attention has it too, the one that it has there
  Family family;
  Positions added;  // none for those that know of positions themselves
  std::function<cotangent::nn::AnySequenceLayer(const Place& place)> make;
};

/// All, family by family.
const std::vector<Variant>& variants();
