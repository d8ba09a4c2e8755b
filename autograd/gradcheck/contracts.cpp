#include <cotangent/autograd/gradcheck/contracts_internal.hpp>

#include <cstring>
#include <unordered_set>

#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/gradcheck/comparison_internal.hpp>
#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/node.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/views.hpp>

namespace cotangent::detail {
namespace {

Tensor copy(const Tensor& x) { return raw::clone(raw::contiguous(x.detach())); }

// The values of x in another order of memory, in memory of their own.
Tensor laid_out(const Tensor& x, const Shape& memory, Tensor (*view)(const Tensor& room, const Tensor& x)) {
  const Tensor room = make_tensor(memory, x.dtype());
  raw::fill_into(room, 1e30);
  const Tensor y = view(room, x);
  raw::copy_into("gradcheck", x.detach(), y);
  return y;
}
Shape with(const Shape& shape, int64_t last) {
  Shape more = shape;
  more.push_back(last);
  return more;
}
/// Every second place of a larger memory.
Tensor strided(const Tensor& x) {
  if (x.rank() == kMaxRank) return x;
  return laid_out(x, with(x.shape(), 2),
                  [](const Tensor& room, const Tensor&) { return raw::select("gradcheck", room, -1, 0); });
}
/// The dimensions in reverse order, the last one outermost.
Tensor reversed(const Tensor& x) {
  Shape memory;
  for (int d = x.rank() - 1; d >= 0; --d) memory.push_back(x.shape()[d]);
  return laid_out(x, memory, [](const Tensor& room, const Tensor& like) {
    std::vector<int64_t> dims;
    for (int d = like.rank() - 1; d >= 0; --d) dims.push_back(d);
    return raw::permute("gradcheck", room, dims);
  });
}
/// A slice from the middle of a larger tensor.
Tensor sliced(const Tensor& x) {
  if (x.rank() == 0) return x;
  Shape memory = x.shape();
  memory[0] += 2;
  return laid_out(x, memory,
                  [](const Tensor& room, const Tensor& like) { return narrow(room, 0, 1, like.shape()[0]).detach(); });
}
/// The first row of x in place of every row: all are one place of the memory, which has room for all.
Tensor expanded(const Tensor& x) {
  if (x.rank() == 0 || x.shape()[0] < 2) return x;
  const Tensor room = copy(x);
  return expand(narrow(room, 0, 0, 1), x.shape()).detach();
}

// What is empty has memory all the same, for functions that look at it before they count.
Tensor no_rows(const Tensor& x) { return narrow(copy(x), 0, 0, 0).detach(); }
Tensor ones_like(const Tensor& y) {
  Shape room = y.shape();
  for (int64_t& n : room) n = std::max<int64_t>(n, 1);
  Tensor ones = make_tensor(room, y.dtype());
  raw::fill_into(ones, 1);
  for (int d = 0; d < y.rank(); ++d) ones = narrow(ones, d, 0, y.shape()[d]);
  return ones.detach();
}

Tensors with_gradient(Tensors xs) {
  for (Tensor& x : xs) x.requires_grad_();
  return xs;
}

/// What the nodes behind some outputs have saved, with copies of it.
class SavedTensors {
 public:
  explicit SavedTensors(const Tensors& outputs) {
    std::vector<Node*> stack;
    std::unordered_set<const Node*> seen;
    for (const Tensor& y : outputs)
      if (y.requires_grad()) stack.push_back(history(y));
    while (!stack.empty()) {
      Node* node = stack.back();
      stack.pop_back();
      if (!node || !seen.insert(node).second) continue;
      for (int i = 0; i < node->edge_count; ++i) stack.push_back(node->edges()[i].node);
      for (int i = 0; i < node->saved_count && !node->released; ++i)
        if (const Tensor& kept = node->saved()[i].tensor; kept.defined())
          all_.push_back({node->op, kept.detach(), copy(kept)});
    }
  }
  /// The op that saved one which has changed since, or nullptr.
  const char* changed() const {
    for (const Kept& k : all_)
      if (!same_bits(k.tensor, k.before)) return k.op;
    return nullptr;
  }

