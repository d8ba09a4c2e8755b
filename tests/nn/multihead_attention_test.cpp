#include <cotangent/nn/multihead_attention.hpp>

#include <cmath>

#include <catch2/catch.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/random.hpp>

using namespace cotangent;

TEST_CASE("MultiHeadAttention has PyTorch's parameters, and fewer with fewer key heads") {
  nn::MultiHeadAttention attention(8, 4);
  std::vector<std::string> names;
  for (const auto& entry : attention.state_dict()) names.push_back(entry.name);
  CHECK(names == std::vector<std::string>{"in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias"});
  CHECK(attention.in_proj_weight.shape() == Shape{24, 8});
  CHECK(equal(attention.in_proj_bias, zeros({24})));
  CHECK(equal(attention.out_proj.bias, zeros({8})));
  CHECK(attention.settings() == "8, 4");
  nn::MultiHeadAttention grouped(8, 4, {.kv_heads = 1, .causal = true, .bias = false});
  CHECK(grouped.in_proj_weight.shape() == Shape{12, 8});
  CHECK_FALSE(grouped.in_proj_bias.defined());
  CHECK(grouped.state_dict().size() == 2);
  CHECK(grouped.settings() == "8, 4, kv_heads = 1, causal = true");
  CHECK_THROWS_WITH(nn::MultiHeadAttention(8, 3),
                    "[MultiHeadAttention] 3 heads for a width of 8; the heads must divide the width");
  CHECK_THROWS_WITH(nn::MultiHeadAttention(8, 4, {.kv_heads = 3}), Catch::Contains("the key heads must divide"));
  CHECK_THROWS_WITH(nn::MultiHeadAttention(8, 4, {.dropout = 1}), Catch::Contains("below 1"));
}
