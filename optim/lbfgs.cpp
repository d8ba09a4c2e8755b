#include <cotangent/optim/lbfgs.hpp>

#include <algorithm>
#include <cmath>

#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/optim/rule.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::optim {

COTANGENT_FIELDS(LBFGSOptions, not_negative(lr), at_least_1(max_iter), max_eval, not_negative(tolerance_grad),
                 not_negative(tolerance_change), at_least_1(history_size), line_search_fn, maximize)

void LBFGSOptions::check() const {
  if (max_eval < 1 && max_eval != -1)
    fail<ValueError>("[LBFGS] max_eval is {}; it must be 1 or more, or -1 for 5/4 of max_iter", max_eval);
}

namespace {

void check(const LBFGSOptions& o) { detail::check_options("LBFGS", o); }
double dot(const Tensor& a, const Tensor& b) { return (a * b).sum().item(); }
double largest(const Tensor& x) { return amax(abs(x)).item(); }

/// Where the cubic through two points with slopes has its minimum, within [low, high]; their middle if it has none.
template <class Point>
double cubic_minimum(const Point& a, const Point& b, double low, double high) {
  const double d1 = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t), square = d1 * d1 - a.slope * b.slope;
  if (!(square >= 0)) return (low + high) / 2;
  const double d2 = std::sqrt(square);
  const double t = a.t <= b.t ? b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2))
                              : a.t - (a.t - b.t) * ((a.slope + d2 - d1) / (a.slope - b.slope + 2 * d2));
  return std::min(std::max(t, low), high);
}

}  // namespace

LBFGS::LBFGS(const Tensors& parameters, const LBFGSOptions& options) : options_(options) {
  check(options);
  take("LBFGS", parameters);
}

double& LBFGS::lr(size_t group) {
  if (group != 0) detail::no_such_group("LBFGS", group, 1);
  return options_.lr;
}

void LBFGS::step() {
  fail<ValueError>("[LBFGS] step() needs a closure that computes the loss and calls backward(): step([&] {{ ... }})");
}

double LBFGS::evaluate(Loss loss, void* closure) const {
  double value;
  {
    EnableGrad guard;
    value = loss(closure);
  }
  if (!std::isfinite(value)) {
    go_back();
    fail<ValueError>("[LBFGS] the closure's loss is {}; try a smaller lr, or line_search_fn strong_wolfe", value);
  }
  return options_.maximize ? -value : value;
}

Tensor LBFGS::gradient() const {
  constexpr int kOwn = 1;  // handle of each parameter
  bool wide = false, any = false, lost = false;
  for (const Tensor& p : parameters_) {
    wide |= p.dtype() == float64;
    any |= p.grad().defined();
    lost |= !p.grad().defined() && is_replaced(p, kOwn);
  }
  if (!any) fail<ValueError>("[LBFGS] the closure left no gradients; it must call backward() on the loss");
  if (lost) without_gradients("LBFGS", kOwn, any);
  Tensors parts;
  for (const Tensor& p : parameters_) {
    const Dtype dtype = wide ? float64 : float32;
    parts.push_back(p.grad().defined() ? p.grad().detach().reshape({-1}).to(dtype) : zeros({p.numel()}, dtype));
  }
  Tensor flat = cat(parts, 0);
  return options_.maximize ? -flat : flat;
}

void LBFGS::move(double t, const Tensor& d) const {
  int64_t first = 0;
  for (const Tensor& p : parameters_) {
    p.detach().add_((d.narrow(0, first, p.numel()) * t).reshape(p.shape()).to(p.dtype()));
    first += p.numel();
  }
}

void LBFGS::remember() {
  origin_.clear();
  for (const Tensor& p : parameters_) origin_.push_back(raw::clone(p.detach()));
}

void LBFGS::go_back() const {
  for (size_t i = 0; i < origin_.size(); ++i) parameters_[i].detach().copy_(origin_[i]);
}

