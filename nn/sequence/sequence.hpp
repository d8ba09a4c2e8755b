#pragma once
// The interface of all layers of sequences: attention (nn/attention/), and what carries a state from token to token.
//
//     nn::MultiHeadAttention layer(64, 8, {.causal = true});
//     Tensor y = layer(x);                                  // x, y (B, T, 64)
//
//     nn::StreamState state = layer.start(B);               // the same, as the tokens come
//     Tensor y1 = layer.step(x.narrow(1, 0, 7), state);     // 7 tokens
//     Tensor y2 = layer.step(x.narrow(1, 7, 1), state);     // one more
#include <cotangent/nn/container.hpp>

namespace cotangent::nn {

/// The ways to compute the same numbers. Each layer has the parallel form; has() tells which others.
enum class SequenceForm : uint8_t {
  parallel,  ///< all tokens at once
  chunked,   ///< chunk by chunk: parallel within a chunk, with a state carried from one to the next
  recurrent  ///< token by token
};

/// What one call may say. A memory and a mask are for attention; other layers refuse them.
struct SequenceCall {
  Tensor memory = {};    ///< (B, Tk, d): where keys and values come from (cross attention); x itself when undefined
  Tensor key_mask = {};  ///< bool (B, Tk), true: may be seen; false for padding, which no other token takes note of
  Tensor mask = {};      ///< bool (true: may be seen) or floating (added to the scores); broadcasts to (B, H, Tq, Tk)
  SequenceForm form = SequenceForm::parallel;
  int64_t chunk = 64;   ///< tokens in a chunk of the chunked form
  Tensor parents = {};  ///< of step_tree(), which sets it
};

/// What one layer keeps of the tokens that it has seen: a struct of its own, whose fields have names.
class LayerState {
 public:
  LayerState() = default;
  template <class Fields>
  LayerState(Fields fields) : held_(Holder<Fields>(std::move(fields))) {}
  /// The fields: before the first token as Fields{} has them. A ValueError where they are those of another layer.
  template <class Fields>
  Fields& as() {
    if (!held_) held_ = Holder<Fields>({});
    if (auto* holder = dynamic_cast<Holder<Fields>*>(&*held_)) return holder->fields;
    of_another_layer();
  }
  /// StreamState::keep of this layer alone.
  void keep(const Tensor& places) {
    if (held_) held_->keep(places);
  }

 private:
  struct Held {
    virtual ~Held() = default;
    virtual void keep(const Tensor& places) = 0;
  };
  template <class Fields>
  struct Holder final : Held {
    explicit Holder(Fields f) : fields(std::move(f)) {}
    void keep(const Tensor& places) override {
      if constexpr (requires { fields.keep(places); })
        fields.keep(places);
      else
        cannot_forget();
    }
    Fields fields;
  };
  [[noreturn]] static void of_another_layer();
  [[noreturn]] static void cannot_forget();

  Any<Held> held_;
};

/// What a layer remembers of the tokens that step() has fed to it. A value: step() puts new tensors in place of the old
/// ones and writes into none, so that a copy is a way back to this point.
struct StreamState {
  int64_t batch = 0;                     ///< sequences that are fed at once
  int64_t length = 0;                    ///< tokens seen so far: the position of the next
  bool cross = false;                    ///< of start_cross(): keys and values are those of a memory, and stay
  LayerState own = {};                   ///< of this layer
  std::vector<StreamState> layers = {};  ///< of the layers in this layer

  /// f(next) with a copy that takes the place of this state, `tokens` further, once f has succeeded: an error halfway
  /// must not leave a stack half advanced.
  template <class F>
  Tensor advance(int64_t tokens, F f) {
    StreamState next = *this;
    Tensor y = f(next);
    next.length += tokens;
    *this = std::move(next);
    return y;
  }
  /// Forgets all tokens but those at these places, ascending, as if the others had never come: int64 (batch, n), so
  /// that each sequence may keep others, of which all have n. What stays of a tree is a path of it: a token that stood
  /// at another position than the place where it now is would go on as if it stood there. A ValueError where a layer
  /// keeps no token by itself; an IndexError for places that there are not.
  void keep(const Tensor& places);
};

/// A layer of sequences, x (B, T, d) -> (B, T, d), that can be fed bit by bit where no token depends on later ones.
///
/// A variant lists its members by COTANGENT_MEMBERS and overrides run(); from it follow all forms and streaming.
class SequenceLayer : public Module {
 public:
  /// A ShapeError or a DTypeError where shapes or dtypes don't fit; a ValueError for a form that the variant lacks, for
  /// a mask or a memory in another form than the parallel one (the key_mask goes with each), and for a memory where the
  /// layer is causal.
  Tensor forward(const Tensor& x, const SequenceCall& call = {});
  Tensor operator()(const Tensor& x, const SequenceCall& call = {});
  Tensor operator()(const Tensor& x, const SequenceCall& call = {}) const { return detail::evaluated(*this)(x, call); }

