#include <cotangent/nn/parametrization.hpp>

#include <cmath>

#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/statistics.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/nn/parametrization_internal.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/random.hpp>
#include <cotangent/tensor/range.hpp>

namespace cotangent::nn {

// ---- the mechanism ----

namespace {

constinit int64_t g_parametrizations = 0;

Any<Parametrization>* counted(Any<Parametrization>* how) {
  if (how) __atomic_add_fetch(&g_parametrizations, 1, __ATOMIC_RELAXED);
  return how;
}

/// The parameter of that name among the members of m itself.
Parameter& parameter_of(const char* function, Module& m, std::string_view name) {
  struct Walk : Members {
    std::string_view wanted;
    Parameter* found = nullptr;
    void parameter(const std::string& path, Parameter& p) override {
      if (path == wanted) found = &p;
    }
    void parametrized(const std::string& path, Parameter& p) override {
      if (path == "parametrizations." + std::string(wanted)) found = &p;
    }
    void module(const std::string&, Module&) override {}
  } walk;
  walk.wanted = name;
  m.members(walk);
  if (!walk.found || !walk.found->defined())
    fail<ValueError>("[{}] {}({}) itself has no parameter \"{}\"", function, m.type_name(), m.settings(), name);
  return *walk.found;
}

Parameter& not_computed(const char* function, Module& m, std::string_view name) {
  Parameter& p = parameter_of(function, m, name);
  if (p.parametrization())
    fail<ValueError>("[{}] \"{}\" of {}({}) is computed already, by {}", function, name, m.type_name(), m.settings(),
                     p.parametrization()->type_name());
  return p;
}

Tensor computed(Parametrization& how) {
  return detail::within(how, [&] { return how.value(); });
}

}  // namespace

Parameter::Parameter(const Parameter& other)
    : Tensor(other), how_(counted(other.how_ ? new Any<Parametrization>(*other.how_) : nullptr)) {}

Parameter& Parameter::operator=(Parameter other) noexcept {
  swap(other);
  std::swap(how_, other.how_);
  return *this;
}

Parametrization* Parameter::parametrization() const { return how_ ? &**how_ : nullptr; }

void Parameter::compute_by(Any<Parametrization>* how) {
  if (how_) __atomic_sub_fetch(&g_parametrizations, 1, __ATOMIC_RELAXED);
  delete how_;
  how_ = counted(how);
}

bool detail::Parametrized::exist() { return __atomic_load_n(&g_parametrizations, __ATOMIC_RELAXED) > 0; }

void detail::Parametrized::compute(Module& m) {
  struct Walk : Members {
    void module(const std::string&, Module&) override {}
    void parametrized(const std::string&, Parameter& p) override {
      static_cast<Tensor&>(p) = computed(*p.parametrization());
    }
  } walk;
  m.members(walk);
}

void parametrize(Module& layer, Any<Parametrization> how, std::string_view name) {
  Parameter& p = not_computed("parametrize", layer, name);
  how->train(layer.is_training());
  if (!p.requires_grad()) how->requires_grad_(false);
  Tensor value = computed(*how);
  if (value.shape() != p.shape())
    fail<ShapeError>("[parametrize] {} computes {} for the {} \"{}\"", how->type_name(), value.shape(), p.shape(),
                     name);
  static_cast<Tensor&>(p) = std::move(value);
  detail::Parametrized::by(p, new Any<Parametrization>(std::move(how)));
}

void remove_parametrization(Module& layer, std::string_view name) {
  Parameter& p = parameter_of("remove_parametrization", layer, name);
  if (!p.parametrization())
    fail<ValueError>("[remove_parametrization] \"{}\" of {}({}) is trained itself", name, layer.type_name(),
                     layer.settings());
  p.parametrization()->eval();  // as it is, without another step of an iteration
  const Tensor value = computed(*p.parametrization());
  p = Parameter(value);
  p.requires_grad_(value.requires_grad());
}

// ---- lengths and directions ----

namespace {

/// W as a matrix whose rows are along `dim`; one row without.
Tensor rows(const Tensor& w, std::optional<int64_t> dim) {
  if (!dim) return reshape(w, {1, w.numel()});
  Dims order{*dim};
  for (int64_t d = 0; d < w.rank(); ++d)
    if (d != *dim) order.push_back(d);
  const int64_t count = w.size(*dim);
  return reshape(permute(w, order), {count, count > 0 ? w.numel() / count : 0});
}

std::optional<int64_t> checked(const char* function, std::optional<int64_t> dim, const Tensor& w) {
  if (dim) dim = checked_dim(function, *dim, w.rank());
  return dim;
}

struct WeightNorm : Parametrization {
  WeightNorm(const Tensor& weight, std::optional<int64_t> rows_along) : original1(weight), dim(rows_along) {
    original0 = lengths().detach();
  }
  Parameter original0, original1;
  std::optional<int64_t> dim;
  COTANGENT_MEMBERS(original0, original1)
  Tensor value() override { return original1 * (original0 / lengths()); }
  std::string settings() const override { return dim == 0 ? "" : dim ? fmt::format("dim = {}", *dim) : "one length"; }

