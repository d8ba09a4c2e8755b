// Time and memory of one layer against the length of the sequence: forward and backward, and of one more token.
#pragma once
#include <vector>

#include "variants.hpp"

struct CostSettings {
  int64_t width = 64, heads = 4;
  int64_t min_length = 128, max_length = 16'384;
  double max_seconds = 2;  // a length that is expected to take longer is left out, and all beyond it
  double max_bytes = 1'500e6;
};

struct Cost {
  int64_t length;
  double seconds;  // the least of some runs
  int64_t bytes;   // at the peak, beside the layer, its input and what was there before
};

/// At min_length and its doubles, as far as the limits let it.
std::vector<Cost> measure_cost(const Variant& variant, const CostSettings& settings);
/// What the next token costs after so many, at the same lengths: the seconds of a step, and the bytes that the state
/// holds. Nothing for a layer that does not stream.
std::vector<Cost> measure_decoding(const Variant& variant, const CostSettings& settings);
