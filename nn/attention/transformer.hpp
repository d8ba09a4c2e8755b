#pragma once
// Transformers with any attention, or another layer of sequences in its place. The layers' parameters have PyTorch's
// names.
//
//     auto layer = [] {
//       return nn::TransformerEncoderLayer(nn::MultiHeadAttention(64, 4, {.causal = true, .positions = nn::Rotary()}),
//                                          {.inner = 256, .activation = nn::Activation::gelu, .norm_first = true});
//     };
//     nn::TransformerEncoder blocks(nn::repeat(4, layer), nn::LayerNorm(64));  // the body of a language model
#include <optional>

#include <cotangent/nn/activation.hpp>
#include <cotangent/nn/attention/attention.hpp>
#include <cotangent/nn/dropout.hpp>
#include <cotangent/nn/linear.hpp>
#include <cotangent/nn/norm.hpp>

namespace cotangent::nn {

/// How a layer adds its branches: y = skip x + s F(x), where F(x) is the attention or the feed-forward. As it is, skip
/// and s are 1; the functions below make the layouts that have names.
struct ResidualOptions {
  double skip = 1;                  ///< what x is multiplied by
  std::optional<double> gate = {};  ///< s is a parameter (gate1, gate2, ..) that starts with this
  bool normalized = true;           ///< with the normalizations, before or behind as norm_first says
  double inner_gain = 1;            ///< multiplies the starting values of linear1, and of the attention's values
  double last_gain = 1;             ///< multiplies those of linear2 and out_proj, their biases included
};
/// DeepNorm, post-norm for hundreds of layers: skip = (2 L)^(1/4), gains (8 L)^(-1/4) in a stack of L. A step of an
/// optimizer changes the result by as much as in a shallow stack. Wang et al., arXiv:2203.00555, whose figure 2 has
/// these and the following constants.
ResidualOptions deep_norm(int64_t layers);
/// In front of a decoder of M layers: skip = 0.81 (N^4 M)^(1/16), gains 0.87 (N^4 M)^(-1/16). Its authors' code
/// (torchscale) divides by (N^4 M)^(1/16) / 1.15, which is 1.15 = 1 / 0.87 in place of 0.87.
ResidualOptions deep_norm_encoder(int64_t encoder_layers, int64_t decoder_layers);
/// With a memory, of whatever depth: skip = (3 M)^(1/4), gains (12 M)^(-1/4).
ResidualOptions deep_norm_decoder(int64_t layers);
/// x + s F(x) with s = 0 at the start, and no normalizations: the layer starts as the identity. ReZero, Bachlechner et
/// al., arXiv:2003.04887; SkipInit, De and Smith, arXiv:2002.10444.
ResidualOptions rezero();
/// x + s F(x) with s = 1 and the last linear layer of F at 0, the others at (2 L)^(-1/2) of their usual values, and no
/// normalizations: another start as the identity. Fixup, Zhang et al., arXiv:1901.09321, but for its scalar biases.
ResidualOptions fixup(int64_t layers);

struct TransformerLayerOptions {
  int64_t inner =
      2048;  ///< width between the two linear layers of the feed-forward; an encoder layer's 0 leaves it out
  double dropout = 0.1;  ///< after the attention, within and after the feed-forward; in a layer that makes its own
                         ///< attention (of a width and heads) also of the weights of the softmax, as PyTorch has it
  Activation activation = Activation::relu;  ///< a gated one takes a linear1 of twice the width
  bool norm_first = false;                   ///< x + f(norm(x)) instead of norm(x + f(x))
  Normalization norm = Normalization::layer;
  ResidualOptions residual = {};  ///< deep_norm(24), rezero(), ..
  double eps = 1e-5;              ///< of the normalizations
  bool bias = true;               ///< of the linear layers and normalizations
  Dtype dtype = default_dtype();
};

/// Attention and a feed-forward, f(x) = linear2(activation(linear1(x))), each with a residual and a layer
/// normalization:
///   post-norm: y = norm1(x + attention(x)),   result norm2(y + f(y))
///   pre-norm:  y = x + attention(norm1(x)),   result y + f(norm2(y))
/// Made of an attention, or another layer of sequences in its place, whose dropout and dtype are its own; or of a width
/// and a number of heads for full softmax attention, as PyTorch's. It streams where its attention does. A ValueError
/// for a memory, for options out of range, and for a residual with gains where the attention has no heads
/// (HeadedAttention). Vaswani et al., arXiv:1706.03762; Xiong et al., "On layer normalization in the transformer
/// architecture", arXiv:2002.04745.
struct TransformerEncoderLayer : SequenceLayer {
  explicit TransformerEncoderLayer(AnySequenceLayer attention, const TransformerLayerOptions& options = {});
  TransformerEncoderLayer(int64_t width, int64_t heads, const TransformerLayerOptions& options = {});
  AnySequenceLayer self_attn;
  std::optional<Linear> linear1, linear2;
  AnyNorm norm1, norm2;
  Parameter gate1, gate2;
  Dropout dropout;
  Activation activation;
  bool norm_first;
  ResidualOptions residual;
  COTANGENT_MEMBERS(self_attn, linear1, linear2, norm1, norm2, gate1, gate2, dropout)
  bool has(SequenceForm form) const override { return self_attn->has(form); }
  bool has_trees() const override { return self_attn->has_trees(); }
  std::string settings() const override;