  /// The state before the first token of `batch` sequences. A ValueError where the variant can't stream: without causal
  /// = true, a token's output depends on those after it.
  StreamState start(int64_t batch);
  StreamState start(int64_t batch) const { return detail::evaluated(*this).start(batch); }
  /// The next t >= 1 tokens, (B, t, d) -> (B, t, d), and the state after them. However a sequence is cut into steps,
  /// the outputs are those of one causal pass. `key_mask`, bool (B, t): false for those of these tokens that are
  /// padding.
  Tensor step(const Tensor& x, StreamState& state, const Tensor& key_mask = {});
  Tensor step(const Tensor& x, StreamState& state, const Tensor& key_mask = {}) const {
    return detail::evaluated(*this).step(x, state, key_mask);
  }

  /// The next n >= 1 tokens as a tree of guesses (nn/sequence/tree.hpp), of which a token sees its ancestors, itself
  /// and all that came before, and stands one place behind its parent: outputs along a path are those of step() on that
  /// path.   (B, n, d), parents (n) -> (B, n, d)
  /// The state then holds all n; keep() leaves those that turned out right. A ValueError where has_trees() is false.
  Tensor step_tree(const Tensor& x, StreamState& state, const Tensor& parents);
  Tensor step_tree(const Tensor& x, StreamState& state, const Tensor& parents) const {
    return detail::evaluated(*this).step_tree(x, state, parents);
  }
  /// Whether step_tree() goes: softmax attention to all before does, also inside transformers.
  virtual bool has_trees() const { return false; }

  /// Which forms there are.
  virtual bool has(SequenceForm form) const { return form == SequenceForm::parallel || causal_; }
  int64_t width() const { return width_; }  ///< d
  bool causal() const { return causal_; }   ///< a token sees itself and those before it

 protected:
  SequenceLayer(int64_t width, bool causal) : width_(width), causal_(causal) {}

  /// What a variant does, with inputs that were checked: all tokens, or with a `state` the next ones, from the position
  /// state->length on, which it then leaves in state->own and state->layers.
  virtual Tensor run(const Tensor& x, const SequenceCall& call, StreamState* state) = 0;
  /// The chunked and the recurrent form: by steps of call.chunk tokens and of one, unless run() itself has them.
  virtual Tensor in_pieces(const Tensor& x, const SequenceCall& call);
  /// The states of the layers in this layer, before the first token.
  virtual std::vector<StreamState> start_layers(int64_t batch);

  /// The position of the first token of a run.
  static int64_t first(const StreamState* state) { return state ? state->length : 0; }
  /// The fields of the state, or null where there is none.
  template <class Fields>
  static Fields* fields(StreamState* state) {
    return state ? &state->own.as<Fields>() : nullptr;
  }

  void check_input(const Tensor& x) const;
  void check_not_causal() const;
  void check_no_mask(const SequenceCall& call) const;  ///< of layers that form no matrix of scores
  void check_key_mask(const Tensor& key_mask, const Tensor& keys) const;

 private:
  void check_streams() const;

  int64_t width_;
  bool causal_;
};

/// The heads, or the width: a ValueError in the name of a layer unless the heads divide the width.
int64_t checked_heads(const char* name, int64_t width, int64_t heads);
int64_t checked_width(const char* name, int64_t width, int64_t heads);

/// Any layer of sequences as a value, for layers around it.
using AnySequenceLayer = Any<SequenceLayer>;

}  // namespace cotangent::nn