 private:
  struct Kept {
    const char* op;
    Tensor tensor, before;
  };
  std::vector<Kept> all_;
};

}  // namespace

const MemoryLayout kMemoryLayouts[] = {
    {strided, "strided"}, {reversed, "permuted in memory"}, {sliced, "a slice of a larger tensor"}};

Displaced::Displaced(const Tensors& xs, CheckRandom& random) : xs_(xs) {
  for (const Tensor& x : xs_) {
    before_.push_back(elements_of(x));
    for (size_t e = 0; e < before_.back().size(); ++e) {
      const double v = before_.back()[e];
      set_element(x, static_cast<int64_t>(e), v + 0.02 * random.weight() * std::max(std::fabs(v), 0.1));
    }
    bump_version(x);
  }
}
Displaced::~Displaced() {
  for (size_t i = 0; i < xs_.size(); ++i) {
    for (size_t e = 0; e < before_[i].size(); ++e) set_element(xs_[i], static_cast<int64_t>(e), before_[i][e]);
    bump_version(xs_[i]);
  }
}

Tensors copies(const Tensors& xs) {
  Tensors ys;
  for (const Tensor& x : xs) ys.push_back(copy(x));
  return ys;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  if (a.shape() != b.shape() || a.dtype() != b.dtype()) return false;
  const Tensor x = raw::contiguous(a.detach()), y = raw::contiguous(b.detach());
  return std::memcmp(x.raw_data(), y.raw_data(), static_cast<size_t>(x.numel() * item_size(x.dtype()))) == 0;
}

bool same_bits(const Tensors& a, const Tensors& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Tensor& x, const Tensor& y) { return same_bits(x, y); });
}

const char* word_of_exception(const std::exception& error, int order) {
  if (order > 1) return "order";
  const std::string text = error.what();
  const bool shape = text.find("its rule gives a gradient of") != std::string::npos;
  if (shape || dynamic_cast<const ShapeError*>(&error)) return "broadcast";
  return dynamic_cast<const GradError*>(&error) ? "disconnected" : "domain";
}

Contracts::Contracts(CheckedFunction& f, const Tensors& inputs, const std::vector<std::string>& names,
                     const Tensors& cotangents, int order, CheckRandom& random, GradcheckReport& report)
    : f_(f), inputs_(inputs), names_(names), cotangents_(cotangents), order_(order), random_(random), report_(report) {
  double epsilon = epsilon_of(float64);
  for (const Tensors* xs : {&inputs_, &cotangents_})
    for (const Tensor& x : *xs) epsilon = std::max(epsilon, epsilon_of(x.dtype()));
  tolerance_ = epsilon <= epsilon_of(float64) ? 1e-9 : 32 * epsilon;
}

void Contracts::problem(const char* word, const std::string& text) {
  add_problem(report_, order_, "all inputs", word, text);
}

bool Contracts::close(const Tensors& a, const Tensors& b) const {
  const auto largest_of = [](const std::vector<double>& values) {
    double largest = 0;
    for (double v : values)
      if (std::isfinite(v)) largest = std::max(largest, std::fabs(v));
    return largest;
  };
  std::vector<std::vector<double>> all;
  double largest = 0;  // what is 0 but for rounding may have the rounding of the others
  for (const Tensor& x : a) {
    all.push_back(elements_of(x));
    largest = std::max(largest, largest_of(all.back()));
  }
  for (size_t k = 0; k < a.size(); ++k) {
    if (a[k].shape() != b[k].shape()) return false;
    const std::vector<double>&p = all[k], q = elements_of(b[k]);
    const double allowed = tolerance_ * std::max(largest_of(p), 1e-3 * largest);
    for (size_t i = 0; i < p.size(); ++i)
      if (p[i] != q[i] && (std::isfinite(p[i]) || std::isfinite(q[i])) && !(std::fabs(p[i] - q[i]) <= allowed))
        return false;
  }
  return true;
}

Tensors Contracts::weighted(double (CheckRandom::*weight)()) {
  Tensors ws;
  for (const Tensor& v : cotangents_) {
    ws.push_back(make_tensor(v.shape(), v.dtype()));
    for (int64_t i = 0; i < v.numel(); ++i) set_element(ws.back(), i, (random_.*weight)());
  }
  return ws;
}

void Contracts::check_values(const Tensors& outputs) {
  const Tensors first = copies(outputs);
  for (int call = 0; call < 3; ++call)
    if (!same_bits(first, copies(f_.call(inputs_, true)))) {
      return problem("nondeterministic",
                     "the function gives other values the second time; fix its seed, or turn its randomness off");
    }
  if (!close(first, copies(f_.call(inputs_, false))))
    problem("order", "the function gives other values when nothing is recorded (NoGrad)");
}

