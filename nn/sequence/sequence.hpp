#pragma once
// The interface of all layers of sequences: attention (nn/attention/), and what carries a state from token to token.
//
//     nn::MultiHeadAttention layer(64, 8, {.causal = true});
//     Tensor y = layer(x);                                  // x, y (B, T, 64)
//
//     nn::StreamState state = layer.start(B);               // the same, as the tokens come
//     Tensor y1 = layer.step(x.narrow(1, 0, 7), state);     // 7 tokens
//     Tensor y2 = layer.step(x.narrow(1, 7, 1), state);     // one more
#include <cotangent/nn/module.hpp>

namespace cotangent::nn {

/// The ways to compute the same numbers. Each attention has the parallel form; has() tells which others.
enum class SequenceForm : uint8_t {
  parallel,  ///< all queries at once
  chunked,   ///< chunk by chunk: parallel within a chunk, with a state carried from one to the next
  recurrent  ///< token by token
};

/// What one call may say.
struct SequenceCall {
  Tensor memory = {};    ///< (B, Tk, d): where keys and values come from (cross attention); x itself when undefined
  Tensor key_mask = {};  ///< bool (B, Tk), false for padding: keys that nobody may see
  Tensor mask = {};      ///< bool (true: may be seen) or floating (added to the scores); broadcasts to (B, H, Tq, Tk)
  SequenceForm form = SequenceForm::parallel;
  int64_t chunk = 64;  ///< tokens in a chunk of the chunked form
};

/// What a layer remembers of the tokens that step() has fed to it. A value: step() puts new tensors in place of the old
/// ones and writes into none, so that a copy is a way back to this point.
struct StreamState {
  int64_t length = 0;                    ///< tokens seen so far: the position of the next
  bool cross = false;                    ///< of start_cross(): keys and values are those of a memory, and stay
  Tensors tensors = {};                  ///< as the layer defines them; the first dimension is the batch
  std::vector<StreamState> layers = {};  ///< of the layers in this layer
};

/// A layer of sequences, x (B, T, d) -> (B, T, d), that can be fed bit by bit where no token depends on later ones.
///
/// A variant lists its members by COTANGENT_MEMBERS, and overrides parallel() and, where it can stream, has(), begin()
/// and advance(); from these follow the chunked and the recurrent form.
class SequenceLayer : public Module {
 public:
  /// Of x with itself, or with call.memory. A ShapeError or a DTypeError where shapes or dtypes don't fit; a
  /// ValueError for a form that the variant lacks, for masks or a memory in another form than the parallel one (the
  /// key_mask goes with each), and for a memory where the attention is causal.
  Tensor forward(const Tensor& x, const SequenceCall& call = {});
  Tensor operator()(const Tensor& x, const SequenceCall& call = {});

  /// The state before the first token of `batch` sequences. A ValueError where the variant can't stream: without causal
  /// = true, a token's output depends on those after it.
  StreamState start(int64_t batch);
  /// The state for queries that come one after another, to a memory (B, Tk, d) that is projected once.
  StreamState start_cross(const Tensor& memory, const Tensor& key_mask = {});
  /// The next t >= 1 tokens, (B, t, d) -> (B, t, d), and the state after them. However a sequence is cut into steps,
  /// the outputs are those of one causal pass. `key_mask`, bool (B, t): false for those of these tokens that are
  /// padding.
  Tensor step(const Tensor& x, StreamState& state, const Tensor& key_mask = {});

  /// Which forms there are.
  virtual bool has(SequenceForm form) const { return form == SequenceForm::parallel; }
  int64_t width() const { return width_; }  ///< d
  bool causal() const { return causal_; }   ///< a token sees itself and those before it

 protected:
  SequenceLayer(int64_t width, bool causal) : width_(width), causal_(causal) {}

  // What a variant does. Inputs are checked before. An undefined `memory` means x itself.
  virtual Tensor parallel(const Tensor& x, const SequenceCall& call) = 0;
  /// By steps of call.chunk tokens and of one.
  virtual Tensor chunked(const Tensor& x, const SequenceCall& call);
  virtual Tensor recurrent(const Tensor& x, const SequenceCall& call);
  virtual StreamState begin(int64_t batch);
  virtual StreamState begin_cross(const Tensor& memory, const Tensor& key_mask);
  /// Replaces state.tensors; state.length is still that of the tokens before, and is counted up by step().
  virtual Tensor advance(const Tensor& x, StreamState& state, const Tensor& key_mask);

 private:
  Tensor by_steps(const Tensor& x, const SequenceCall& call, int64_t size);
  void check_input(const Tensor& x) const;
  void check_cross() const;
  void check_key_mask(const Tensor& key_mask, const Tensor& keys) const;

  int64_t width_;
  bool causal_;
};

}  // namespace cotangent::nn