 protected:
  Tensor run(const Tensor& x, const SequenceCall& call, StreamState* state) override;
  Tensor in_pieces(const Tensor& x, const SequenceCall& call) override { return run(x, call, nullptr); }
  std::vector<StreamState> start_layers(int64_t batch) override;
};

/// Layers of one width one after another, then the norm if there is one: give it after pre-norm layers. Also the
/// decoder of a language model, if the attentions are causal. Streams where all layers do.
struct TransformerEncoder : SequenceLayer {
  explicit TransformerEncoder(std::vector<TransformerEncoderLayer> layers, AnyNorm norm = {});
  std::vector<TransformerEncoderLayer> layers;
  AnyNorm norm;
  COTANGENT_MEMBERS(layers, norm)
  bool has(SequenceForm form) const override;
  bool has_trees() const override;

 protected:
  Tensor run(const Tensor& x, const SequenceCall& call, StreamState* state) override;
  Tensor in_pieces(const Tensor& x, const SequenceCall& call) override { return run(x, call, nullptr); }
  std::vector<StreamState> start_layers(int64_t batch) override;
};

/// Masks of a decoder's call, as SequenceCall has them.
struct DecoderCall {
  Tensor key_mask = {};         ///< bool (B, T): false for padding of x
  Tensor mask = {};             ///< of the self-attention
  Tensor memory_key_mask = {};  ///< bool (B, Tk): false for padding of the memory
  Tensor memory_mask = {};      ///< of the attention to the memory
};

/// The encoder layer with an attention to a memory, multihead_attn, between its two parts, and norm2 around it; the
/// feed-forward has norm3.   x (B, T, d), memory (B, Tk, d) -> (B, T, d)
/// Made of two attentions, or of a width and a number of heads for softmax attentions, of which the first is causal:
/// PyTorch's is not, and takes a mask for it, but a decoder that looks ahead can't generate.
struct TransformerDecoderLayer : Module {
  TransformerDecoderLayer(AnyAttention self, AnyAttention cross, const TransformerLayerOptions& options = {});
  TransformerDecoderLayer(int64_t width, int64_t heads, const TransformerLayerOptions& options = {});
  AnyAttention self_attn, multihead_attn;
  Linear linear1, linear2;
  AnyNorm norm1, norm2, norm3;
  Parameter gate1, gate2, gate3;
  Dropout dropout;
  Activation activation;
  bool norm_first;
  ResidualOptions residual;
  COTANGENT_MEMBERS(self_attn, multihead_attn, linear1, linear2, norm1, norm2, norm3, gate1, gate2, gate3, dropout)
  Tensor forward(const Tensor& x, const Tensor& memory, const DecoderCall& call = {});
  Tensor operator()(const Tensor& x, const Tensor& memory, const DecoderCall& call = {});
  Tensor operator()(const Tensor& x, const Tensor& memory, const DecoderCall& call = {}) const {
    return detail::evaluated(*this)(x, memory, call);
  }
  /// Streaming, as of SequenceLayer: the memory is projected once.
  StreamState start(const Tensor& memory, const Tensor& memory_key_mask = {});
  StreamState start(const Tensor& memory, const Tensor& memory_key_mask = {}) const {
    return detail::evaluated(*this).start(memory, memory_key_mask);
  }
  Tensor step(const Tensor& x, StreamState& state, const Tensor& key_mask = {});
  Tensor step(const Tensor& x, StreamState& state, const Tensor& key_mask = {}) const {
    return detail::evaluated(*this).step(x, state, key_mask);
  }
  std::string settings() const override;

