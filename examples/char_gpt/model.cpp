#include "model.hpp"

namespace ct = cotangent;
namespace nn = cotangent::nn;
using ct::Tensor;

namespace {

nn::AnyAttention make_attention(const ModelOptions& o) {
  const int64_t kv_heads = o.attention == "multiquery" ? 1
                           : o.attention == "grouped"  ? std::max<int64_t>(o.heads / 2, 1)
                                                       : o.heads;
  return nn::MultiHeadAttention(o.width, o.heads, {.kv_heads = kv_heads, .causal = true, .dropout = o.dropout});
}

}  // namespace

Block::Block(const ModelOptions& o)
    : norm1(o.width),
      norm2(o.width),
      attention(make_attention(o)),
      up(o.width, 4 * o.width),
      down(4 * o.width, o.width),
      dropout(o.dropout) {}

// x + attention(norm(x)), then x + mlp(norm(x)): what is added is computed from normalized values (pre-norm), and the
// sum itself goes from the first to the last layer untouched.
Tensor Block::forward(const Tensor& input) {
  const Tensor x = input + dropout(attention(norm1(input)));
  return x + dropout(down(ct::gelu(up(norm2(x)))));
}

Tensor Block::step(const Tensor& input, nn::StreamState& state) {
  const Tensor x = input + attention->step(norm1(input), state);
  return x + down(ct::gelu(up(norm2(x))));
}

CharGpt::CharGpt(int64_t vocabulary, const ModelOptions& o)
    : token(vocabulary, o.width),
      position(o.context, o.width),
      blocks(nn::repeat(o.layers, [&] { return Block(o); })),
      norm(o.width),
      head(o.width, vocabulary, {.bias = false}),
      dropout(o.dropout) {
  for (nn::Embedding* table : {&token, &position}) nn::init::normal_(table->weight, 0, 0.02);
}

Tensor CharGpt::forward(const Tensor& tokens) {                             // (B, T)
  Tensor x = token(tokens) + position.weight.narrow(0, 0, tokens.size(1));  // (B, T, width)
  x = dropout(x);
  for (Block& block : blocks) x = block(x);
  return head(norm(x));
}

nn::StreamState CharGpt::start(int64_t batch) {
  nn::StreamState state;
  for (Block& block : blocks) state.layers.push_back(block.attention->start(batch));
  return state;
}

Tensor CharGpt::step(const Tensor& tokens, nn::StreamState& state) {
  Tensor x = token(tokens) + position.weight.narrow(0, state.length, tokens.size(1));
  for (size_t i = 0; i < blocks.size(); ++i) x = blocks[i].step(x, state.layers[i]);
  state.length += tokens.size(1);
  return head(norm(x));
}