void Contracts::check_backward(const Tensors& fast) {
  if (!same_bits(fast, product(f_, inputs_, cotangents_, false)))
    problem("nondeterministic", "the backward pass gives other bits the second time");
  Tensors apart;
  for (const Tensor& v : cotangents_) apart.push_back(strided(v));
  if (!close(fast, product(f_, inputs_, apart, false)))
    problem("strides", "the backward pass gives another gradient for the same cotangent when that is not contiguous");
  check_linearity(fast);
  if (order_ > 1) return;
  check_parts(fast);
  check_passes(fast);
  check_accumulation(fast);
}

// J(0) = 0, and J(v + c w) = J(v) + J(c w) for a w of all magnitudes, for small, middle and large c.
void Contracts::check_linearity(const Tensors& fast) {
  NoGrad guard;
  Tensors nothing;
  for (const Tensor& v : cotangents_) nothing.push_back(v * 0);
  for (const Tensor& dx : product(f_, inputs_, nothing, false))
    for (double g : elements_of(dx))
      if (!(g == 0) && !std::isnan(g)) return problem("not linear", "a cotangent of 0 does not give a gradient of 0");
  const Tensors w = weighted(&CheckRandom::any_magnitude);
  for (const double c : {1.0, 1e-3, 1e3}) {
    Tensors scaled, sum;
    for (size_t k = 0; k < w.size(); ++k) {
      scaled.push_back(w[k] * c);
      sum.push_back(cotangents_[k] + scaled[k]);
    }
    const Tensors of_scaled = product(f_, inputs_, scaled, false), of_sum = product(f_, inputs_, sum, false);
    Tensors expected;
    for (size_t i = 0; i < fast.size(); ++i) expected.push_back(fast[i] + of_scaled[i]);
    if (!close(of_sum, expected))
      return problem("not linear",
                     fmt::format("the backward pass is not linear in the cotangent: for the sum of two, one of "
                                 "magnitudes {:g} to {:g}, it does not give the sum of their gradients",
                                 1e-3 * c, 1e3 * c));
  }
}

void Contracts::check_parts(const Tensors& fast) {
  NoGrad guard;
  if (cotangents_.size() > 1) {
    Tensors sum;
    for (size_t k = 0; k < cotangents_.size(); ++k) {
      Tensors one(cotangents_.size());
      one[k] = cotangents_[k];
      const Tensors of_one = product(f_, inputs_, one, false);
      for (size_t i = 0; i < fast.size(); ++i) k == 0 ? sum.push_back(of_one[i]) : void(sum[i] = sum[i] + of_one[i]);
    }
    if (!close(fast, sum))
      problem("not linear", "the gradients of the outputs one at a time do not add up to that of all together");
  }
  if (inputs_.size() > 1)
    for (size_t i = 0; i < inputs_.size(); ++i) {
      const Tensors ys = f_.call(inputs_, true);
      if (!close({fast[i]}, product_of(ys, {inputs_[i]}, cotangents_, false)))
        problem("accumulation", fmt::format("{} gets another gradient when only that one is asked for", names_[i]));
    }
}

void Contracts::check_passes(const Tensors& fast) {
  const Tensors ys = f_.call(inputs_, true);
  const SavedTensors saved(ys);
  const Tensors first = copies(product_of(ys, inputs_, cotangents_, false, true));
  if (const char* op = saved.changed())
    problem("changes data", fmt::format("the backward pass changes a tensor that [{}] saved", op));
  const Tensors second = product_of(ys, inputs_, cotangents_, false, true);
  if (!same_bits(first, second)) problem("changes data", "a second pass over a retained graph gives another gradient");
  if (!close(fast, first))
    problem("changes data", "a pass that retains the graph gives another gradient than one that does not");
}

