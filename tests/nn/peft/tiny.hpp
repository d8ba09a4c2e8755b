#pragma once
// The small transformer of tests/reference/peft.json, with its weights.
#include <catch2/catch.hpp>

#include <cotangent/autograd/engine.hpp>
#include <cotangent/nn/attention/multihead.hpp>
#include <cotangent/nn/attention/transformer.hpp>
#include <cotangent/nn/embedding.hpp>
#include <cotangent/nn/peft/tuned.hpp>
#include <cotangent/tensor/random.hpp>
#include <cotangent/tests/values.hpp>

#include "../../json.hpp"

namespace cotangent {

/// One pre-norm layer of width 4, with two heads.
inline nn::TransformerEncoderLayer tiny_layer(bool causal = true) {
  return nn::TransformerEncoderLayer(nn::MultiHeadAttention(4, 2, {.causal = causal}),
                                     {.inner = 6, .dropout = 0, .norm_first = true});
}

struct Tiny : nn::Module {
  Tiny() : blocks(nn::repeat(2, [] { return tiny_layer(); }), nn::LayerNorm(4)) {}
  nn::Embedding token{5, 4};
  nn::TransformerEncoder blocks;
  nn::Linear head{4, 5, {.bias = false}};
  COTANGENT_MODULE(token, blocks, head)
  Tensor forward(const Tensor& tokens) { return head(blocks(token(tokens))); }
};

inline nn::StateDict state_of(const Json& packed) {
  nn::StateDict state;
  for (const auto& [name, values] : packed.items()) state.add(name, unpacked(values));
  return state;
}

inline const Tensor kTokens = tensor({{0, 1, 2, 3}, {4, 4, 1, 0}});

inline void randomize(const nn::Module& m) {
  for (const Tensor& p : m.parameters()) normal_(p, 0.1, 0.7);
}

/// In float64, with the weights of the reference.
inline Tiny tiny(const Json& data) {
  Tiny model;
  model.to(float64);
  model.load_state_dict(state_of(data["base"]), false);
  return model;
}

/// Loads the parameters of a case, and compares result and gradients; the model's own parameters must have none.
template <class Tuned>
void check_case(const Json& data, const Json& test, Tuned tuned) {
  const Tensor tokens = unpacked(data["tokens"]).to(int64);
  tuned.tuner.load_state_dict(state_of(test["parameters"]));
  const Tensor y = tuned(tokens);
  CHECK(close(y, unpacked(test["y"]), 1e-10));
  y.backward(unpacked(test["dy"]));
  for (const auto& [name, p] : tuned.tuner.named_parameters()) {
    INFO(name);
    CHECK(close(p.grad(), unpacked(test["gradients"][name]), 1e-10));
  }
  CHECK(tuned.tuner.named_parameters().size() == test["gradients"].items().size());
  for (const auto& [name, p] : tuned.base.named_parameters()) {
    INFO(name);
    CHECK_FALSE(p.grad().defined());
  }
}

inline Json case_named(const Json& data, std::string_view name) {
  for (const Json& test : data["cases"])
    if (test["name"] == name) return test;
  throw ValueError("no such case");
}

}  // namespace cotangent
