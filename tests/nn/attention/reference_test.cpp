// Attention layers against tests/reference/attention.json, which make_attention.py writes.
#include <cotangent/nn/attention/latent.hpp>
#include <cotangent/nn/attention/low_rank.hpp>
#include <cotangent/nn/attention/sparse.hpp>
#include <cotangent/nn/attention/synthesizer.hpp>

#include "../reference_layer.hpp"

using namespace cotangent;

namespace {

template <class Kind>
Kind named(const std::string& name, std::initializer_list<std::pair<const char*, Kind>> kinds) {
  for (const auto& [own, kind] : kinds)
    if (name == own) return kind;
  throw ValueError("no kind is called " + name);
}

nn::Synthesizer synthesizer(const Case& test) {
  using Kind = nn::SynthesizerScores;
  std::vector<Kind> scores;
  for (const Json& name : test.data["scores"])
    scores.push_back(named<Kind>(name.get<std::string>(), {{"dot_product", Kind::dot_product},
                                                           {"dense", Kind::dense},
                                                           {"random", Kind::random},
                                                           {"factorized_dense", Kind::factorized_dense},
                                                           {"factorized_random", Kind::factorized_random}}));
  return {4, 2, {.scores = scores, .length = 6, .rank = 3, .causal = test.get("causal", false)}};
}

nn::Linformer linformer(const Case& test) {
  using enum nn::LinformerSharing;
  return {4,
          2,
          {.length = 6,
           .rank = 3,
           .sharing = named<nn::LinformerSharing>(test.get<std::string>("sharing", ""),
                                                  {{"none", none}, {"heads", heads}, {"key_value", key_value}})}};
}

}  // namespace

TEST_CASE("attention layers equal their formulas in PyTorch, gradients included") {
  const Json data("attention.json");
  for (size_t n = 0; n < data.size(); ++n) {
    const Case test(data[n]);
    const auto name = test.get<std::string>("name", "");
    INFO(n << ": " << name);
    const auto check = [&](auto layer) {
      compare(test, layer, [&](auto& m) { return m(test.inputs.get("x"), {.key_mask = test.masks.get("key_mask")}); });
    };
    if (name == "linformer")
      check(linformer(test));
    else if (name == "longformer")
      check(nn::Longformer(4, 2,
                           {.window = 2,
                            .dilations = {test.get<int64_t>("dilation", 1)},
                            .globals = test.data["tokens"].get<std::vector<int64_t>>(),
                            .causal = test.get("causal", false)}));
    else if (name == "latent")
      check(nn::LatentAttention(4, 2,
                                {.kv_rank = 3,
                                 .q_rank = test.get<int64_t>("q_rank", 0),
                                 .rope_width = 2,
                                 .causal = test.get("causal", false)}));
    else if (name == "sinks")
      check(
          nn::SinkAttention(4, 2, {.sinks = test.get<int64_t>("sinks", 0), .window = test.get<int64_t>("window", 0)}));
    else if (name == "nystrom")
      check(nn::NystromAttention(4, 2, {.landmarks = 2, .iterations = test.get<int64_t>("iterations", 0)}));
    else if (name == "synthesizer")
      check(synthesizer(test));
    else
      FAIL("no layer for this case");
  }
}
