// In-place writes, views and history together. Numbers are PyTorch's, for x = 1..6, w = 2, 3, 5, 7, 11, 13 and the
// cotangent 1, 2, 3, ...; where PyTorch refuses (marked so) they are those of the same op out of place.
#include <cotangent/tests/check_gradients.hpp>

#include <cstdio>
#include <cstdlib>

#include <cotangent/cotangent.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;

namespace {

Tensor make_x() { return tensor({1., 2., 3., 4., 5., 6.}, float64); }
Tensor make_w() { return tensor({2., 3., 5., 7., 11., 13.}, float64); }
Tensor part(const Tensor& x, int64_t first, int64_t last) { return slice(x, 0, first, last); }

struct Case {
  const char* name;
  Tensor (*f)(const Tensor& x, const Tensor& w);
  Values y, dx, dw;  // no dw: it has none, or zeros
};

const std::vector<Case> cases = {
    {"mul_ with an operand that needs a gradient",
     [](const Tensor& x, const Tensor& w) {
       Tensor y = x * 1;
       y.mul_(w);
       return y;
     },
     {2, 6, 15, 28, 55, 78},
     {2, 6, 15, 28, 55, 78},
     {1, 4, 9, 16, 25, 36}},
    {"div_",
     [](const Tensor& x, const Tensor& w) {
       Tensor y = x * 1;
       y.div_(w);
       return y;
     },
     {0.5, 2 / 3., 0.6, 4 / 7., 5 / 11., 6 / 13.},
     {0.5, 2 / 3., 0.6, 4 / 7., 5 / 11., 6 / 13.},
     {-1 / 4., -4 / 9., -9 / 25., -16 / 49., -25 / 121., -36 / 169.}},
    {"mul_ by itself (PyTorch refuses)",
     [](const Tensor& x, const Tensor&) {
       Tensor y = x * 1;
       y.mul_(y);
       return y;
     },
     {1, 4, 9, 16, 25, 36},
     {2, 8, 18, 32, 50, 72},
     {}},
    {"mul_ by a view of itself in the same place (PyTorch refuses)",
     [](const Tensor& x, const Tensor&) {
       Tensor y = x * 1;
       y.mul_(y.view({6}).slice(0, 0, 6));
       return y;
     },
     {1, 4, 9, 16, 25, 36},
     {2, 8, 18, 32, 50, 72},
     {}},
    {"div_ by itself (PyTorch refuses)",
     [](const Tensor& x, const Tensor& w) {
       Tensor y = x * 1;
       y.div_(y);
       y.add_(w);
       return y;
     },
     {3, 4, 6, 8, 12, 14},
     {0, 0, 0, 0, 0, 0},
     {1, 2, 3, 4, 5, 6}},
    {"add_ itself",
     [](const Tensor& x, const Tensor&) {
       Tensor y = x * 1;
       y.add_(y);
       return y;
     },
     {2, 4, 6, 8, 10, 12},
     {2, 4, 6, 8, 10, 12},
     {}},
    {"write to a view, read the base",
     [](const Tensor& x, const Tensor& w) {
       Tensor y = x * 1, v = part(y, 1, 3);
       v.mul_(part(w, 1, 3));
       return y;
     },
     {1, 6, 15, 4, 5, 6},
     {1, 6, 15, 4, 5, 6},
     {0, 4, 9, 0, 0, 0}},
    {"write to the base, read a view",
     [](const Tensor& x, const Tensor& w) {
       Tensor y = x * 1, v = part(y, 1, 3);
       y.mul_(w);
       return v;
     },
     {6, 15},
     {0, 3, 10, 0, 0, 0},
     {0, 2, 6, 0, 0, 0}},
    {"write to one view, read another",
     [](const Tensor& x, const Tensor& w) {
       Tensor y = x * 1, v = part(y, 1, 4), u = part(y, 2, 6);
       v.mul_(part(w, 1, 4));
       return u;
     },
     {15, 28, 5, 6},
     {0, 0, 5, 14, 3, 4},
     {0, 0, 3, 8, 0, 0}},
    {"write to a view of a view, read all",
     [](const Tensor& x, const Tensor& w) {
       Tensor y = x * 1, v = part(y, 1, 5), u = part(v, 1, 3);
       u.mul_(part(w, 0, 2));
       return cat({y, v, u}, 0);
     },
     {1, 2, 6, 12, 5, 6, 2, 6, 12, 5, 6, 12},
     {1, 9, 44, 75, 15, 6},
     {66, 100, 0, 0, 0, 0}},
    {"copy_ a leaf, then write again",
     [](const Tensor& x, const Tensor& w) {
       Tensor y = zeros({6}, float64);
       y.copy_(w);
       y.mul_(x);
       return y;
     },
     {2, 6, 15, 28, 55, 78},
     {2, 6, 15, 28, 55, 78},
     {1, 4, 9, 16, 25, 36}},
    {"a view from before its base had a history (PyTorch refuses)",
     [](const Tensor& x, const Tensor& w) {
       Tensor y = zeros({6}, float64), v = part(y, 2, 5);
       y.copy_(w * w);
       v.mul_(part(x, 2, 5));
       return y;
     },
     {4, 9, 75, 196, 605, 169},
     {0, 0, 75, 196, 605, 0},
     {4, 12, 90, 224, 550, 156}},
    {"copy_ into slices of zeros",
     [](const Tensor& x, const Tensor& w) {
       Tensor y = zeros({6}, float64);
       part(y, 1, 4).copy_(part(w, 1, 4) * part(w, 1, 4));
       y[0] = x[0] * w[5];
       return y;
     },
     {13, 9, 25, 49, 0, 0},
     {13, 0, 0, 0, 0, 0},
     {0, 12, 30, 56, 0, 1}},
    {"x[1:] += x[:-1] (PyTorch refuses)",
     [](const Tensor& x, const Tensor&) {
       Tensor y = x * 1;
       part(y, 1, 6) += part(y, 0, 5);
       return y;
     },
     {1, 3, 5, 7, 9, 11},
     {3, 5, 7, 9, 11, 6},
     {}},
    {"x[:-1] += x[1:] (PyTorch refuses)",
     [](const Tensor& x, const Tensor&) {
       Tensor y = x * 1;
       part(y, 0, 5) += part(y, 1, 6);
       return y;
     },
     {3, 5, 7, 9, 11, 6},
     {1, 3, 5, 7, 9, 11},
     {}},
    {"x[1:] *= x[:-1] (PyTorch refuses)",
     [](const Tensor& x, const Tensor&) {
       Tensor y = x * 1;
       part(y, 1, 6) *= part(y, 0, 5);
       return y;
     },
     {1, 2, 6, 12, 20, 30},
     {1 + 4, 2 + 9, 6 + 16, 12 + 25, 20 + 36, 30},
     {}},
    {"a transposed view",
     [](const Tensor& x, const Tensor& w) {
       Tensor y = (x * 1).reshape({2, 3});
       y.t().mul_(w.reshape({3, 2}));
       return y;
     },
     {2, 10, 33, 12, 35, 78},
     {2, 10, 33, 12, 35, 78},
     {1, 16, 4, 25, 9, 36}},
    {"a row of a permuted view",
     [](const Tensor& x, const Tensor& w) {
       Tensor y = (x * 1).reshape({2, 3}), z = y.permute({1, 0});
       z[1] = part(w, 0, 2);
       return y * y;
     },
     {1, 4, 9, 16, 9, 36},
     {2, 0, 18, 32, 0, 72},
     {8, 30, 0, 0, 0, 0}},
    {"a write that the saved tensors don't mind",
     [](const Tensor& x, const Tensor& w) {
       Tensor y = x * 1, z = y * 2;
       y.add_(w);
       return z + y;
     },
     {5, 9, 14, 19, 26, 31},
     {3, 6, 9, 12, 15, 18},
     {1, 2, 3, 4, 5, 6}},
    {"fill_",
     [](const Tensor& x, const Tensor& w) {
       Tensor y = x * 1;
       y.fill_(3);
       return y * w;
     },
     {6, 9, 15, 21, 33, 39},
     {0, 0, 0, 0, 0, 0},
     {3, 6, 9, 12, 15, 18}},
    {"zero_ of a slice",
     [](const Tensor& x, const Tensor& w) {
       Tensor y = x * 1;
       part(y, 2, 4).zero_();
       return y * w;
     },
     {2, 6, 0, 0, 55, 78},
     {2, 6, 0, 0, 55, 78},
     {1, 4, 0, 0, 25, 36}},
    {"copy_ over a base, read its view",
     [](const Tensor& x, const Tensor& w) {
       Tensor y = x * 1, v = y.view({2, 3});
       y.copy_(w);
       return v * v;
     },
     {4, 9, 25, 49, 121, 169},
     {0, 0, 0, 0, 0, 0},
     {4, 12, 30, 56, 110, 156}},
    {"copy_ a constant into a view",
     [](const Tensor& x, const Tensor&) {
       Tensor y = x * 1, v = part(y, 1, 3);
       v.copy_(tensor({5., 6.}, float64));
       return y * y;
     },
     {1, 25, 36, 16, 25, 36},
     {2, 0, 0, 32, 50, 72},
     {}},
    {"copy_ one view to another, then write the other",
     [](const Tensor& x, const Tensor& w) {
       Tensor y = x * 1, u = part(y, 0, 3), v = part(y, 3, 6);
       u.copy_(v);
       v.copy_(part(w, 0, 3));
       return y;
     },
     {4, 5, 6, 2, 3, 5},
     {0, 0, 0, 1, 2, 3},
     {4, 5, 6, 0, 0, 0}},
    {"a chain of writes",
     [](const Tensor& x, const Tensor& w) {
       Tensor y = x * 1;
       y.sub_(w);
       y.div_(w);
       y.add_(w, 3);
       return y;
     },
     {5.5, 26 / 3., 14.6, 144 / 7., 357 / 11., 500 / 13.},
     {0.5, 2 / 3., 0.6, 4 / 7., 5 / 11., 6 / 13.},
     {2.75, 5 + 5 / 9., 8.64, 12 - 16 / 49., 15 - 25 / 121., 18 - 36 / 169.}},
    {"a recurrence, element by element",
     [](const Tensor& x, const Tensor& w) {
       Tensor y = zeros({6}, float64);
       for (int64_t i = 0; i < 6; ++i) y[i] = i ? x[i] * w[i] + y[i - 1] : x[i] * w[i];
       return y;
     },
     {2, 8, 23, 51, 106, 184},
     {42, 60, 90, 105, 121, 78},
     {21, 40, 54, 60, 55, 36}},
    {"scalars",
     [](const Tensor& x, const Tensor&) {
       Tensor y = x * 1;
       y.add_(1);
       y *= 4;
       y -= 2;
       part(y, 0, 3) /= 2;
       return y;
     },
     {3, 5, 7, 18, 22, 26},
     {2, 4, 6, 16, 20, 24},
     {}},
    {"a view taken under NoGrad is written (PyTorch refuses)",
     [](const Tensor& x, const Tensor&) {
       Tensor y = x * 1, v;
       {
         NoGrad guard;
         v = part(y, 1, 3);
       }
       v.mul_(2);
       return y;
     },
     {1, 4, 6, 4, 5, 6},
     {1, 4, 6, 4, 5, 6},
     {}},
    {"a write with a broadcast operand",
     [](const Tensor& x, const Tensor& w) {
       Tensor y = (x * 1).reshape({2, 3});
       y.mul_(w[1]);
       y.add_(part(w, 0, 3));
       return y;
     },
     {5, 9, 14, 14, 18, 23},
     {3, 6, 9, 12, 15, 18},
     {5, 91 + 7, 9, 0, 0, 0}},
    {"a base that lies channels-last",
     [](const Tensor& x, const Tensor& w) {
       Tensor y = (x * 1).reshape({1, 3, 1, 2}).contiguous(MemoryFormat::channels_last);
       Tensor v = y.select(1, 1);
       v.mul_(reshape(part(w, 0, 2), {1, 1, 2}));
       return y * 1;
     },
     {1, 2, 6, 12, 5, 6},
     {1, 2, 6, 12, 5, 6},
     {9, 16, 0, 0, 0, 0}},
};

Tensor counted(const Shape& shape) { return reshape(to(arange(1, shape.product() + 1), float64), shape); }

Values zeros_if_none(const Tensor& g, const Tensor& like) {
  return g.defined() ? g.to_vector<double>() : Values(static_cast<size_t>(like.numel()), 0.0);
}

}  // namespace

