#pragma once
// What a workload is, and what the families of workloads are made of. torch_peer.py holds the same ones under the same
// names for PyTorch.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <cotangent/cotangent.hpp>

namespace bench {

namespace ct = cotangent;
using ct::Shape;
using ct::Tensor;
using ct::Tensors;

/// What is timed. It holds all that it works on.
using Step = std::function<void()>;

/// What a step must do at least, from which the machine's limit follows; 0 where it is not known.
struct Work {
  double flops = 0;  ///< of float32; one of float64 counts as two
  double bytes = 0;  ///< read and written, where everything is fused and nothing is kept in a cache in between
};
struct Workload {
  std::string name;
  Step (*make)(const std::vector<int64_t>& sizes);  ///< sets it up
  Work work = {};
  std::vector<int64_t> sizes = {};  ///< what `make` is called with
};

// The families, each in the .cpp of its name. Those of PyTorch's and our standard set come first.
std::vector<Workload> overhead();
std::vector<Workload> kernels();
std::vector<Workload> products();
std::vector<Workload> training();
std::vector<Workload> variants();
std::vector<Workload> sequences();
std::vector<Workload> decay();
std::vector<Workload> attentions();

/// So far, by operator new: heap.cpp.
long heap_allocations();

inline double floats(double count) { return 4 * count; }
/// Of y = a b and both its gradients.
inline double matmul_flops(double m, double n, double k) { return 3 * 2 * m * n * k; }
/// Of attention of `batch` heads with its gradients: 2 products forward and 5 backward, half of each when causal.
inline double attention_flops(double batch, double length, double width, bool causal) {
  return (causal ? 7 : 14) * batch * length * length * width;
}

inline Tensor leaf(const Shape& shape, ct::Dtype dtype = ct::float32) {
  return ct::randn(shape, dtype).requires_grad_();
}
/// Where that is faster; PyTorch takes each workload as it likes best, too.
inline Tensor channels_last(const Shape& shape) { return ct::randn(shape).contiguous(ct::MemoryFormat::channels_last); }

/// The sizes at which layers of sequences are timed.
inline constexpr int64_t kBatch = 8, kSteps = 2048, kWidth = 256;

/// Runs forward(), backpropagates a fixed cotangent, and forgets the gradients at the start of the next step.
template <class Forward>
Step forward_backward(Tensors leaves, Forward forward) {
  Tensor gradient;
  {
    const ct::NoGrad guard;
    const Tensor y = forward();
    gradient = ct::empty_like(y);  // in y's memory format
    gradient.copy_(ct::randn(y.shape(), y.dtype()));
  }
  return [leaves = std::move(leaves), forward = std::move(forward), gradient = std::move(gradient)] {
    for (const Tensor& t : leaves) t.set_grad(Tensor());
    forward().backward(gradient);
  };
}

/// Of a layer on (batch, kSteps, kWidth), with the gradients of its parameters.
template <class Layer>
Step of_layer(const Layer& made, int64_t batch = kBatch) {
  const auto layer = std::make_shared<Layer>(made);
  const Tensor x = leaf({batch, kSteps, kWidth});
  Tensors leaves{x};
  for (const Tensor& p : layer->parameters()) leaves.push_back(p);
  return forward_backward(leaves, [=] { return (*layer)(x); });
}

/// A training step: loss(model) is what is minimised.
template <class Model, class Optimizer, class Loss>
Step training_step(Model model, Optimizer optimizer, Loss loss) {
  return [model = std::make_shared<Model>(std::move(model)),
          optimizer = std::make_shared<Optimizer>(std::move(optimizer)), loss = std::move(loss)] {
    optimizer->zero_grad();
    loss(*model).backward();
    optimizer->step();
  };
}

}  // namespace bench
