#include <cotangent/nn/sequence/hippo.hpp>

#include <cmath>
#include <numbers>

#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/fft.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/solve.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {
namespace {

constexpr const char* name_of(HippoMeasure measure) {
  switch (measure) {
    case HippoMeasure::legs: return "legs";
    case HippoMeasure::legt: return "legt";
    case HippoMeasure::fourier: return "fourier";
    case HippoMeasure::fout: break;
  }
  return "fout";
}
bool has_waves(HippoMeasure measure) { return measure == HippoMeasure::fourier || measure == HippoMeasure::fout; }

void check_size(HippoMeasure measure, int64_t n) {
  if (n < 1 || (has_waves(measure) && n % 2 == 0))
    fail<ValueError>("[HiPPO] a {} memory of {} numbers; it must have {}", name_of(measure), n,
                     has_waves(measure) ? "an odd number of them" : "at least one");
}

/// (N, N) and (N) from functions of the indices.
template <class Matrix, class Vector>
LinearSystem system_of(int64_t n, Matrix a, Vector b) {
  const LinearSystem s{empty({n, n}, float64), empty({n}, float64)};
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j) s.A.data<double>()[i * n + j] = a(i, j);
    s.B.data<double>()[i] = b(i);
  }
  return s;
}

double root(int64_t n) { return std::sqrt(static_cast<double>(2 * n + 1)); }

Tensor identity_like(const Tensor& a) { return eye(a.size(-1), -1, a.dtype()); }

}  // namespace

LinearSystem hippo_system(HippoMeasure measure, int64_t n, double window) {
  check_size(measure, n);
  if (!(window > 0)) fail<ValueError>("[HiPPO] a window of {}; it must be above 0", window);
  switch (measure) {
    case HippoMeasure::legs:
      return system_of(
          n, [](int64_t i, int64_t j) { return i > j    ? -root(i) * root(j)
                                               : i == j ? -static_cast<double>(i + 1)
                                                        : 0; },
          root);
    case HippoMeasure::legt:
      return system_of(
          n, [&](int64_t i, int64_t j) { return -root(i) * root(j) / window * (j <= i || (j - i) % 2 == 0 ? 1 : -1); },
          [&](int64_t i) { return root(i) / window; });
    case HippoMeasure::fourier:
    case HippoMeasure::fout: break;
  }
  // index 2m - 1 is the real part of c_m, and 2m the imaginary part; only real parts add up to the end of the window
  const double ends = measure == HippoMeasure::fout ? 2 : 1;
  const auto weight = [](int64_t i) { return i == 0 ? 1 : i % 2 == 1 ? std::numbers::sqrt2 : 0; };
  return system_of(
      n,
      [&](int64_t i, int64_t j) {
        const int64_t m = (i + 1) / 2;
        const double turn = i > 0 && m == (j + 1) / 2 && i != j ? (i % 2 == 0 ? 1 : -1) : 0;
        return (2 * std::numbers::pi * static_cast<double>(m) * turn - ends * weight(i) * weight(j)) / window;
      },
      [&](int64_t i) { return ends * weight(i) / window; });
}

LinearSystem discretize(const LinearSystem& system, const Tensor& step, Discretization method) {
  const Tensor &A = system.A, one = identity_like(A), scale = unsqueeze(step, -1), DA = A * unsqueeze(scale, -1),
               DB = system.B * scale;
  switch (method) {
    case Discretization::forward_euler: return {one + DA, DB};
    case Discretization::backward_euler: {
      const Tensor inverse = linalg::inv(one - DA);
      return {inverse, squeeze(matmul(inverse, unsqueeze(DB, -1)), -1)};
    }
    case Discretization::bilinear: {
      const Tensor both = linalg::solve(one - DA * 0.5, cat({one + DA * 0.5, unsqueeze(DB, -1)}, -1));
      return {narrow(both, -1, 0, A.size(-1)), select(both, -1, A.size(-1))};
    }
    case Discretization::zero_order_hold: break;
  }
  const int64_t n = A.size(-1);
  const Tensor above = cat({DA, unsqueeze(DB, -1)}, -1);
  Shape last = above.shape();
  last[last.rank() - 2] = 1;
  const Tensor both = narrow(linalg::matrix_exp(cat({above, zeros(last, A.dtype())}, -2)), -2, 0, n);
  return {narrow(both, -1, 0, n), select(both, -1, n)};
}
LinearSystem discretize(const LinearSystem& system, double step, Discretization method) {
  return discretize(system, full({}, step, system.A.dtype()), method);
}

