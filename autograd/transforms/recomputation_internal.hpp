// Private: what functions that are run again in the backward pass have in common.
#pragma once
#include <utility>

#include <cotangent/autograd/autocast_internal.hpp>
#include <cotangent/autograd/modes_internal.hpp>
#include <cotangent/autograd/node.hpp>
#include <cotangent/tensor/random.hpp>

namespace cotangent::detail {

/// What a run of a function has read.
struct Reached {
  std::vector<Edge> edges;  ///< in histories that are older than it
  std::vector<Saved> kept;  ///< by its rules, one tensor for each memory
  /// Once the graph of the run has gone: forgets what nobody else has, which the run made itself, and what lies in the
  /// memory of one of `others`.
  void leave_captured(const Tensors& others);
};
/// That of a run from what was recorded after the node of order `start`, and what functions within it have read that
/// are run again themselves.
Reached reach(const Tensors& results, uint64_t start, const std::vector<Saved>& within = {});
bool is_at(const Tensor& x, const Edge& e);
/// A GradError names `op` where one of them was written in place since.
void check_unwritten(const char* op, const std::vector<Saved>& kept);

/// What a run depends on besides tensors, as it is before the first one.
struct Surroundings {
  Generator::State random = default_generator().state();
  AutocastMode autocast = with_own_casts();
};

/// While it lasts, parameters are cast anew, so that a second run can do the same.
struct FirstRun {
  FirstRun();
  ~FirstRun();
  UseAutocast casts{with_own_casts()};
  FirstRun* around;
  std::vector<Saved> within;  ///< what the functions in it have read that are run again
};
/// The innermost that lasts on this thread, or null.
const FirstRun* innermost_run();
/// Tells the run around a function what the function has read.
void tell_around(const std::vector<Saved>& kept);

/// While it lasts, default_generator() gives the numbers of the first run again, ops choose the precision that they had
/// there, and recomputing() is true.
struct SecondRun {
  bool before = std::exchange(t_recomputing, true);
  Generator generator;
  UseGenerator use{generator};
  UseAutocast autocast;
  explicit SecondRun(const Surroundings& first) : generator(first.random), autocast(first.autocast) {}
  ~SecondRun() { t_recomputing = before; }
};

}  // namespace cotangent::detail