Tensor LBFGS::direction(const Tensor& g) {
  if (n_iter_ == 1) return -g;
  const Tensor y = g - prev_flat_grad_, s = d_ * t_;
  if (dot(y, s) > 1e-10) {
    if (static_cast<int64_t>(old_dirs_.size()) >= options_.history_size) {
      old_dirs_.erase(old_dirs_.begin());
      old_stps_.erase(old_stps_.begin());
    }
    old_dirs_.push_back(y);
    old_stps_.push_back(s);
  }
  const size_t count = old_dirs_.size();
  std::vector<double> inverse(count), along(count);
  for (size_t i = 0; i < count; ++i) inverse[i] = 1 / dot(old_dirs_[i], old_stps_[i]);
  Tensor r = -g;
  for (size_t i = count; i-- > 0;) {
    along[i] = dot(old_stps_[i], r) * inverse[i];
    r = r - along[i] * old_dirs_[i];
  }
  if (count > 0) r = r * (dot(old_dirs_.back(), old_stps_.back()) / dot(old_dirs_.back(), old_dirs_.back()));
  for (size_t i = 0; i < count; ++i) r = r + (along[i] - dot(old_dirs_[i], r) * inverse[i]) * old_stps_[i];
  return r;
}

LBFGS::Point LBFGS::search(Loss loss, void* closure, const Point& start, double t, const Tensor& d, int64_t max_eval,
                           int64_t& evaluations) {
  const auto probe = [&](double at) -> Point {
    move(at, d);
    const double value = evaluate(loss, closure);
    const Tensor g = gradient();
    ++evaluations;
    go_back();
    return {at, value, g, dot(g, d)};
  };
  const auto descends = [&](const Point& p) { return p.loss <= start.loss + 1e-4 * p.t * start.slope; };
  const auto flat = [&](const Point& p) { return std::fabs(p.slope) <= -0.9 * start.slope; };

  // First widen the step until a good one lies between two points.
  Point before = start, now = probe(t);
  int64_t tries = 0;
  for (; tries < max_eval; ++tries) {
    if (!descends(now) || (tries > 1 && now.loss >= before.loss)) break;
    if (flat(now)) return now;
    if (now.slope >= 0) break;
    const double next = cubic_minimum(before, now, now.t + 0.01 * (now.t - before.t), now.t * 10);
    before = now;
    now = probe(next);
  }
  if (tries >= max_eval) before = start;

  // Then narrow it. `low` is the end with the lower loss.
  const bool rises = before.loss <= now.loss;
  Point low = rises ? before : now, high = rises ? now : before;
  bool slow = false;
  const double length = largest(d);
  while (tries < max_eval && std::fabs(high.t - low.t) * length >= options_.tolerance_change) {
    const double left = std::min(low.t, high.t), right = std::max(low.t, high.t), margin = 0.1 * (right - left);
    double next = cubic_minimum(low, high, left, right);
    if (std::min(right - next, next - left) < margin) {  // near an end: once is fine, twice is not
      const bool inside = next > left && next < right;
      if (slow || !inside) next = std::fabs(next - right) < std::fabs(next - left) ? right - margin : left + margin;
      slow = !slow && inside;
    } else {
      slow = false;
    }
    now = probe(next);
    ++tries;
    if (!descends(now) || now.loss >= low.loss) {
      high = now;
      if (low.loss > high.loss) std::swap(low, high);
    } else {
      if (flat(now)) return now;
      if (now.slope * (high.t - low.t) >= 0) high = low;
      low = now;
    }
  }
  return low;
}

double LBFGS::minimize(Loss loss, void* closure) {
  check(options_);
  NoGrad guard;
  const double first = evaluate(loss, closure);
  origin_.clear();
  try {
    iterate(loss, closure, first);
  } catch (...) {
    go_back();
    throw;
  }
  return options_.maximize ? -first : first;
}

