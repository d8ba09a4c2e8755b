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

struct TransformerLayerOptions {
  int64_t inner = 2048;  ///< width between the two linear layers of the feed-forward; 0 leaves it out
  double dropout = 0.1;  ///< after the attention, within and after the feed-forward; in a layer that makes its own
                         ///< attention (of a width and heads) also of the weights of the softmax, as PyTorch has it
  Activation activation = Activation::relu;  ///< a gated one takes a linear1 of twice the width
  bool norm_first = false;                   ///< x + f(norm(x)) instead of norm(x + f(x))
  double eps = 1e-5;                         ///< of the normalizations
  bool bias = true;                          ///< of the linear layers and normalizations
  Dtype dtype = default_dtype();
};

/// Attention and a feed-forward, f(x) = linear2(activation(linear1(x))), each with a residual and a layer
/// normalization:
///   post-norm: y = norm1(x + attention(x)),  norm2(y + f(y));   pre-norm: y = x + attention(norm1(x)),  y +
///   f(norm2(y))
/// Made of an attention, or another layer of sequences in its place, whose dropout and dtype are its own; or of a width
/// and a number of heads for full softmax attention, as PyTorch's. It streams where its attention does. A ValueError
/// for a memory, and for options out of range. Vaswani et al., arXiv:1706.03762; Xiong et al., "On layer normalization
/// in the transformer architecture", arXiv:2002.04745.
struct TransformerEncoderLayer : SequenceLayer {
  explicit TransformerEncoderLayer(AnySequenceLayer attention, const TransformerLayerOptions& options = {});
  TransformerEncoderLayer(int64_t width, int64_t heads, const TransformerLayerOptions& options = {});
  AnySequenceLayer self_attn;
  std::optional<Linear> linear1, linear2;
  LayerNorm norm1;
  std::optional<LayerNorm> norm2;
  Dropout dropout;
  Activation activation;
  bool norm_first;
  COTANGENT_MEMBERS(self_attn, linear1, linear2, norm1, norm2, dropout)
  bool has(SequenceForm form) const override { return self_attn->has(form); }
  std::string settings() const override;

 protected:
  Tensor run(const Tensor& x, const SequenceCall& call, StreamState* state) override;
  Tensor in_pieces(const Tensor& x, const SequenceCall& call) override { return run(x, call, nullptr); }
  std::vector<StreamState> start_layers(int64_t batch) override;
};

/// Layers of one width one after another, then the norm if there is one: give it after pre-norm layers. Also the
/// decoder of a language model, if the attentions are causal. Streams where all layers do.
struct TransformerEncoder : SequenceLayer {
  explicit TransformerEncoder(std::vector<TransformerEncoderLayer> layers, std::optional<LayerNorm> norm = {});
  std::vector<TransformerEncoderLayer> layers;
  std::optional<LayerNorm> norm;
  COTANGENT_MEMBERS(layers, norm)
  bool has(SequenceForm form) const override;

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
  LayerNorm norm1, norm2, norm3;
  Dropout dropout;
  Activation activation;
  bool norm_first;
  COTANGENT_MEMBERS(self_attn, multihead_attn, linear1, linear2, norm1, norm2, norm3, dropout)
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
  explicit TransformerDecoder(std::vector<TransformerDecoderLayer> layers, std::optional<LayerNorm> norm = {});
  std::vector<TransformerDecoderLayer> layers;
  std::optional<LayerNorm> norm;
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
/// end, and all matrices by Glorot's uniform distribution, as PyTorch has them.
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

}  // namespace cotangent::nn
