// What in-place writes refuse, and where the written tensor then stands in the graph.
#include <catch2/catch.hpp>

#include <cotangent/cotangent.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;

namespace {
Tensor make(std::initializer_list<double> v, bool wanted = true) {
  Tensor x = from_vector(Values(v), {static_cast<int64_t>(v.size())});
  return x.requires_grad_(wanted);
}
}  // namespace

TEST_CASE("a leaf that requires a gradient is not written while ops are recorded") {
  Tensor x = make({1, 2, 3});
  CHECK_THROWS_WITH(x.add_(1), Catch::Contains("[add_] a leaf that requires a gradient") && Catch::Contains("NoGrad"));
  CHECK_THROWS_WITH(x[0] = 5, Catch::Contains("[fill_] a view of a leaf"));
  CHECK_THROWS_AS(x.copy_(x * 2), GradError);
  CHECK(to_values(x) == Values{1, 2, 3});
  {
    NoGrad guard;
    x[0] = 5;
    x.mul_(2);
  }
  CHECK(to_values(x) == Values{10, 4, 6});
  CHECK(x.is_leaf());
  x.detach().add_(1);
  CHECK(to_values(x) == Values{11, 5, 7});
}

TEST_CASE("what an op saved must not be written before its backward pass") {
  Tensor x = make({1, 2, 3});
  Tensor a = x * 1, y = exp(a), z = a * a;
  y.mul_(2);
  CHECK_THROWS_WITH(sum(y).backward(), Catch::Contains("[exp] output 0 of shape (3,) was written in place after it was "
                                                       "saved for the backward pass (version 1, saved at 0)"));
  a.add_(1);
  CHECK_THROWS_WITH(sum(z).backward(), Catch::Contains("[mul] input"));
  Tensor b = x * 1;
  const Tensor part = slice(b, 0, 0, 2), w = part * part;
  b[2] = 7;  // another element, but the same memory: as PyTorch does, the whole is taken as changed
  CHECK_THROWS_AS(sum(w).backward(), GradError);
  CHECK_FALSE(x.grad().defined());
}

TEST_CASE("memory whose elements are shared is not written") {
  Tensor x = make({1}, false).expand({3});
  CHECK_THROWS_WITH(x.add_(1), Catch::Contains("several elements") && Catch::Contains("clone()"));
  CHECK_THROWS_AS(x.fill_(1), ValueError);
  Tensor windows = unfold(make({1, 2, 3}, false), 0, 2, 1);
  CHECK_THROWS_AS(windows.copy_(ones({2, 2}, float64)), ValueError);
  Tensor apart = unfold(make({1, 2, 3, 4}, false), 0, 2, 2);
  CHECK_NOTHROW(apart.fill_(1));
}

TEST_CASE("an in-place op keeps shape and dtype") {
  Tensor x = make({1, 2, 3}, false), n = tensor({1, 2, 3});
  CHECK_THROWS_WITH(x.add_(ones({2, 3}, float64)), Catch::Contains("(2, 3)") && Catch::Contains("(3,)"));
  CHECK_THROWS_AS(x.copy_(ones({2}, float64)), ShapeError);
  CHECK_THROWS_AS(Tensor(x[0]).copy_(ones({2}, float64)), ShapeError);
  CHECK_THROWS_WITH(n.div_(2), Catch::Contains("int64"));
  CHECK_THROWS_AS(n.div_(n), DTypeError);
  CHECK_THROWS_AS(n.add_(0.5), DTypeError);
  n.add_(2).mul_(3).sub_(1);
  CHECK(n.to_vector<int64_t>() == std::vector<int64_t>{8, 11, 14});
  CHECK(n.dtype() == int64);
  x.add_(tensor({1, 2, 3}));
  CHECK(to_values(x) == Values{2, 4, 6});
  Tensor f = ones({2}, float32);
  f.copy_(tensor({1.5, 2.5}, float64));
  CHECK(f.dtype() == float32);
  CHECK(f.to_vector<double>() == Values{1.5, 2.5});
  Tensor leaf = make({3, 4});
  CHECK_THROWS_WITH(tensor({1, 2}).copy_(leaf), Catch::Contains("int64 tensor can't take on a history"));
  CHECK_THROWS_AS(Tensor().add_(1), Error);
  CHECK_THROWS_AS(x.add_(Tensor()), Error);
}