// backward() adds to grad(), and twice the same gives twice as much.
void Contracts::check_accumulation(const Tensors& fast) {
  Tensors before;
  for (const Tensor& x : inputs_) before.push_back(x.grad());
  struct Restore {
    const Tensors &inputs, &before;
    ~Restore() {
      for (size_t i = 0; i < inputs.size(); ++i) inputs[i].set_grad(before[i]);
    }
  } restore{inputs_, before};
  for (const Tensor& x : inputs_) x.set_grad({});
  for (int pass = 0; pass < 2; ++pass) {
    EnableGrad guard;
    Tensor loss;
    const Tensors ys = f_.call(inputs_, true);
    for (size_t k = 0; k < ys.size(); ++k) {
      const Tensor term = sum(ys[k] * cotangents_[k]);
      loss = loss.defined() ? loss + to(term, loss.dtype()) : term;
    }
    if (!loss.requires_grad()) return;
    loss.backward({.inputs = inputs_});
  }
  NoGrad guard;
  Tensors added, twice;
  for (size_t i = 0; i < inputs_.size(); ++i) {
    added.push_back(inputs_[i].grad().defined() ? inputs_[i].grad().detach() : fast[i] * 0);
    twice.push_back(fast[i] * 2);
  }
  if (!close(twice, added)) problem("accumulation", "two backward passes do not add up to twice the gradient");
}

bool Contracts::compare_layout(const Tensors& moved, const Tensors& plain, const char* layout) {
  Tensors got, expected, outputs, plain_outputs;
  try {
    plain_outputs = f_.call(plain, true);
    expected = product_of(plain_outputs, plain, cotangents_, false);
  } catch (const Error&) {
    return true;  // these values are no input of the function
  }
  outputs = f_.call(moved, true);
  if (!close(copies(plain_outputs), copies(outputs))) {
    problem("strides", fmt::format("the function gives other values for the same inputs when they are {}", layout));
    return false;
  }
  got = product_of(outputs, moved, cotangents_, false);
  if (close(expected, got)) return true;
  problem("strides", fmt::format("the gradient is another one for the same inputs when they are {}", layout));
  return false;
}

void Contracts::check_layouts(const Tensors& fast) {
  const Tensors plain = with_gradient(copies(inputs_));
  // a function that takes other tensors than its inputs, or holds them itself, says nothing of these
  bool reads = false, any = false;
  const Tensors of_plain = product_of(f_.call(plain, true), plain, cotangents_, false);
  for (size_t i = 0; i < fast.size(); ++i) {
    for (const double g : elements_of(of_plain[i])) reads = reads || g != 0;
    for (const double g : elements_of(fast[i])) any = any || g != 0;
  }
  if (any && !reads) return;
  for (const MemoryLayout& layout : kMemoryLayouts) {
    Tensors moved;
    for (const Tensor& x : inputs_) moved.push_back(layout.make(x));
    if (!compare_layout(with_gradient(std::move(moved)), plain, layout.name)) return;
  }
  for (size_t i = 0; i < inputs_.size(); ++i) {
    Tensors repeated = copies(inputs_);
    repeated[i] = expanded(inputs_[i]);
    if (!raw::overlaps(repeated[i])) continue;
    const Tensors dense = with_gradient(copies(repeated));
    if (!compare_layout(with_gradient(std::move(repeated)), dense, "expanded")) return;
  }
}

void Contracts::check_empty() {
  const Tensor& first = inputs_[0];
  if (first.rank() == 0 || first.numel() == 0) return;
  for (const bool together : {true, false}) {  // all that may have the examples of a batch, or only the first
    Tensors some;
    std::string shapes;
    for (const Tensor& x : inputs_) {
      const bool batch = &x == &first || (together && x.rank() > 0 && x.shape()[0] == first.shape()[0]);
      some.push_back(batch ? no_rows(x) : copy(x));
      shapes += (shapes.empty() ? "" : ", ") + to_string(some.back().shape());
    }
    Tensors outputs, ones;
    try {
      outputs = f_.call(with_gradient(some), true);
    } catch (const std::exception&) {
      continue;  // empty tensors are no inputs of the function
    }
    bool none = true;
    for (const Tensor& y : outputs) {
      ones.push_back(ones_like(y));
      none = none && y.numel() == 0;
    }
    try {
      for (size_t i = 0; const Tensor& dx : product_of(outputs, some, ones, false)) {
        const std::vector<double> g = elements_of(dx);
        if (none && std::any_of(g.begin(), g.end(), [](double v) { return v != 0 && !std::isnan(v); }))
          problem("domain", fmt::format("for inputs of the shapes {} there is no output, and yet {} has a gradient",
                                        shapes, names_[i]));
        ++i;
      }
    } catch (const std::exception& error) {  // a rule may refuse them, but not mistake their shapes
      if (const char* word = word_of_exception(error, order_); word == std::string("broadcast"))
        problem(word, fmt::format("for inputs of the shapes {} the backward pass throws: {}", shapes, error.what()));
    }
    return;
  }
}

