#include <cotangent/nn/sequence/sequence.hpp>

#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/sequence/tree.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {
namespace {

constexpr const char* name_of(SequenceForm form) {
  return form == SequenceForm::parallel ? "parallel" : form == SequenceForm::chunked ? "chunked" : "recurrent";
}

}  // namespace

void LayerState::of_another_layer() {
  fail<ValueError>("[step] a state of another layer; start() makes one that fits");
}

void LayerState::cannot_forget() {
  fail<ValueError>(
      "[keep] the state of a layer that keeps no token by itself; only caches of keys and values can forget");
}

void StreamState::keep(const Tensor& places) {
  if (places.rank() != 2 || places.size(0) != batch)
    fail<ShapeError>("[keep] places of shape {}; for a batch of {} they must be ({}, n)", places.shape(), batch, batch);
  StreamState next = *this;
  next.own.keep(places);
  for (StreamState& layer : next.layers) layer.keep(places);
  next.length = places.size(1);
  *this = std::move(next);
}

// ---- checks ----

int64_t checked_heads(const char* name, int64_t width, int64_t heads) {
  if (width < 1 || heads < 1 || width % heads != 0)
    fail<ValueError>("[{}] {} heads for a width of {}; the heads must divide the width", name, heads, width);
  return heads;
}

int64_t checked_width(const char* name, int64_t width, int64_t heads) {
  return checked_heads(name, width, heads) * (width / heads);
}

void SequenceLayer::check_input(const Tensor& x) const {
  if (x.rank() != 3 || x.size(2) != width_)
    fail<ShapeError>("[{}] x has shape {}; it must be (B, T, {})", type_name(), x.shape(), width_);
}

void SequenceLayer::check_key_mask(const Tensor& key_mask, const Tensor& keys) const {
  if (!key_mask.defined()) return;
  if (key_mask.dtype() != boolean)
    fail<DTypeError>("[{}] the key_mask is {}; it must be bool, false for the keys that nobody may see", type_name(),
                     key_mask.dtype());
  if (key_mask.shape() != Shape{keys.size(0), keys.size(1)})
    fail<ShapeError>("[{}] the key_mask has shape {}; with keys of {} it must be {}", type_name(), key_mask.shape(),
                     keys.shape(), Shape{keys.size(0), keys.size(1)});
}

void SequenceLayer::check_not_causal() const {
  if (causal_)
    fail<ValueError>("[{}] is causal, and a memory has no order with x; make it with causal = false", type_name());
}

void SequenceLayer::check_no_mask(const SequenceCall& call) const {
  if (call.mask.defined())
    fail<ValueError>("[{}] takes no mask, since it forms no matrix of scores; a key_mask hides keys", type_name());
}

void SequenceLayer::check_streams() const {
  if (!has(SequenceForm::recurrent))
    fail<ValueError>("[{}] can't take a sequence step by step{}", type_name(),
                     causal_ ? "" : ": without causal = true a token's output depends on those after it");
}

// ---- forms ----

Tensor SequenceLayer::operator()(const Tensor& x, const SequenceCall& call) {
  return detail::within(*this, [&] { return forward(x, call); });
}

Tensor SequenceLayer::forward(const Tensor& x, const SequenceCall& call) {
  check_input(x);
  const bool cross = call.memory.defined();
  if (cross) {
    if (call.memory.rank() != 3 || call.memory.size(0) != x.size(0) || call.memory.size(2) != width_)
      fail<ShapeError>("[{}] the memory has shape {}; with x of {} it must be ({}, Tk, {})", type_name(),
                       call.memory.shape(), x.shape(), x.size(0), width_);
    check_not_causal();
  }
  check_key_mask(call.key_mask, cross ? call.memory : x);
  if (call.form == SequenceForm::parallel) return run(x, call, nullptr);
  if (!has(call.form))
    fail<ValueError>("[{}] has no {} form{}", type_name(), name_of(call.form),
                     causal_ ? "" : " without causal = true: a token's output would depend on those after it");
  if (cross || call.mask.defined())
    fail<ValueError>("[{}] the {} form takes no {}; take the parallel form", type_name(), name_of(call.form),
                     cross ? "memory" : "mask but the key_mask");
  if (call.chunk < 1) fail<ValueError>("[{}] chunks of {} tokens; take 1 at least", type_name(), call.chunk);
  return in_pieces(x, call);
}

Tensor SequenceLayer::in_pieces(const Tensor& x, const SequenceCall& call) {
  if (x.size(1) == 0) return run(x, {.key_mask = call.key_mask}, nullptr);
  const int64_t size = call.form == SequenceForm::chunked ? call.chunk : 1;
  StreamState state{.batch = x.size(0), .layers = start_layers(x.size(0))};
  Tensors outputs;
  for (int64_t t = 0; t < x.size(1); t += size)
    outputs.push_back(step(slice(x, 1, t, t + size), state,
                           call.key_mask.defined() ? slice(call.key_mask, 1, t, t + size) : Tensor()));
  return cat(outputs, 1);
}

// ---- streaming ----

StreamState SequenceLayer::start(int64_t batch) {
  return detail::within(*this, [&] {
    check_streams();
    if (batch < 1) fail<ValueError>("[{}] a batch of {}; it must be 1 at least", type_name(), batch);
    return StreamState{.batch = batch, .layers = start_layers(batch)};
  });
}

std::vector<StreamState> SequenceLayer::start_layers(int64_t) { return {}; }

Tensor SequenceLayer::step(const Tensor& x, StreamState& state, const Tensor& key_mask) {
  return detail::within(*this, [&] {
    check_input(x);
    if (state.batch != x.size(0))
      fail<ShapeError>("[{}] x {} comes with a state for a batch of {}; start() makes one", type_name(), x.shape(),
                       state.batch);
    if (!state.cross) check_streams();
    if (state.cross && key_mask.defined())
      fail<ValueError>("[{}] a step to a memory takes no key_mask; start_cross() does", type_name());
    check_key_mask(key_mask, x);
    return state.advance(x.size(1), [&](StreamState& next) { return run(x, {.key_mask = key_mask}, &next); });
  });
}

Tensor SequenceLayer::step_tree(const Tensor& x, StreamState& state, const Tensor& parents) {
  return detail::within(*this, [&] {
    check_input(x);
    if (state.batch != x.size(0))
      fail<ShapeError>("[{}] x {} comes with a state for a batch of {}; start() makes one", type_name(), x.shape(),
                       state.batch);
    check_streams();
    if (!has_trees()) fail<ValueError>("[{}] can't take a tree of tokens", type_name());
    if (static_cast<int64_t>(checked_depths("step_tree", parents).size()) != x.size(1))
      fail<ShapeError>("[step_tree] parents of {} tokens for x of shape {}", parents.numel(), x.shape());
    return state.advance(x.size(1), [&](StreamState& next) { return run(x, {.parents = parents}, &next); });
  });
}

}  // namespace cotangent::nn