TEST_CASE("gradients go through a write in another dtype") {
  Tensor leaf = make({3, 4});
  Tensor f = ones({2}, float32);
  f.copy_(leaf * 2);
  f.mul_(leaf);
  CHECK(f.dtype() == float32);
  sum(f).backward();
  CHECK(to_values(leaf.grad()) == Values{12, 16});
}

TEST_CASE("a written tensor has a place of its own in the graph") {
  Tensor x = make({1, 2});
  const Tensor source = x * 3;
  Tensor y = zeros({2}, float64);
  y.copy_(source);
  const Tensor loss = sum(y * 5) + sum(source * 7);
  const Tensors g = grad({loss}, {y, source, x});
  CHECK(to_values(g[0]) == Values{5, 5});
  CHECK(to_values(g[1]) == Values{12, 12});
  CHECK(to_values(g[2]) == Values{36, 36});

  Tensor copy = zeros({2}, float64);
  copy.copy_(x);  // of a leaf
  CHECK_FALSE(copy.is_leaf());
  copy.register_hook([](const Tensor& d) { return d * 10; });
  sum(copy).backward();
  CHECK(to_values(x.grad()) == Values{10, 10});
  CHECK_FALSE(copy.grad().defined());
}

TEST_CASE("gradients are those of the tensor as it is now") {
  Tensor x = make({1, 2});
  Tensor y = x * 3;
  const Tensor old = y * 1;
  y.mul_(4);
  const Tensors g = grad({sum(y * 5)}, {y, x});
  CHECK(to_values(g[0]) == Values{5, 5});
  CHECK(to_values(g[1]) == Values{60, 60});
  CHECK_THROWS_AS(grad({sum(old)}, {y}), GradError);  // y is no longer what `old` was made from
}

TEST_CASE("a view knows at once that its base has a history now") {
  Tensor x = make({1, 2, 3});
  Tensor base = zeros({3}, float64);
  const Tensor part = slice(base, 0, 1, 3);
  CHECK_FALSE(part.requires_grad());
  base.copy_(x);
  CHECK(part.requires_grad());
  CHECK_FALSE(part.is_leaf());
  part.retain_grad();
  Values seen;
  part.register_hook([&](const Tensor& g) { seen = to_values(g); });
  sum(part * part).backward();
  CHECK(to_values(x.grad()) == Values{0, 4, 6});
  CHECK(to_values(part.grad()) == Values{4, 6});
  CHECK(seen == Values{4, 6});
  CHECK(to_values(grad({part[0]}, {part})[0]) == Values{1, 0});
}

TEST_CASE("versions count the writes to the memory") {
  Tensor x = make({1, 2, 3}, false);
  const Tensor part = x[0], d = x.detach();
  CHECK(x.version() == 0);
  x.add_(1);
  Tensor(x[1]).fill_(3);
  x[2] = 4;
  CHECK(x.version() == 3);
  CHECK(part.version() == 3);
  CHECK(d.version() == 3);
  CHECK((x + 1).version() == 0);
}

TEST_CASE("empty tensors can be written, with a history too") {
  Tensor x = ones({0, 3}, float64);
  x.requires_grad_();
  Tensor y = x * 2;
  y.mul_(x);
  slice(y, 1, 0, 2).add_(1);
  y.fill_(3);
  sum(y).backward();
  CHECK(x.grad().shape() == Shape{0, 3});
}

TEST_CASE("assignment through a temporary writes, to a variable it rebinds") {
  Tensor x = make({1, 2, 3}, false), y = x;
  x[1] = 9;
  x.slice(0, 0, 1) = full({1}, 8, float64);
  CHECK(to_values(y) == Values{8, 9, 3});
  Tensor z = x[0];
  z = full({}, 7, float64);  // the variable
  CHECK(to_values(x) == Values{8, 9, 3});
  CHECK(z.item() == 7);
}

