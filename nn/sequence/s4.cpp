#include <cotangent/nn/sequence/s4.hpp>

#include <algorithm>
#include <cmath>
#include <optional>

#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/decomposition.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/fft.hpp>
#include <cotangent/autograd/ops/gated.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/resolvent.hpp>
#include <cotangent/autograd/ops/solve.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/nn/sequence/steps_internal.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/random.hpp>

namespace cotangent::nn {
namespace {

/// The parts of a complex tensor, each by itself.
struct Parts {
  Tensor re, im;
  Parts() = default;
  Parts(Tensor re_, Tensor im_) : re(std::move(re_)), im(std::move(im_)) {}
  explicit Parts(const Tensor& pairs) : re(select(pairs, -1, 0)), im(select(pairs, -1, 1)) {}
  Tensor pairs() const { return stack({re, im}, -1); }
};
Parts operator*(const Parts& a, const Parts& b) { return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re}; }
Parts operator*(const Parts& a, const Tensor& b) { return {a.re * b, a.im * b}; }
Parts operator+(const Parts& a, const Parts& b) { return {a.re + b.re, a.im + b.im}; }
Parts operator-(const Parts& a, const Parts& b) { return {a.re - b.re, a.im - b.im}; }
Parts conj(const Parts& a) { return {a.re, -a.im}; }
Parts over(const Parts& a, const Parts& b) { return a * conj(b) * (1 / (square(b.re) + square(b.im))); }
/// a* b over all coordinates, the other half of which are conjugates: twice the real part.   (.., N/2) -> (.., 1)
Tensor product(const Parts& a, const Parts& b) { return sum(a.re * b.re + a.im * b.im, -1, true) * 2; }

Tensor wide(const Tensor& p) { return is_low_precision(p.dtype()) ? to(p, float32) : p; }

/// The system before it is discretized, computed in float32 at least.
struct Continuous {
  explicit Continuous(const S4& s)
      : dt(unsqueeze(exp(wide(s.log_dt)), -1)),
        L(-exp(wide(s.A_real)), wide(s.A_imag)),
        P(wide(s.P)),
        B(wide(s.B)),
        C(wide(s.C)) {}
  Tensor dt;  // (d, 1)
  Parts L, P, B, C;
};

/// The real form of complex row vectors a: those by which real and imaginary parts count in 2 Re sum a_n x_n.
Tensor real_rows(const Parts& a) { return cat({a.re, -a.im}, -1) * 2; }

/// x_k = Ab x_(k-1) + Bb u_k in time N, where Ab is diagonal but for a term of rank one. With D = (I - dt L/2)^-1, the
/// inverse of I - dt A/2 = D^-1 + dt/2 P P* is M = D - D P w P* D, w = 1 / (2/dt + P* D P) (Woodbury);
/// Ab = M (I + dt A/2) = 2 M - I and Bb = dt M B.
struct Stepper {
  explicit Stepper(const Continuous& s) {
    const Parts half = s.L * (s.dt * 0.5), D = over({ones_like(half.re), zeros_like(half.re)}, {1 - half.re, -half.im}),
                DB = D * s.B;
    column = D * s.P;
    const Tensor w = 1 / (2 / s.dt + product(s.P, column));
    diagonal = {D.re * 2 - 1, D.im * 2};
    row = conj(D) * s.P * (w * 2);
    input = (DB - column * (product(s.P, DB) * w)) * s.dt;
  }
  /// x (B, d, N/2), u (B, d, 1)
  Parts operator()(const Parts& x, const Tensor& u) const {
    return diagonal * x - column * product(row, x) + input * u;
  }
  Parts diagonal, column, row, input;
};

/// The state, and what the parameters say of how to step it and how to read it: s = 2 Re read* x, where read* is not
/// the parameter C.
struct S4State {
  Parts x;
  std::optional<Stepper> step;
  Parts read;
};

}  // namespace

HippoNormalForm hippo_normal_form(int64_t n) {
  if (n < 2 || n % 2 != 0) fail<ValueError>("[S4] a state of {} numbers; it must be an even number of them", n);
  const LinearSystem legs = hippo_system(HippoMeasure::legs, n);
  const Tensor P = sqrt(arange(0, n, 1, float64) + 0.5);
  // S = A + P P' + I/2 is skew: its eigenvalues are i w, and w those of the Hermitian -i S, which as a real matrix of
  // twice the size has each of them twice
  const Tensor S = legs.A + unsqueeze(P, 1) * P + eye(n, -1, float64) * 0.5, none = zeros({n, n}, float64);
  const linalg::Eigh e = linalg::eigh(cat({cat({none, S}, 1), cat({-S, none}, 1)}, 0));
  const int64_t half = n / 2;
  const auto upper = [&](const Tensor& x) { return slice(x, -1, n, 2 * n, 2); };  // above 0, one of each two
  Parts V(narrow(upper(e.eigenvectors), 0, 0, n), narrow(upper(e.eigenvectors), 0, n, n));
  const auto projected = [&](const Tensor& x) { return Parts(matmul(x, V.re), -matmul(x, V.im)); };
  const Parts p = projected(P);
  V = V * (p * (1 / sqrt(square(p.re) + square(p.im))));  // a vector may be turned: so that p is real
  const Tensor w = upper(e.eigenvalues);
  return {Parts(full({half}, -0.5, float64), w).pairs(), projected(P).pairs(), projected(legs.B).pairs(), V.pairs()};
}