void LBFGS::iterate(Loss loss, void* closure, double value) {
  const LBFGSOptions& o = options_;
  const int64_t max_eval = o.max_eval == -1 ? o.max_iter * 5 / 4 : o.max_eval;
  Tensor g = gradient();
  ++func_evals_;
  int64_t evaluations = 1;
  if (largest(g) <= o.tolerance_grad) return;
  for (int64_t i = 1; i <= o.max_iter; ++i) {
    ++n_iter_;
    d_ = direction(g);
    prev_flat_grad_ = g;
    t_ = n_iter_ == 1 ? std::min(1.0, 1 / abs(g).sum().item()) * o.lr : o.lr;
    const double slope = dot(g, d_), before = value;
    if (slope > -o.tolerance_change) break;
    remember();
    if (o.line_search_fn == LineSearch::strong_wolfe) {
      int64_t tried = 0;
      const Point found = search(loss, closure, {0, value, g, slope}, t_, d_, max_eval - evaluations, tried);
      t_ = found.t, value = found.loss, g = found.gradient;
      evaluations += tried, func_evals_ += tried;
      move(t_, d_);
    } else {
      move(t_, d_);
      if (i == o.max_iter) return;  // nobody would use another gradient; the loss shows in the next step()
      value = evaluate(loss, closure);
      g = gradient();
      ++evaluations, ++func_evals_;
    }
    if (evaluations >= max_eval || largest(g) <= o.tolerance_grad || largest(d_ * t_) <= o.tolerance_change ||
        std::fabs(value - before) < o.tolerance_change)
      break;
  }
  origin_.clear();
}

void LBFGS::keep_masters() {
  fail<ValueError>("[LBFGS] it keeps no master weights; its searches need parameters in float32 or float64");
}

StateDict LBFGS::state_dict() const {
  StateDict state;
  detail::Fields group(state, "param_groups.0.");
  LBFGSOptions options = options_;
  options.fields(group);
  state.add("state.func_evals", full({}, static_cast<double>(func_evals_), float64));
  state.add("state.n_iter", full({}, static_cast<double>(n_iter_), float64));
  state.add("state.t", full({}, t_, float64));
  if (d_.defined()) {
    state.add("state.d", d_);
    state.add("state.prev_flat_grad", prev_flat_grad_);
  }
  for (size_t i = 0; i < old_dirs_.size(); ++i) {
    state.add("state.old_dirs." + std::to_string(i), old_dirs_[i]);
    state.add("state.old_stps." + std::to_string(i), old_stps_[i]);
  }
  return state;
}

void LBFGS::load_state_dict(const StateDict& state) {
  LBFGSOptions options;
  detail::Fields group(state, "param_groups.0.", {});
  options.fields(group);
  size_t read = group.count();
  const auto number = [&](const char* name) {
    const Tensor& saved = state.get(name);
    if (!saved.defined() || saved.numel() != 1) detail::state_of_another("LBFGS", read, state.size());
    ++read;
    return saved.item();
  };
  int64_t size = 0;
  for (const Tensor& p : parameters_) size += p.numel();
  const auto vector = [&](const std::string& name) {
    const Tensor& saved = state.get(name);
    if (!saved.defined()) return Tensor();
    if (saved.shape() != Shape{size})
      fail<ValueError>("[load_state_dict] {} is {}, and there are {} parameters; the state belongs to another model",
                       name, saved.shape(), size);
    ++read;
    return raw::clone(saved);
  };
  if (!group.complete()) detail::state_of_another("LBFGS", read, state.size());
  check(options);
  const double func_evals = number("state.func_evals"), n_iter = number("state.n_iter"), t = number("state.t");
  const Tensor d = vector("state.d"), g = vector("state.prev_flat_grad");
  Tensors dirs, stps;
  for (size_t i = 0;; ++i) {
    const Tensor y = vector("state.old_dirs." + std::to_string(i)), s = vector("state.old_stps." + std::to_string(i));
    if (!y.defined() || !s.defined()) break;
    dirs.push_back(y);
    stps.push_back(s);
  }
  if (read != state.size() || (n_iter > 0 && (!d.defined() || !g.defined())))
    detail::state_of_another("LBFGS", read, state.size());
  options_ = options;
  origin_.clear();
  func_evals_ = static_cast<int64_t>(func_evals);
  n_iter_ = static_cast<int64_t>(n_iter);
  t_ = t;
  d_ = d;
  prev_flat_grad_ = g;
  old_dirs_ = dirs;
  old_stps_ = stps;
}

}  // namespace cotangent::optim