TEST_CASE("a write in place never makes integers of floats, or bools of numbers") {
  const auto refuses = [](const char* op, auto f) {
    const std::string text = error_of(f);
    CHECK_THAT(text, Catch::StartsWith("[" + std::string(op) + "] the result is ") && Catch::Contains("does not fit"));
  };
  const Tensor floats = tensor({.9, 2.}), wholes = tensor({1, 2}), mask = tensor({true, false});
  for (const Dtype dtype : {int64, int32, uint8, boolean}) {
    INFO(name(dtype));
    Tensor x = ones({2}, dtype);
    for (const Dtype from : {float32, float64, float16, bfloat16}) {
      const Tensor y = floats.to(from);
      refuses("add_", [&] { x += y; });
      refuses("sub_", [&] { x -= y; });
      refuses("mul_", [&] { x *= y; });
      refuses("div_", [&] { x /= y; });
      refuses("add_", [&] { x.add_(y, 2); });
      refuses("copy_", [&] { x.copy_(y); });
      refuses("copy_", [&] { x[0] = y[0]; });
      refuses("copy_", [&] { x.index_put_({0}, y[0]); });
      refuses("index_put_", [&] { x.index_put_({mask}, y[0]); });
    }
    refuses("add_", [&] { x += .9; });
    refuses("add_", [&] { x += 1.; });
    refuses("div_", [&] { x /= wholes.to(dtype); });
    refuses("div_", [&] { x /= 2; });
    refuses("add_", [&] { x.add_(wholes, .5); });
    CHECK(x.to_vector<int>() == std::vector<int>{1, 1});
  }
  Tensor truths = ones({2}, boolean);
  refuses("add_", [&] { truths += wholes; });
  refuses("mul_", [&] { truths *= 2; });
  refuses("copy_", [&] { truths.copy_(wholes); });
  refuses("index_put_", [&] { truths.index_put_({mask}, wholes[0]); });
  CHECK(truths.to_vector<int>() == std::vector<int>{1, 1});
  CHECK_THROWS_AS(index_add(wholes, 0, tensor({0}), tensor({.5})), DTypeError);
  CHECK_THROWS_AS(scatter_add(wholes, 0, tensor({0}), tensor({.5})), DTypeError);

  // what stays in its category, or rises, is written: integers of another size wrap
  Tensor bytes = tensor({250, 3}, uint8);
  bytes += tensor({10, int64_t{1} << 40});
  CHECK(bytes.to_vector<int>() == std::vector<int>{4, 3});
  bytes.copy_(tensor({300, -1}));
  CHECK(bytes.to_vector<int>() == std::vector<int>{44, 255});
  Tensor y = zeros({2});
  y += tensor({1, 2});
  y.copy_(mask);
  CHECK(to_values(y) == Values{1, 0});
}

TEST_CASE("operands of a write in place are computed with as they are, and the result is rounded once") {
  for (const bool recorded : {false, true}) {
    const auto written = [&](const Values& values, Dtype dtype, auto write) {
      Tensor x = from_vector(values, {std::ssize(values)}).to(dtype);
      if (recorded) x = x.requires_grad_() * 1;
      write(x);
      CHECK(x.dtype() == dtype);
      return to_values(x);
    };
    CHECK(written({49152, -49152}, float16, [](Tensor& x) { x.add_(full({2}, 98304), -1); }) ==
          Values{-49152, -INFINITY});
    CHECK(written({32768, 4}, float16, [](Tensor& x) { x *= tensor({0x1p-30, 1e5}); }) == Values{0x1p-15, INFINITY});
    CHECK(written({1}, float16, [](Tensor& x) { x.add_(full({1}, 6e4, float16), 1e-5); }) ==
          Values{full({}, 1.6, float16).item()});
    CHECK(written({1}, bfloat16, [](Tensor& x) { x += full({1}, 0x1.fep-9, float16); }) == Values{1});
    CHECK(written({0x1p100}, float32, [](Tensor& x) { x *= full({1}, 0x1p-200, float64); }) == Values{0x1p-100});
    CHECK(written({16777216}, float32, [](Tensor& x) { x -= full({1}, 16777217, float64); }) == Values{-1});
  }
  Tensor i = tensor({INT32_MAX}, int32);
  i -= full({1}, int64_t{1} << 32, int64);
  CHECK(i.item<int>() == INT32_MAX);
}
