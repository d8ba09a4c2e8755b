#pragma once
#include <concepts>

#include <cotangent/optim/optimizer.hpp>

namespace cotangent::optim {

enum class LineSearch : uint8_t { none, strong_wolfe };

struct LBFGSOptions {
  double lr = 1;                   ///< the length of a step, in multiples of the direction; the first try of a search
  int64_t max_iter = 20;           ///< iterations in a step()
  int64_t max_eval = -1;           ///< calls of the closure in a step(); -1 for 5/4 of max_iter
  double tolerance_grad = 1e-7;    ///< a step() ends when no element of the gradient is larger
  double tolerance_change = 1e-9;  ///< and when neither the parameters nor the loss change by more
  int64_t history_size = 100;      ///< how many pairs (s, y) are kept, each twice as large as the parameters
  LineSearch line_search_fn = LineSearch::none;
  bool maximize = false;           ///< goes up instead of down
  void fields(detail::Fields& f);  // names them, for state_dict()
  void check() const;              // what the ranges do not say
};

/// The quasi-Newton method with limited memory (Liu and Nocedal 1989). From the last steps s and changes y of the
/// gradient it knows an inverse H of the Hessian that fits them, H y = s for the last pair, and goes along d = -H g. It
/// is for losses without noise (whole batches, fits), where it needs far fewer gradients than the others:
///
///     optim::LBFGS optimizer(model.parameters(), {.line_search_fn = optim::LineSearch::strong_wolfe});
///     optimizer.step([&] {
///       optimizer.zero_grad();
///       ct::Tensor loss = ct::mse_loss(model(x), y);
///       loss.backward();
///       return loss;
///     });
///
/// A pair is kept if y.s > 1e-10. The first step is lr * min(1, 1 / |g|_1) long. With strong_wolfe a step length t is
/// searched by cubic interpolation (Nocedal and Wright, "Numerical optimization", 3.5 and 3.6) such that
///
///     f(x + t d) <= f(x) + 1e-4 t g.d   and   |g(x + t d).d| <= 0.9 |g.d|
///
/// A ValueError for options out of range and for a loss that is not finite: the parameters are then, bit for bit, where
/// they last had a finite one. If the closure throws, they are where the step() began the iteration.
class LBFGS : public Optimizer {
 public:
  explicit LBFGS(const Tensors& parameters, const LBFGSOptions& options = {});

  /// Minimises for max_iter iterations. The closure computes the loss and the gradients, any number of times. Returns
  /// the loss before. A ValueError when the closure leaves no gradients.
  template <class Closure>
  requires requires(Closure& closure) { closure(); }
  double step(Closure&& closure) {
    return minimize(
        [](void* f) {
          const auto loss = (*static_cast<std::remove_reference_t<Closure>*>(f))();
          if constexpr (std::convertible_to<decltype(loss), double>)
            return static_cast<double>(loss);
          else
            return loss.item();
        },
        const_cast<void*>(static_cast<const void*>(&closure)));
  }
  /// A ValueError: there is no step without a closure.
  void step() override;

  LBFGSOptions& options() { return options_; }
  double& lr(size_t group = 0) override;
  size_t group_count() const override { return 1; }
  void keep_masters() override;
  StateDict state_dict() const override;
  void load_state_dict(const StateDict& state) override;

 private:
  using Loss = double (*)(void* closure);
  struct Point {  // on the line that is searched
    double t, loss;
    Tensor gradient;
    double slope;
  };
  double minimize(Loss loss, void* closure);
  void iterate(Loss loss, void* closure, double value);
  double evaluate(Loss loss, void* closure) const;
  Tensor gradient() const;
  void remember();
  void go_back() const;
  Tensor direction(const Tensor& g);
  void move(double t, const Tensor& d) const;
  Point search(Loss loss, void* closure, const Point& start, double t, const Tensor& d, int64_t max_eval,
               int64_t& evaluations);

  LBFGSOptions options_;
  int64_t func_evals_ = 0, n_iter_ = 0;
  double t_ = 0;
  Tensor d_, prev_flat_grad_;    // the last direction, and the gradient where it started
  Tensors old_dirs_, old_stps_;  // y, s
  Tensors origin_;               // the parameters before a move to where the loss is not known yet
};

}  // namespace cotangent::optim