TEST_CASE("in-place writes give the values and gradients of the same ops out of place") {
  for (const Case& c : cases) {
    INFO(c.name);
    const auto bytes = memory_stats().current_bytes;
    try {
      Tensor x = make_x(), w = make_w();
      x.requires_grad_(), w.requires_grad_();
      const Tensor y = c.f(x, w);
      const Tensors g = grad({y}, {x, w}, {.gradients = {counted(y.shape())}, .allow_unused = true});
      CHECK_THAT(y.to_vector<double>(), Catch::Approx(c.y));
      CHECK_THAT(zeros_if_none(g[0], x), Catch::Approx(c.dx));
      CHECK_THAT(zeros_if_none(g[1], w), Catch::Approx(c.dw.empty() ? Values(6, 0.0) : c.dw));
    } catch (const std::exception& error) {
      FAIL_CHECK(c.name << " throws: " << error.what());
    }
    CHECK(memory_stats().current_bytes == bytes);
    try {
      Tensor x = make_x(), w = make_w();
      x.requires_grad_(), w.requires_grad_();
      c.f(x, w);  // a graph that is never differentiated leaves nothing behind either
    } catch (const std::exception& error) {
      FAIL_CHECK(c.name << " throws: " << error.what());
    }
    CHECK(memory_stats().current_bytes == bytes);
    try {
      check_gradients([&](const Tensors& v) { return c.f(v[0], v[1]); }, {make_x(), make_w()}, {.allow_zero = true});
    } catch (const std::exception& error) {
      FAIL_CHECK(c.name << " throws: " << error.what());
    }
  }
}