Tensor hippo_basis(HippoMeasure measure, int64_t n, const Tensor& s) {
  check_size(measure, n);
  if (s.rank() != 1) fail<ShapeError>("[HiPPO] times of shape {}; they must be (S,)", s.shape());
  Tensors columns;
  if (has_waves(measure)) {
    columns.push_back(ones_like(s));
    for (int64_t m = 1; 2 * m < n; ++m) {
      const Tensor angle = (1 - s) * (2 * std::numbers::pi * static_cast<double>(m));
      columns.push_back(cos(angle) * std::numbers::sqrt2);
      columns.push_back(sin(angle) * std::numbers::sqrt2);
    }
    return stack(columns, 1);
  }
  const Tensor x = s * 2 - 1;
  Tensor before = zeros_like(s), now = ones_like(s);  // P_(k-1), P_k
  for (int64_t k = 0; k < n; ++k) {
    columns.push_back(now * root(k));
    const double m = static_cast<double>(k);
    const Tensor next = (x * now * (2 * m + 1) - before * m) / (m + 1);
    before = now, now = next;
  }
  return stack(columns, 1);
}

HiPPO::HiPPO(int64_t size_, const HippoOptions& options_) : size(size_), options(options_) {
  const bool scales = options.measure == HippoMeasure::legs;
  LinearSystem system = hippo_system(options.measure, size, options.window);
  if (scales && options.method != Discretization::bilinear)
    fail<ValueError>("[HiPPO] the steps of legs are bilinear; leave out the method, or take another measure");
  if (!(options.step > 0)) fail<ValueError>("[HiPPO] a step of {}; it must be above 0", options.step);
  if (!scales) system = discretize(system, options.step, options.method);
  A = system.A.to(options.dtype), B = system.B.to(options.dtype);
}

std::string HiPPO::settings() const {
  if (options.measure == HippoMeasure::legs) return fmt::format("{}, legs", size);
  return fmt::format("{}, {}, window = {}, step = {}", size, name_of(options.measure), options.window, options.step);
}

Tensor HiPPO::forward(const Tensor& u) {
  const int64_t T = u.rank() > 0 ? u.size(-1) : 0;
  if (options.measure == HippoMeasure::legs || T == 0) {
    State state;
    return forward(u, state);
  }
  // powers by doubling: those of the first 2 m from those of the first m
  Tensor powers = unsqueeze(B, 1), P = A;  // (N, m), A^m
  while (powers.size(1) < T) {
    powers = cat({powers, matmul(P, powers)}, 1);
    P = matmul(P, P);
  }
  return transpose(fft_conv1d(unsqueeze(u, -2), narrow(powers, 1, 0, T)), -1, -2);
}

Tensor HiPPO::forward(const Tensor& u, State& state) {
  if (u.rank() == 0) fail<ShapeError>("[HiPPO] the signal is a scalar; it must be (.., T)");
  Shape shape = u.shape();
  shape.back() = size;
  Tensor c = state.c.defined() ? state.c : zeros(shape, B.dtype());
  const Tensor one = identity_like(A), turned = A.t();
  Tensors all;
  for (int64_t t = 0; t < u.size(-1); ++t) {
    const Tensor now = narrow(u, -1, t, 1) * B, moved = matmul(c, turned);
    if (options.measure == HippoMeasure::legs) {
      const double k = static_cast<double>(state.samples + t + 1);
      const Tensor right = c + (moved * 0.5 + now) / k;
      c = squeeze(linalg::solve_triangular(one - turned * (0.5 / (k + 1)), unsqueeze(right, -2), {.left = false}), -2);
    } else {
      c = moved + now;
    }
    all.push_back(c);
  }
  state = {c, state.samples + u.size(-1)};
  if (!all.empty()) return stack(all, -2);
  shape.insert(shape.rank() - 1, 0);
  return zeros(shape, B.dtype());
}

Tensor HiPPO::reconstruct(const Tensor& c, const Tensor& s) const {
  return matmul(c, hippo_basis(options.measure, size, s.to(float64)).t().to(c.dtype()));
}

}  // namespace cotangent::nn