 private:
  Tensor run(const Tensor& x, const Tensor& memory, const DecoderCall& call, StreamState* state);
};

/// Decoder layers one after another, then the norm if there is one.
struct TransformerDecoder : Module {
  explicit TransformerDecoder(std::vector<TransformerDecoderLayer> layers, AnyNorm norm = {});
  std::vector<TransformerDecoderLayer> layers;
  AnyNorm norm;
  COTANGENT_MEMBERS(layers, norm)
  Tensor forward(const Tensor& x, const Tensor& memory, const DecoderCall& call = {});
  Tensor operator()(const Tensor& x, const Tensor& memory, const DecoderCall& call = {});
  Tensor operator()(const Tensor& x, const Tensor& memory, const DecoderCall& call = {}) const {
    return detail::evaluated(*this)(x, memory, call);
  }
  StreamState start(const Tensor& memory, const Tensor& memory_key_mask = {});
  StreamState start(const Tensor& memory, const Tensor& memory_key_mask = {}) const {
    return detail::evaluated(*this).start(memory, memory_key_mask);
  }
  Tensor step(const Tensor& x, StreamState& state, const Tensor& key_mask = {});
  Tensor step(const Tensor& x, StreamState& state, const Tensor& key_mask = {}) const {
    return detail::evaluated(*this).step(x, state, key_mask);
  }

 private:
  Tensor run(const Tensor& x, const Tensor& memory, const DecoderCall& call, StreamState* state);
};

struct TransformerOptions {
  int64_t encoder_layers = 6, decoder_layers = 6;
  TransformerLayerOptions layer = {};
};

/// Masks of a transformer's call. Padding of the source is hidden from the decoder, too.
struct TransformerCall {
  Tensor source_key_mask = {};  ///< bool (B, Ts): false for padding
  Tensor source_mask = {};
  Tensor target_key_mask = {};  ///< bool (B, Tt): false for padding
  Tensor target_mask = {};
  Tensor memory_mask = {};  ///< of the decoder's attention to the memory
};

/// Encoder and decoder.   source (B, Ts, d), target (B, Tt, d) -> (B, Tt, d)
/// Made of the two, or of a width and a number of heads: layers of softmax attention, each stack with a norm at its
/// end, and all matrices by Glorot's uniform distribution, as PyTorch has them (times the gains of the residual).
struct Transformer : Module {
  Transformer(TransformerEncoder encoder, TransformerDecoder decoder);
  explicit Transformer(int64_t width = 512, int64_t heads = 8, const TransformerOptions& options = {});
  TransformerEncoder encoder;
  TransformerDecoder decoder;
  COTANGENT_MEMBERS(encoder, decoder)
  Tensor forward(const Tensor& source, const Tensor& target, const TransformerCall& call = {});
  Tensor operator()(const Tensor& source, const Tensor& target, const TransformerCall& call = {});
  Tensor operator()(const Tensor& source, const Tensor& target, const TransformerCall& call = {}) const {
    return detail::evaluated(*this)(source, target, call);
  }
  /// Encodes the source; step() then takes the target bit by bit.
  StreamState start(const Tensor& source, const Tensor& source_key_mask = {});
  StreamState start(const Tensor& source, const Tensor& source_key_mask = {}) const {
    return detail::evaluated(*this).start(source, source_key_mask);
  }
  Tensor step(const Tensor& target, StreamState& state, const Tensor& key_mask = {});
  Tensor step(const Tensor& target, StreamState& state, const Tensor& key_mask = {}) const {
    return detail::evaluated(*this).step(target, state, key_mask);
  }
};

/// Gives all attentions and transformer layers of a model T5's starting values: normal ones, of the variances 1/(d dh)
/// for queries, 1/d for keys, values, out_proj, linear1 and a T5Bias, 1/inner for linear2, and biases of 0. Scores of
/// inputs of variance 1 have the variance 1 so, without a scale: a ValueError for another than ScoreScale::none, which
/// would make them small. T5 goes on with .norm = rms, .eps = 1e-6, .norm_first = true and .bias = false. Raffel et
/// al., arXiv:1910.10683.
void start_as_t5(Module& model);

}  // namespace cotangent::nn
