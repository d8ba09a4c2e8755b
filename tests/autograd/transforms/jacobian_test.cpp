#include <catch2/catch.hpp>

#include <cotangent/cotangent.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;

TEST_CASE("hessian: Rosenbrock's") {
  const auto rosenbrock = [](const Tensor& p) {
    const Tensor x = p[0], y = p[1];
    return 100 * pow(y - x * x, 2) + pow(1 - x, 2);
  };
  for (const auto& [x, y] : {std::pair(-1.2, 1.0), std::pair(1.0, 1.0), std::pair(0.0, 0.0)}) {
    const Tensor p = tensor({x, y}, float64);
    CHECK(close(hessian(rosenbrock, p), tensor({{1200 * x * x - 400 * y + 2, -400 * x}, {-400 * x, 200.}}, float64),
                1e-9));
    const Tensor gradient = value_and_grad(rosenbrock, p).gradient;
    CHECK(close(gradient, tensor({-400 * x * (y - x * x) - 2 * (1 - x), 200 * (y - x * x)}, float64), 1e-9));
    // the third derivatives: 2400 x along x alone, -400 wherever x twice meets y
    const auto H = [&](const Tensor& q) { return hessian(rosenbrock, q, {.create_graph = true}); };
    CHECK(close(jacobian(H, p), tensor({{{2400 * x, -400.}, {-400., 0.}}, {{-400., 0.}, {0., 0.}}}, float64), 1e-9));
  }
}

TEST_CASE("jacobian: softmax's is diag(p) - p p^T") {
  const Tensor x = tensor({0.3, -1., 2., 0.}, float64), p = softmax(x, 0);
  const auto f = [](const Tensor& t) { return softmax(t, 0); };
  CHECK(close(jacobian(f, x), eye(4, 4, float64) * p - p.unsqueeze(1) * p));
  const auto log_loss = [](const Tensor& t) { return logsumexp(t, 0); };
  CHECK(close(hessian(log_loss, x), eye(4, 4, float64) * p - p.unsqueeze(1) * p));
}

TEST_CASE("jacobian: shapes are those of the result and of the input, by rows and by columns") {
  manual_seed(2);
  const Tensor a = randn({2, 3}, float64), b = randn({3, 4}, float64), s = randn({}, float64);
  const auto product = [](const Tensor& x, const Tensor& y) { return matmul(x, y); };
  const Tensors J = jacobian(product, {a, b});
  REQUIRE(J[0].shape() == Shape{2, 4, 2, 3});
  REQUIRE(J[1].shape() == Shape{2, 4, 3, 4});
  for (int64_t i = 0; i < 2; ++i)
    for (int64_t j = 0; j < 4; ++j)
      for (int64_t k = 0; k < 3; ++k) {
        CHECK(J[0][i][j][i][k].item() == b[k][j].item());
        CHECK(J[0][i][j][1 - i][k].item() == 0);
        CHECK(J[1][i][j][k][j].item() == a[i][k].item());
      }
  // five columns against 12 rows, and the other way round
  const auto wide = [](const Tensor& t, const Tensor& u) -> Tensors { return {t * u.unsqueeze(1), sin(u) * t}; };
  const Tensor u = randn({4}, float64);
  const std::vector<Tensors> W = jacobian(wide, {s, u});
  REQUIRE(W.size() == 2);
  CHECK(W[0][0].shape() == Shape{4, 1});
  CHECK(W[0][1].shape() == Shape{4, 1, 4});
  const auto curve = [](const Tensor& t) -> Tensors { return {t * arange(9).to(float64), sin(t)}; };
  const Tensors columns = jacobian(curve, s);
  CHECK(close(columns[0], arange(9).to(float64)));
  CHECK(close(columns[1], cos(s)));
  const auto grid = [](const Tensor& t) { return t.unsqueeze(1).expand({2, 7}) * t.unsqueeze(0).sum(); };
  const Tensor two = tensor({1., 2.}, float64), G = jacobian(grid, two);
  REQUIRE(G.shape() == Shape{2, 7, 2});
  for (int64_t i = 0; i < 2; ++i)
    for (int64_t k = 0; k < 2; ++k) CHECK(G[i][3][k].item() == two[i].item() + (i == k ? 3 : 0));
}

TEST_CASE("jacobian: rows and columns agree, and both are differentiable") {
  manual_seed(4);
  const Tensor x = randn({2}, float64), w = randn({9, 2}, float64);
  const auto tall = [&](const Tensor& t) { return tanh(matmul(w, t)); };                      // by columns
  const auto squeezed = [&](const Tensor& t) { return tanh(matmul(w, t)).narrow(0, 0, 4); };  // by rows
  CHECK(close(jacobian(tall, x).narrow(0, 0, 4), jacobian(squeezed, x)));
  const auto energy = [&](auto f) {
    return [f](const Tensor& t) { return pow(jacobian(f, t, {.create_graph = true}).narrow(0, 0, 4), 2).sum(); };
  };
  CHECK(close(hessian(energy(tall), x), hessian(energy(squeezed), x), 1e-11));
  CHECK(gradcheck(energy(tall), {x.clone()}).ok());
  CHECK(gradcheck(energy(squeezed), {x.clone()}).ok());
}

TEST_CASE("jacobian and hessian: empty tensors, one element, float32") {
  const auto square = [](const Tensor& x) { return x * x; };
  CHECK(jacobian(square, zeros({0}, float64)).shape() == Shape{0, 0});
  CHECK(jacobian(square, zeros({2, 0})).shape() == Shape{2, 0, 2, 0});
  CHECK(jacobian([](const Tensor& x) { return x.sum(); }, zeros({0})).shape() == Shape{0});
  CHECK(jacobian([](const Tensor& x) { return x.sum() + ones({3}); }, zeros({0})).shape() == Shape{3, 0});
  CHECK(hessian([](const Tensor& x) { return x.sum(); }, zeros({0})).shape() == Shape{0, 0});
  CHECK(jacobian(square, full({}, 3)).item() == 6);
  CHECK(jacobian(square, full({1}, 3)).shape() == Shape{1, 1});
  CHECK(hessian([](const Tensor& x) { return x * x * x; }, full({}, 2)).item() == 12);
  for (const Dtype dtype : {float32, bfloat16, float16})
    CHECK(jacobian(square, full({2}, 1.5, dtype)).dtype() == dtype);
  CHECK(std::isnan(jacobian(square, full({}, std::nan(""))).item()));
}
