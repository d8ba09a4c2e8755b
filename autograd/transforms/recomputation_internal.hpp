// Private: what functions that are run again in the backward pass have in common.
#pragma once
#include <utility>

#include <cotangent/autograd/modes_internal.hpp>
#include <cotangent/autograd/node.hpp>
#include <cotangent/tensor/random.hpp>

namespace cotangent::detail {

/// What a run of a function has reached in histories that are older than it.
struct Reached {
  std::vector<Edge> edges;
  std::vector<Saved> kept;  ///< the tensors there that rules keep
};
/// That of what was recorded after the node of order `start`.
Reached reach(const Tensors& results, uint64_t start);
bool is_at(const Tensor& x, const Edge& e);
/// A GradError names `op` where one of them was written in place since.
void check_unwritten(const char* op, const std::vector<Saved>& kept);

/// While it lasts, default_generator() gives the numbers of the first run again, and recomputing() is true.
struct SecondRun {
  bool before = std::exchange(t_recomputing, true);
  Generator generator;
  UseGenerator use{generator};
  explicit SecondRun(const Generator::State& random) : generator(random) {}
  ~SecondRun() { t_recomputing = before; }
};

}  // namespace cotangent::detail