namespace {

/// A program of views, in-place writes and ops, the same for the same seed.
class RandomProgram {
 public:
  explicit RandomProgram(uint64_t seed) : seed_(seed) {}

  Tensors operator()(const Tensors& inputs) {
    state_ = seed_ * 2654435761u + 12345;
    const Shape shapes[] = {{6}, {2, 3}, {3, 2}, {1, 6}, {2, 3, 1}};
    Tensors live;
    for (const Tensor& x : inputs) {
      Tensor y = reshape(x * 1, shapes[pick(5)]) * 1;
      if (pick(4) == 0) y = transpose(y, 0, -1) * 1;  // dense in another order
      live.push_back(y);
    }
    live.push_back(full(shapes[pick(5)], 0.7, float64));
    log.clear();
    const int steps = 3 + pick(6);
    for (int i = 0; i < steps; ++i) step(live);
    Tensors outputs;
    for (const Tensor& t : live) outputs.push_back(t * 1.5);
    return outputs;
  }
  std::string log;

 private:
  int pick(int n) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<int>((state_ >> 33) % static_cast<uint64_t>(n));
  }
  void note(const std::string& text, size_t a) { log += text + "(" + std::to_string(a) + ") "; }

  Tensor view_of(const Tensor& t) {
    const int d = t.rank() ? pick(t.rank()) : 0;
    switch (t.rank() == 0 ? 4 : pick(6)) {
      case 0: return select(t, d, pick(static_cast<int>(t.shape()[d])));
      case 1: return slice(t, d, pick(static_cast<int>(t.shape()[d])), t.shape()[d], 1 + pick(2));
      case 2: return transpose(t, 0, -1);
      case 3: return t.is_contiguous() ? view(t, {t.numel()}) : unsqueeze(t, 0);
      case 4: return unsqueeze(t, 0);
      default: return t.rank() >= 2 ? diagonal(t) : identity(t);
    }
  }
  // An operand that broadcasts to the shape of t, from the live tensors.
  Tensor operand_for(const Tensor& t, const Tensors& live) {
    for (int attempt = 0; attempt < 8; ++attempt) {
      const size_t k = static_cast<size_t>(pick(static_cast<int>(live.size())));
      const Tensor& other = live[k];
      if (other.numel() == t.numel()) {
        note("of", k);
        return other.shape() == t.shape() ? other : reshape(other, t.shape());
      }
      if (other.numel() > 0 && pick(2)) {
        note("sum of", k);
        return sum(other) * 0.1;
      }
    }
    return full({}, 0.9, float64);
  }
  void step(Tensors& live) {
    const size_t k = static_cast<size_t>(pick(static_cast<int>(live.size())));
    Tensor t = live[k];
    switch (pick(8)) {
      case 0:
      case 1:
      case 2:
        note("view" + std::to_string(live.size()), k);
        live.push_back(view_of(t));
        break;
      case 3:
        note("sin" + std::to_string(live.size()), k);
        live.push_back(sin(t));
        break;
      case 4:
        note("copy_", k);
        t.copy_(pick(3) ? operand_for(t, live) : full({}, 0.4, float64));
        break;
      case 5:
        note("mul_", k);
        t.mul_(operand_for(t, live));
        break;
      case 6:
        note("add_", k);
        t.add_(operand_for(t, live));
        break;
      default:
        if (pick(2)) {
          note("fill_", k);
          t.fill_(0.3);
        } else {
          note("sub_", k);
          t.sub_(operand_for(t, live));
        }
    }
  }
  uint64_t seed_, state_ = 0;
};

}  // namespace