S4::S4(int64_t width, const S4Options& o)
    : SequenceLayer(width, true),
      out_proj(width, o.glu ? 2 * width : width, {.dtype = o.dtype}),
      length(o.length),
      glu(o.glu) {
  if (o.length < 1) fail<ValueError>("[S4] a kernel of length {}; it must be at least 1", o.length);
  const HippoNormalForm form = hippo_normal_form(o.state);
  const auto for_each = [&](const Tensor& x) {
    Shape shape = x.shape();
    shape.insert(0, width);
    return contiguous(expand(x, shape)).to(o.dtype);
  };
  log_dt = log_steps("S4", width, o.dt_min, o.dt_max, o.dtype);
  A_real = for_each(log(-select(form.L, -1, 0)));
  A_imag = for_each(select(form.L, -1, 1));
  P = for_each(form.p), B = for_each(form.b);
  D = normal_(empty({width}, o.dtype));
  // C is what is random; the parameter follows from it and the length
  C = normal_(empty({width, o.state / 2, 2}, o.dtype), 0, std::sqrt(0.5));
  length = 0;
  set_length(o.length);
}

std::string S4::settings() const {
  return fmt::format("{}, state = {}, length = {}{}", width(), 2 * A_imag.size(1), length, glu ? "" : ", glu = false");
}

LinearSystem S4::dense() const {
  const Continuous s(*this);
  const Tensor one = eye(s.L.re.size(-1), -1, s.L.re.dtype()), re = unsqueeze(s.L.re, -1) * one,
               im = unsqueeze(s.L.im, -1) * one, p = cat({s.P.re, s.P.im}, -1),
               A = cat({cat({re, -im}, -1), cat({im, re}, -1)}, -2) - unsqueeze(p, -1) * unsqueeze(p, -2) * 2;
  return discretize({A, cat({s.B.re, s.B.im}, -1)}, squeeze(s.dt, -1), Discretization::bilinear);
}

Tensor S4::readout() const {
  const Continuous s(*this);
  if (length == 0) return s.C.pairs();
  const Tensor Ab = dense().A, row = unsqueeze(real_rows(s.C), -2);
  const Tensor found =
      squeeze(linalg::solve(eye(Ab.size(-1), -1, Ab.dtype()) - linalg::matrix_power(Ab, length), row, false), -2) * 0.5;
  const int64_t half = Ab.size(-1) / 2;
  return Parts(narrow(found, -1, 0, half), -narrow(found, -1, half, half)).pairs();
}

void S4::set_length(int64_t tokens) {
  if (tokens < 1) fail<ValueError>("[S4] a kernel of length {}; it must be at least 1", tokens);
  NoGrad no_grad;
  const Tensor Ab = dense().A, row = unsqueeze(real_rows(Parts(readout())), -2);
  const Tensor cut = squeeze(row - matmul(row, linalg::matrix_power(Ab, tokens)), -2) * 0.5;
  const int64_t half = Ab.size(-1) / 2;
  C.copy_(Parts(narrow(cut, -1, 0, half), -narrow(cut, -1, half, half)).pairs());
  length = tokens;
}

Tensor S4::kernel() const {
  const Continuous s(*this);
  const Parts c = s.C * s.dt, p = s.P * s.dt;  // each sum has the factor dt
  const auto weights = [](const Parts& a, const Parts& b) { return (a * b).pairs(); };
  const Tensor v = stack({weights(c, s.B), weights(c, s.P), weights(conj(p), s.B), weights(conj(p), s.P)}, 1);
  const Tensor t = resolvent_sums(v, (s.L * s.dt).pairs(), length);
  const auto at = [&](int64_t j) { return Parts(select(select(t, 1, j), 1, 0), select(select(t, 1, j), 1, 1)); };
  const int64_t count = length / 2 + 1;
  const Tensor angle = arange(0, count, 1, float64) * (std::acos(-1.0) / static_cast<double>(length)),
               y = cos(angle).to(t.dtype());
  const Parts below = at(3) * y, turn(y, sin(angle).to(t.dtype()));
  const Parts K = turn * (at(0) - over(at(1) * at(2) * y, {below.re + 1, below.im}));
  return fft::irfft(K.pairs(), length);
}

Tensor S4::run(const Tensor& x, const SequenceCall& call, StreamState* state) {
  const Tensor kept = call.key_mask.defined() ? where(unsqueeze(call.key_mask, 2), x, 0) : x, u = wide(kept);
  const int64_t T = x.size(1);
  Tensor y;
  if (!state) {
    if (T > length)
      fail<ValueError>("[S4] {} tokens for kernels of length {}; set_length() makes them longer", T, length);
    y = transpose(fft_conv1d(transpose(u, 1, 2), narrow(kernel(), 1, 0, std::max<int64_t>(T, 1))), 1, 2);
  } else {
    auto& own = state->own.as<S4State>();
    if (!own.step) {
      const Tensor none = zeros({x.size(0), width(), A_imag.size(1)}, u.dtype());
      own = {{none, none}, Stepper(Continuous(*this)), conj(Parts(readout()))};
    }
    Tensors outputs;
    for (int64_t t = 0; t < T; ++t) {
      own.x = (*own.step)(own.x, unsqueeze(select(u, 1, t), 2));
      outputs.push_back(squeeze(product(own.read, own.x), -1));
    }
    y = stack(outputs, 1);
  }
  y = out_proj(gelu(y + u * wide(D)).to(x.dtype()));
  return glu ? cotangent::glu(y) : y;
}

}  // namespace cotangent::nn
