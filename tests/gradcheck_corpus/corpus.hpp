#pragma once
// Functions with a planted fault, each beside the same function with the right rule: what the gradient checker has to
// tell apart.
#include <cotangent/autograd/record.hpp>
#include <cotangent/cotangent.hpp>
#include <cotangent/tests/autograd/op_samples.hpp>

namespace cotangent::corpus {

/// InputSpec's uniform, which has the name of a function of tensors.
inline InputSpec between(const Shape& shape, double low, double high) {
  return {.shape = shape, .fill = InputSpec::Fill::uniform, .low = low, .high = high};
}

/// Where the faulty op stands: as the whole function, or among right ones.
enum class Network : uint8_t {
  none,
  mlp,        ///< linear, tanh, the op, linear, tanh
  cnn,        ///< conv, silu, the op, 1 x 1 conv, mean
  attention,  ///< linear, the op, self-attention with a residual
  scores,     ///< in the place of attention's softmax: (B, T, T) -> (B, T, T)
  recurrent   ///< three steps of h = op(tanh(W x + U h)): (N, H) -> (N, H)
};

struct Fault;
/// What a wrong rule sees.
struct Rule : Backward {
  const Fault& fault;
  /// The right gradient of input i, differentiable if the rule is recorded: what a distorted rule starts from.
  Tensor exact(int i, const Tensor& cotangent) const;
  Tensor exact(int i) const { return exact(i, grad()); }
};

/// One way to get a gradient wrong.
struct Fault {
  const char* name;
  const char* word;  ///< of the diagnosis, autograd/gradcheck/report.hpp
  const char* op;    ///< the name that the fault is recorded under; empty where no recorded op is to blame
  std::vector<InputSpec> inputs;
  Tensor (*right)(Arguments x);
  /// The wrong rule of the op whose values are those of `right`. It reads all inputs and the output.
  Gradients (*rule)(const Rule& b) = nullptr;
  /// Instead of a rule: the function itself is at fault.
  Tensor (*wrong)(Arguments x) = nullptr;
  Network network = Network::none;  ///< planted there too
  /// What the healthy twin gets instead, where the place is the fault: a kink, an edge of the domain.
  std::vector<InputSpec> healthy_inputs = {};
};
using Faults = std::vector<Fault>;

/// A function made from a fault, ready to be checked.
struct Planted {
  const Fault& fault;
  Network network;
  bool healthy;
  Tensors inputs = {};              ///< all of them
  std::vector<size_t> places = {};  ///< of those that are differentiable

  Planted(const Fault& fault, Network network, bool healthy, uint64_t seed = 1);
  Tensors checked() const;
  Tensor operator()(const Tensors& checked) const;

 private:
  Tensor op(Arguments x) const;
};

/// The families: one for each *_faults.cpp.
Faults elementwise_faults();
Faults reduction_faults();
Faults layout_faults();
Faults norm_faults();
Faults image_faults();
Faults index_faults();
Faults attention_faults();
Faults order_faults();
Faults contract_faults();
Faults place_faults();
Faults reported_faults();
Faults reported_image_faults();

}  // namespace cotangent::corpus