void Contracts::check_displaced() {
  try {
    const Tensors gradient = product(f_, inputs_, cotangents_, false);
    NumericDerivative numeric(f_, inputs_, cotangents_, 0);
    const double epsilon = numeric.epsilon(),
                 tolerance = epsilon <= epsilon_of(float64) ? 1e-6 : 4 * std::sqrt(epsilon);
    for (size_t i = 0; i < inputs_.size(); ++i) {
      const std::vector<double> g = elements_of(gradient[i]), x = elements_of(inputs_[i]);
      Moves moves{i, {}, {}, 1 / std::cbrt(static_cast<double>(g.size()))};
      double sum = 0, size = 0;
      for (size_t e = 0; e < g.size(); ++e) {
        const double weight = random_.weight() * std::max(std::fabs(x[e]), 0.1);
        moves.places.push_back(static_cast<int64_t>(e)), moves.weights.push_back(weight);
        sum += weight * g[e], size += std::fabs(weight * g[e]);
      }
      Difference d = numeric.quick(moves);
      const auto wrong = [&] {
        return d.finite && !d.kink &&
               std::fabs(sum - d.value) > tolerance * std::max(size, std::fabs(d.value)) + 2 * d.error;
      };
      if (wrong()) d = numeric.refined(moves);
      if (g.empty() || !wrong()) continue;
      return problem(
          "not symmetric",
          fmt::format("the gradient of {} is wrong near by, where every input is moved by up to 3 %: {:.6g} "
                      "along a random "
                      "direction, and {:.6g} by differences: a rule leaves out a factor or a term that is 1 or 0 here",
                      names_[i], sum, d.value));
    }
  } catch (const Error&) {
    return;  // no place for this function
  }
}

void Contracts::check_symmetry() {
  EnableGrad guard;
  const size_t n = inputs_.size();
  const Tensors gradient = product(f_, inputs_, cotangents_, true);
  const auto direction = [&](size_t i) {
    Tensor u = make_tensor(inputs_[i].shape(), inputs_[i].dtype());
    for (int64_t e = 0; e < u.numel(); ++e) set_element(u, e, random_.weight());
    return u;
  };
  // row i of the blocks: u_i times the second derivatives, where only the i-th gradient is differentiated
  const auto row = [&](size_t i, const Tensor& u) {
    Tensors only(n);
    only[i] = u;
    return product_of(gradient, inputs_, only, false, true);
  };
  const auto dot = [](const Tensor& a, const Tensor& b, double& size) {
    const std::vector<double> p = elements_of(a), q = elements_of(b);
    double sum = 0;
    for (size_t e = 0; e < p.size(); ++e) sum += p[e] * q[e], size += std::fabs(p[e] * q[e]);
    return sum;
  };
  std::vector<Tensors> rows;
  Tensors u;
  for (size_t i = 0; i < n; ++i) {
    u.push_back(direction(i));
    rows.push_back(row(i, u[i]));
  }
  struct Pair {
    size_t i, j;
    double one, other, size;
  };
  std::vector<Pair> pairs;
  double largest = 0;  // what is 0 but for rounding may have the rounding of the others, and of the gradient by x
  for (size_t i = 0; i < n; ++i) {
    const std::vector<double> g = elements_of(gradient[i]), x = elements_of(inputs_[i]);
    double size = 0;
    for (size_t e = 0; e < g.size(); ++e) size += std::fabs(g[e]) / std::max(std::fabs(x[e]), 0.01);
    if (std::isfinite(size)) largest = std::max(largest, size);
  }
  for (size_t i = 0; i < n; ++i)
    for (size_t j = 0; j <= i; ++j) {
      double size = 0;
      const Tensor w = i == j ? direction(i) : u[j];
      const double one = dot(w, rows[i][j], size), other = dot(u[i], (i == j ? row(i, w) : rows[j])[i], size);
      pairs.push_back({i, j, one, other, size});
      largest = std::max(largest, size);
    }
  for (const Pair& p : pairs)
    if (std::fabs(p.one - p.other) > 1e3 * tolerance_ * std::max(p.size, 1e-6 * largest))
      problem("not symmetric",
              fmt::format("the Hessian is not symmetric: along random directions the derivative of the gradient of "
                          "{} by {} is {:.6g}, and {:.6g} the other way round: a rule leaves out a factor, "
                          "or its formula is not a gradient",
                          names_[p.i], names_[p.j], p.one, p.other));
}

}  // namespace cotangent::detail