 private:
  Tensor lengths() const {
    Shape shape;
    if (dim)
      for (int64_t d = 0; d < original1.rank(); ++d) shape.push_back(d == *dim ? original1.size(d) : 1);
    return reshape(norm(rows(original1, dim), 2, 1), shape);
  }
};

}  // namespace

void weight_norm(Module& layer, const WeightNormOptions& o) {
  const Parameter& p = not_computed("weight_norm", layer, o.name);
  parametrize(layer, WeightNorm(p, checked("weight_norm", o.dim, p)), o.name);
}

// ---- the largest singular value ----

namespace {

struct SpectralNorm : Parametrization {
  SpectralNorm(const Tensor& weight, int64_t rows_along, int64_t count, double least)
      : original(weight), dim(rows_along), iterations(count), eps(least) {
    if (weight.rank() < 2) return;  // its largest singular value is its length
    const Tensor w = rows(weight.detach(), dim);
    u = unit(randn({w.size(0)}, weight.dtype()));
    v = unit(randn({w.size(1)}, weight.dtype()));
    iterate(w, 15);
  }
  Parameter original;
  Buffer u, v;
  int64_t dim, iterations;
  double eps;
  void members(Members& visitor) override {
    visitor.add("original", original);
    visitor.add("0._u", u);
    visitor.add("0._v", v);
  }
  COTANGENT_CLONE

  Tensor value() override {
    if (!u.defined()) return unit(original);
    const Tensor w = rows(original, dim);
    if (is_training() && !recomputing()) iterate(w.detach(), iterations);
    // copies, as the next call writes to the buffers
    return original / matmul(u.clone(), matmul(w, v.clone()));
  }
  std::string settings() const override { return dim == 0 ? "" : fmt::format("dim = {}", dim); }

 private:
  Tensor unit(const Tensor& x) const { return x / clamp(norm(x), eps); }
  void iterate(const Tensor& w, int64_t count) {
    NoGrad guard;
    for (int64_t i = 0; i < count; ++i) {
      u.copy_(unit(matmul(w, v)));
      v.copy_(unit(matmul(u, w)));
    }
  }
};

}  // namespace

void spectral_norm(Module& layer, const SpectralNormOptions& o) {
  const Parameter& p = not_computed("spectral_norm", layer, o.name);
  if (o.power_iterations < 1)
    fail<ValueError>("[spectral_norm] {} power iterations; there must be at least 1", o.power_iterations);
  cotangent::detail::check_not_negative("spectral_norm", "eps", o.eps);
  const bool transposed = layer.type_name().starts_with("ConvTranspose");
  const std::optional<int64_t> dim = checked("spectral_norm", o.dim.value_or(transposed ? 1 : 0), p);
  parametrize(layer, SpectralNorm(p, *dim, o.power_iterations, o.eps), o.name);
}

// ---- the neural tangent kernel's ----

namespace {

struct Ntk : Parametrization {
  explicit Ntk(const Tensor& weight) : scale(1 / std::sqrt(static_cast<double>(init::fans(weight).in))) {
    NoGrad guard;
    original = weight / scale;
  }
  Parameter original;
  double scale;
  COTANGENT_MEMBERS(original)
  Tensor value() override { return original * scale; }
};

}  // namespace

void ntk_parametrization(Module& layer, std::string_view name) {
  parametrize(layer, Ntk(not_computed("ntk_parametrization", layer, name)), name);
}

}  // namespace cotangent::nn
