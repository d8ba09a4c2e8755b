#include <cotangent/nn/attention/encoding.hpp>

#include <cmath>
#include <numbers>

#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/complex.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/transforms/custom_vjp.hpp>
#include <cotangent/nn/activation.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/random.hpp>

namespace cotangent::nn {
namespace {

void check_embeddings(const char* name, const Tensor& x, int64_t width) {
  if (x.rank() < 2 || x.size(-1) != width)
    fail<ShapeError>("[{}] x has shape {}; it must be (.., T, {})", name, x.shape(), width);
}

}  // namespace

// ---- CapeEncoding ----

CapeEncoding::CapeEncoding(int64_t width_, const CapeOptions& o) : width(width_), options(o) {
  sinusoids(zeros({0}), width, o.base);  // its checks
  if (!(o.global_shift >= 0 && o.local_shift >= 0 && o.scaling >= 1))
    fail<ValueError>("[CapeEncoding] shifts of {} and {} and a scaling of {}; they must be at least 0, 0 and 1",
                     o.global_shift, o.local_shift, o.scaling);
}

Tensor CapeEncoding::forward(const Tensor& x, int64_t start) {
  check_embeddings("CapeEncoding", x, width);
  const int64_t length = x.size(-2);
  Tensor at = arange(start, start + length, 1, float64);
  if (options.center && length > 0) at = at - mean(at);
  if (is_training()) {
    Shape tokens = x.shape();
    tokens.erase(tokens.rank() - 1);
    Shape sequences = tokens;
    sequences.back() = 1;
    const auto within = [](const Shape& shape, double most) { return (rand(shape, float64) * 2 - 1) * most; };
    const Tensor shift = within(sequences, options.global_shift), jitter = within(tokens, options.local_shift);
    at = exp(within(sequences, std::log(options.scaling))) * (at + shift + jitter);
  }
  return x + sinusoids(at, width, options.base, x.dtype());
}

std::string CapeEncoding::settings() const {
  return fmt::format("{}, global_shift = {}, local_shift = {}, scaling = {}", width, options.global_shift,
                     options.local_shift, options.scaling);
}

// ---- FloaterEncoding ----

namespace {

/// h(p, t) of a state (1, width).
Tensor flow(Sequential& h, const Tensor& p, double t) { return h(cat({p, full({1, 1}, t, p.dtype())}, 1)); }

/// The state after one step of Runge and Kutta: `rate` is its derivative, of a list of tensors.
template <class F>
Tensors runge_kutta(const Tensors& s, double t, double dt, F rate) {
  const auto moved = [&](const Tensors& r, double by) {
    Tensors y;
    for (size_t i = 0; i < s.size(); ++i) y.push_back(s[i] + r[i] * by);
    return y;
  };
  const Tensors a = rate(s, t), b = rate(moved(a, dt / 2), t + dt / 2), c = rate(moved(b, dt / 2), t + dt / 2),
                d = rate(moved(c, dt), t + dt);
  Tensors y;
  for (size_t i = 0; i < s.size(); ++i) y.push_back(s[i] + (a[i] + (b[i] + c[i]) * 2 + d[i]) * (dt / 6));
  return y;
}

/// The states (count, width) at the times 0, step, 2 step, ...
Tensor integrate(Sequential& h, const Tensor& initial, int64_t count, const FloaterOptions& o) {
  Tensors states;
  Tensors now{unsqueeze(initial, 0)};
  const double dt = o.step / static_cast<double>(o.substeps);
  for (int64_t k = 0; k < count; ++k) {
    states.push_back(now[0]);
    for (int64_t n = 0; n < o.substeps && k + 1 < count; ++n)
      now = runge_kutta(now, static_cast<double>(k) * o.step + static_cast<double>(n) * dt, dt,
                        [&](const Tensors& s, double t) { return Tensors{flow(h, s[0], t)}; });
  }
  return states.empty() ? zeros({0, initial.size(0)}, initial.dtype()) : cat(states, 0);
}

/// The gradients of initial and the parameters of h by the adjoint equation, from those of the states.
Tensors adjoint(Sequential& h, const Tensors& parameters, const Tensor& states, const Tensor& dy,
                const FloaterOptions& o) {
  const double dt = o.step / static_cast<double>(o.substeps);
  // (p, a, the gradients of the parameters), whose derivatives are h, -a dh/dp and -a dh/dparameters
  const auto rate = [&](const Tensors& s, double t) {
    const EnableGrad recording;
    const Tensor p = s[0].detach().requires_grad_();
    const Tensor y = flow(h, p, t);
    Tensors inputs{p};
    inputs.insert(inputs.end(), parameters.begin(), parameters.end());
    Tensors result{y.detach()};
    for (const Tensor& g : grad({y}, inputs, {.gradients = {s[1]}, .allow_unused = true}))
      result.push_back(g.defined() ? -g : zeros_like(inputs[result.size() - 1]));
    return result;
  };
  Tensors s{Tensor(), zeros({1, states.size(1)}, states.dtype())};
  for (const Tensor& p : parameters) s.push_back(zeros_like(p).detach());
  for (int64_t k = states.size(0) - 1; k >= 0; --k) {
    s[0] = narrow(states, 0, k, 1).detach();  // what is integrated backwards would leave the way it came
    s[1] = s[1] + narrow(dy, 0, k, 1);
    for (int64_t n = 0; n < o.substeps && k > 0; ++n)
      s = runge_kutta(s, static_cast<double>(k) * o.step - static_cast<double>(n) * dt, -dt, rate);
  }
  s[1] = squeeze(s[1], 0);
  return {s.begin() + 1, s.end()};
}

}  // namespace

FloaterEncoding::FloaterEncoding(int64_t width, const FloaterOptions& o)
    : FloaterEncoding(width,
                      Sequential(Linear(width + 1, 2 * width, {.dtype = o.dtype}), Tanh(),
                                 Linear(2 * width, width, {.dtype = o.dtype})),
                      o) {}

FloaterEncoding::FloaterEncoding(int64_t width, Sequential h, const FloaterOptions& o)
    : dynamics(std::move(h)), options(o) {
  if (width < 1 || !(o.step > 0) || o.substeps < 1)
    fail<ValueError>("[FloaterEncoding] a width of {}, a step of {} and {} substeps; each must be above 0", width,
                     o.step, o.substeps);
  initial = zeros({width}, o.dtype);
}

Tensor FloaterEncoding::rows(int64_t start, int64_t count) {
  if (start < 0) fail<ValueError>("[FloaterEncoding] position {}; the flow begins at 0", start);
  const int64_t all = start + count;
  if (!options.adjoint) return narrow(integrate(dynamics, initial, all, options), 0, start, count);
  Tensors inputs{initial};
  for (const Tensor& p : dynamics.parameters()) inputs.push_back(p);
  // copies of the dynamics share their parameters, which are the inputs
  const auto table = custom_vjp(
      "floater",
      [h = dynamics, all, o = options](const Tensors& x) {
        Sequential own = h;
        return integrate(own, x[0], all, o);
      },
      Keep::of_list(static_cast<int>(inputs.size())) | Keep::output(),
      [h = dynamics, all, o = options](const Backward& b) -> Tensors {
        Sequential own = h;
        const Tensors parameters = own.parameters();
        if (!b.creates_graph()) return adjoint(own, parameters, b.output(), b.grad(), o);
        Tensors x{b.input(0)};
        x.insert(x.end(), parameters.begin(), parameters.end());
        return grad({integrate(own, x[0], all, o)}, x,
                    {.gradients = {b.grad()}, .create_graph = true, .allow_unused = true});
      });
  return narrow(table(inputs), 0, start, count);
}

Tensor FloaterEncoding::forward(const Tensor& x, int64_t start) {
  check_embeddings("FloaterEncoding", x, initial.size(0));
  return x + rows(start, x.size(-2)).to(x.dtype());
}

std::string FloaterEncoding::settings() const {
  return fmt::format("{}, step = {}, substeps = {}{}", initial.size(0), options.step, options.substeps,
                     options.adjoint ? ", adjoint = true" : "");
}

// ---- complex numbers ----

ComplexEmbedding::ComplexEmbedding(int64_t tokens, int64_t width, const ComplexEmbeddingOptions& o) {
  if (tokens < 1 || width < 1)
    fail<ValueError>("[ComplexEmbedding] {} tokens of width {}; both must be above 0", tokens, width);
  const auto shape = [&](ComplexSharing sharing) {
    return Shape{sharing == ComplexSharing::tokens ? 1 : tokens, sharing == ComplexSharing::components ? 1 : width};
  };
  amplitude = init::normal_(empty({tokens, width}, o.dtype), 0, 1);
  const Shape words = shape(o.frequency);
  const Tensor rates = exp(arange(0, words[1], 1, float64) * (-std::log(10'000.0) / static_cast<double>(width)));
  frequency = expand(rates.to(o.dtype), words).clone();
  phase = init::uniform_(empty(shape(o.phase), o.dtype), 0, 2 * std::numbers::pi);
}

Tensor ComplexEmbedding::forward(const Tensor& indices, int64_t start) {
  if (indices.rank() < 1)
    fail<ShapeError>("[ComplexEmbedding] an index of shape {}; it must be (.., T)", indices.shape());
  const Dtype own = amplitude.dtype(), wide = compute_dtype(own);  // angles grow with k
  const auto of = [&](const Tensor& table) {
    return (table.size(0) == 1 ? Tensor(table) : embedding(table, indices)).to(wide);
  };
  const Tensor k = unsqueeze(arange(start, start + indices.size(-1), 1, wide), 1);
  return complex::polar(embedding(amplitude, indices).to(wide), of(frequency) * k + of(phase)).to(own);
}

std::string ComplexEmbedding::settings() const { return fmt::format("{}, {}", amplitude.size(0), amplitude.size(1)); }

ComplexLinear::ComplexLinear(int64_t in, int64_t out, const LinearOptions& o) {
  if (in < 1 || out < 1) fail<ValueError>("[ComplexLinear] {} to {}; both must be above 0", in, out);
  const double deviation = 1 / std::sqrt(2 * static_cast<double>(in));
  real = init::normal_(empty({out, in}, o.dtype), 0, deviation);
  imag = init::normal_(empty({out, in}, o.dtype), 0, deviation);
  if (o.bias) bias = zeros({out, 2}, o.dtype);
}

Tensor ComplexLinear::forward(const Tensor& z) {
  if (z.rank() < 2 || z.size(-2) != real.size(1) || z.size(-1) != 2)
    fail<ShapeError>("[ComplexLinear] z has shape {}; it must be (.., {}, 2)", z.shape(), real.size(1));
  const Tensor x = complex::real(z), y = complex::imag(z);
  const Tensor w = complex::from_parts(linear(x, real) - linear(y, imag), linear(x, imag) + linear(y, real));
  return bias.defined() ? w + bias : w;
}

std::string ComplexLinear::settings() const { return fmt::format("{}, {}", real.size(1), real.size(0)); }

}  // namespace cotangent::nn