TEST_CASE("random programs of views and in-place writes have the gradients that differences give") {
  int good = 0, refused = 0;
  const char* count = std::getenv("COTANGENT_FUZZ");
  const uint64_t programs = count ? std::strtoull(count, nullptr, 10) : 300;
  for (uint64_t seed = 0; seed < programs; ++seed) {
    const auto bytes = memory_stats().current_bytes;
    {
      RandomProgram program(seed);
      const Tensors inputs = {make_x() * 0.2 - 0.5, 1 / make_w()};
      GradcheckReport report;
      try {
        report = gradcheck(program, inputs, {.order = 2, .allow_zero = true});
      } catch (const std::exception& error) {
        FAIL_CHECK("seed " << seed << ": " << program.log << "\nthrows " << error.what());
        continue;
      }
      const bool saved =
          report.problems.size() == 1 && report.problems[0].find("was written in place after") != std::string::npos;
      if (saved)
        ++refused;
      else if (report.ok())
        ++good;
      else
        FAIL_CHECK("seed " << seed << ": " << program.log << "\n" << report.to_string());
    }
    if (memory_stats().current_bytes != bytes)
      FAIL_CHECK("seed " << seed << " leaks " << memory_stats().current_bytes - bytes);
  }
  CHECK(good > int(programs) / 2);
  std::printf(
      "in-place writes: %d random programs are differentiated rightly, %d refused (a saved tensor was written)\n", good,
      refused);
}
