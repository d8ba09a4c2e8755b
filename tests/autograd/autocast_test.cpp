// Autocast: which op computes in what, and that gradients, casts of parameters and functions that run again agree.
#include <catch2/catch.hpp>

#include <algorithm>
#include <iterator>
#include <set>
#include <sstream>
#include <thread>

#include <cotangent/autograd/autocast_internal.hpp>
#include <cotangent/autograd/node.hpp>
#include <cotangent/autograd/observer_internal.hpp>
#include <cotangent/autograd/ops/heads_internal.hpp>
#include <cotangent/tests/autograd/op_samples.hpp>
#include <cotangent/tests/check_gradients.hpp>
#include <cotangent/tests/json.hpp>

using namespace cotangent;

namespace {

Tensor random(const Shape& shape, uint64_t seed) {
  Generator generator(seed);
  return randn(shape, float32, generator);
}

Tensors converted(Tensors inputs, Dtype dtype) {
  for (Tensor& x : inputs)
    if (x.is_floating()) x = to(x, dtype);
  return inputs;
}

/// f(op, sample) for each sample of an op whose name is in the list.
template <class F>
void for_each_listed(std::string_view list, F f) {
  std::istringstream words{std::string(list)};
  std::set<std::string> missing{std::istream_iterator<std::string>(words), {}};
  for (const OpInfo& op : op_table())
    if (detail::is_listed(list, op.name))
      for (const Sample& sample : op.samples) {
        missing.erase(op.name);
        INFO(op.name << ", sample " << &sample - op.samples.data());
        f(op, sample);
      }
  missing.erase("seen_scores"), missing.erase("seen_product");  // which the library keeps for itself
  for (const std::string& op : missing) FAIL_CHECK("in a list of autocast, but not in the op table: " << op);
}

struct CastCount : detail::Observer {
  int casts = 0;
  void recorded(Node& node, std::span<const TensorRef>, std::span<const Tensor>) override {
    casts += std::string_view(node.op) == "to";
  }
};

}  // namespace

TEST_CASE("autocast: guards nest, are of one thread, and take low-precision dtypes alone") {
  const Tensor a = random({2, 3}, 1), b = random({3, 2}, 2);
  CHECK(!autocast_enabled());
  CHECK(matmul(a, b).dtype() == float32);
  {
    const Autocast outer;
    CHECK(autocast_enabled());
    CHECK(autocast_dtype() == bfloat16);
    CHECK(matmul(a, b).dtype() == bfloat16);
    {
      const Autocast inner(float16);
      CHECK(matmul(a, b).dtype() == float16);
      const Autocast off(float16, false);
      CHECK(!autocast_enabled());
      CHECK(matmul(a, b).dtype() == float32);
      CHECK(softmax(to(a, float16), 1).dtype() == float16);
    }
    CHECK(matmul(a, b).dtype() == bfloat16);
    bool elsewhere = true;
    std::thread([&] { elsewhere = autocast_enabled(); }).join();
    CHECK(!elsewhere);
    CHECK_THROWS_AS(matmul(a, a), ShapeError);
    CHECK(autocast_enabled());  // and not off, as within the op that has failed
  }
  CHECK(!autocast_enabled());
  CHECK(matmul(a, b).dtype() == float32);
  for (const Dtype dtype : {float32, float64, int64, boolean}) {
    CHECK_THROWS_AS(Autocast(dtype), DTypeError);
    CHECK_THROWS_WITH(Autocast(dtype),
                      std::string("[Autocast] the dtype is ") + name(dtype) + "; it must be bfloat16 or float16");
  }
}

TEST_CASE("autocast: ops of the low-precision list are what they are of operands in low precision") {
  for (const Dtype dtype : {bfloat16, float16})
    for_each_listed(detail::kLowPrecisionOps, [&](const OpInfo&, const Sample& sample) {
      const Tensors inputs = converted(make_inputs(sample.inputs), float32);
      const Evaluation expected = evaluate(sample, converted(inputs, dtype));
      if (!expected.outputs[0].is_floating()) return;  // the sample is of integers
      const Evaluation got = [&] {
        const Autocast guard(dtype);
        return evaluate(sample, inputs);
      }();
      CHECK(got.outputs[0].dtype() == dtype);
      CHECK(difference(got.outputs, expected.outputs, 0) == "");
      for (size_t i = 0; i < inputs.size(); ++i)
        if (got.gradients[i].defined()) CHECK(got.gradients[i].dtype() == float32);
      CHECK(difference(got.gradients, expected.gradients, 0, 1e-300, false) == "");
    });
}

TEST_CASE("autocast: ops of the float32 list give float32 of operands in low precision") {
  for (const Dtype dtype : {bfloat16, float16})
    for_each_listed(detail::kFloat32Ops, [&](const OpInfo&, const Sample& sample) {
      const Tensors inputs = converted(make_inputs(sample.inputs), dtype);
      if (std::ranges::none_of(inputs, [](const Tensor& x) { return x.is_floating(); })) return;
      const Evaluation expected = evaluate(sample, converted(inputs, float32));
      const Evaluation got = [&] {
        const Autocast guard(dtype);
        return evaluate(sample, inputs);
      }();
      CHECK(got.outputs[0].dtype() == float32);
      CHECK(difference(got.outputs, expected.outputs, 0) == "");
      for (size_t i = 0; i < inputs.size(); ++i)
        if (got.gradients[i].defined()) {
          CHECK(got.gradients[i].dtype() == dtype);
          CHECK(difference(got.gradients[i], to(expected.gradients[i], dtype), 0) == "");
        }
    });
}

TEST_CASE(
    "autocast: the lists are those of PyTorch on CUDA, but for means, variances and norms, which sum in float32 too") {
  const std::set<std::string> more = {"mean", "var", "std", "logcumsumexp", "instance_norm", "batch_norm"};
  const Json dtypes = Json("amp.json")["dtypes"];
  int compared = 0;
  for (const auto& [op, theirs] : dtypes.items()) {
    INFO(op);
    const bool low = detail::is_listed(detail::kLowPrecisionOps, op);
    const bool full = detail::is_listed(detail::kFloat32Ops, op);
    const std::string of_single = low ? "float16" : "float32", of_half = full ? "float32" : "float16";
    CHECK(theirs[0].get<std::string>() == of_single);
    CHECK((theirs[1].get<std::string>() == of_half) == !more.count(op));
    ++compared;
  }
  CHECK(compared == 52);
}

TEST_CASE("autocast: every op takes float32 operands, and gives gradients of their dtypes") {
  int samples = 0;
  for (const OpInfo& op : op_table())
    for (const Sample& sample : op.samples) {
      INFO(op.name << ", sample " << &sample - op.samples.data());
      const Tensors inputs = converted(make_inputs(sample.inputs), float32);
      const Evaluation expected = evaluate(sample, inputs);
      try {
        const Autocast guard(bfloat16);
        const Evaluation got = evaluate(sample, inputs);
        ++samples;
        const double tolerance = op.low_precision ? 0.06 : 1;
        CHECK(difference(got.outputs, expected.outputs, tolerance, 0.03, false) == "");
        CHECK(difference(got.gradients, expected.gradients, 2 * tolerance, 0.06) == "");
      } catch (const std::exception& error) {
        FAIL_CHECK(op.name << " throws: " << error.what());
      }
    }
  CHECK(samples > 300);
}

TEST_CASE("autocast: products that layers of attention share compute in low precision") {
  const Tensor q = random({1, 1, 2, 3}, 1), k = random({1, 1, 2, 3}, 2), seen = tensor({{true, false}, {true, true}});
  const Tensor w = seen_scores(q, k, seen, 0), y = seen_product(w, k, seen);
  const Autocast guard(bfloat16);
  CHECK(seen_scores(q, k, seen, 0).dtype() == bfloat16);
  CHECK(difference(seen_scores(q, k, seen, 0), w, 0.02, 0.02, false) == "");
  CHECK(seen_product(w, k, seen).dtype() == bfloat16);
  CHECK(difference(seen_product(w, k, seen), y, 0.02, 0.02, false) == "");
}

TEST_CASE("autocast: operands of others meet in the widest") {
  const Autocast guard(float16);
  const Tensor half = to(random({3}, 1), float16), single = random({3}, 2), brain = to(single, bfloat16);
  for (const Tensor& y : {half + single, half * single, cat({half, single}), stack({single, half}),
                          where(single > 0, half, single), maximum(half, brain), half - brain})
    CHECK(y.dtype() == float32);
  for (const Tensor& y : {half + half, cat({half, half}), relu(half), half * 2.0, where(single > 0, half, 0.0)})
    CHECK(y.dtype() == float16);
}

TEST_CASE("autocast: float64 and integers are left alone, so that gradients can be checked") {
  const Autocast guard(bfloat16);
  const Tensor w = to(random({3, 2}, 1), float64).requires_grad_(), x = to(random({4, 3}, 2), float64);
  CHECK(matmul(x, w).dtype() == float64);
  CHECK(sum(tensor({1, 2}, int64)).dtype() == int64);
  CHECK(matmul(ones({2, 2}, int64), ones({2, 2}, int64)).dtype() == int64);
  const auto f = [](const Tensor& a, const Tensor& b) { return sum(softmax(tanh(matmul(a, b)), 1) * matmul(a, b)); };
  CHECK_THAT(gradcheck(f, {x, w}), GradientsAreRight());
}

TEST_CASE("autocast: derivatives of both orders are those of the casts written out, in and out of the guard") {
  for (const Dtype dtype : {bfloat16, float16}) {
    const auto derivatives = [&](auto loss_of, bool inside) {
      const Tensor x = random({5, 4}, 1).requires_grad_(), w = random({4, 3}, 2).requires_grad_();
      std::optional<Autocast> guard;
      const Tensor loss = [&] {
        if (inside) guard.emplace(dtype);
        return loss_of(x, w);
      }();
      const Tensors first = grad({loss}, {x, w}, {.create_graph = true});
      const Tensor norm = sum(square(first[0])) + sum(square(first[1]));
      Tensors all = grad({norm}, {x, w});
      all.insert(all.end(), first.begin(), first.end());
      return all;
    };
    const auto by_ops = [](const Tensor& x, const Tensor& w) { return sum(softmax(tanh(matmul(x, w)), 1) * x[0][0]); };
    const auto under_guard = [&](const Tensor& x, const Tensor& w) {
      const Autocast guard(dtype);
      return by_ops(x, w);
    };
    const auto by_hand = [&](const Tensor& x, const Tensor& w) {
      return sum(softmax(to(tanh(matmul(to(x, dtype), to(w, dtype))), float32), 1) * x[0][0]);
    };
    const Tensors expected = derivatives(by_hand, false);
    for (const Tensor& g : expected) CHECK(g.dtype() == float32);
    CHECK(difference(derivatives(under_guard, false), expected, 0) == "");
    // sum(square(.)) is of float32 then, too: nothing differs where the second pass begins within the guard
    CHECK(difference(derivatives(by_ops, true), expected, 0) == "");
  }
}

TEST_CASE("autocast: a parameter is cast once, until it is written or the outermost guard ends") {
  CastCount count;
  Tensor w = random({3, 3}, 1).requires_grad_();
  const Tensor x = random({2, 3}, 2);
  const auto twice = [&] { return linear(linear(x, w), w); };
  {
    const Autocast guard(bfloat16);
    {
      const NoGrad plain;  // a cast that is made here has a history all the same
      twice();
    }
    twice();
    {
      const Autocast inner(bfloat16);
      twice();
    }
    CHECK(count.casts == 1);
    {
      NoGrad plain;
      w.mul_(2);
    }
    const Tensor y = twice();
    CHECK(count.casts == 2);
    CHECK(equal(y, linear(linear(to(x, bfloat16), to(w.detach(), bfloat16)), to(w.detach(), bfloat16))));
    // two passes meet in the cast
    const Tensor dy = ones({2, 3}, bfloat16);
    twice().backward(dy);
    const Tensor once = w.grad().clone();
    twice().backward(dy);
    CHECK(equal(w.grad(), once * 2));
    CHECK(count.casts == 2);
    {
      const Autocast other(float16);
      CHECK(twice().dtype() == float16);
    }
  }
  count.casts = 0;
  {
    const Autocast guard(bfloat16);
    twice();
  }
  CHECK(count.casts == 1);
}

TEST_CASE("autocast: a new parameter in the memory of a freed one is cast anew") {
  const Autocast guard(bfloat16);
  const Tensor x = ones({1, 2});
  for (int i = 0; i < 20; ++i) {
    const Tensor w = full({2, 2}, i).requires_grad_();
    CHECK(matmul(x, w)[0][0].item() == 2 * i);
  }
}

TEST_CASE("autocast: a function that is run again computes as it did before") {
  const Tensor w = (random({4, 4}, 1) * 0.5).requires_grad_(), x = random({3, 4}, 2).requires_grad_();
  const auto f = [&](const Tensor& v) { return tanh(matmul(v, w)) + sum(v, 1, true) * 0.1; };
  const auto run = [&](auto block, bool guard_in_backward) {
    w.set_grad({}), x.set_grad({});
    std::optional<Autocast> guard(std::in_place, bfloat16);
    const Tensor loss = sum(square(block(matmul(x, w))));  // w has been cast before the block
    if (!guard_in_backward) guard.reset();
    loss.backward();
    return Tensors{loss.detach(), x.grad(), w.grad()};
  };
  const Tensors expected = run(f, false);
  CHECK(expected[0].dtype() == float32);
  for (const bool inside : {false, true}) {
    const Tensors got = run([&](const Tensor& v) { return checkpoint(f, v); }, inside);
    CHECK(equal(got[0], expected[0]));
    // bfloat16 gradients of one weight are added up in another order
    for (size_t i = 1; i < 3; ++i) CHECK(difference(got[i], expected[i], 0.01, 0.01) == "");
  }
  // where recording is on in the second run but no guard is: the other way round
  w.set_grad({}), x.set_grad({});
  const Tensor loss = sum(square(checkpoint(f, x)));
  {
    const Autocast guard(bfloat16);
    loss.backward();
  }
  const Tensor dw = w.grad().clone();
  w.set_grad({}), x.set_grad({});
  sum(square(f(x))).backward();
  CHECK(equal(dw, w.grad()));
}

TEST_CASE("autocast: reversible couplings give gradients by the weights that they read") {
  const Tensor w = (random({4, 4}, 1) * 0.5).requires_grad_(), a = random({3, 4}, 2), b = random({3, 4}, 3);
  const auto f = [&](const Tensor& v) { return tanh(matmul(v, w)); };
  const auto coupled = [&](const Tensor& x1, const Tensor& x2) {
    const nn::ReversiblePair y = nn::ReversibleBlock(f, f)(x1, x2);
    return Tensors{y.x1, y.x2};
  };
  const auto gradient = [&](bool plain) {
    w.set_grad({});
    Tensor loss;
    {
      const Autocast guard(bfloat16);
      const Tensor before = matmul(a, w);  // w has been cast
      const Tensor first = a + to(before, float32);
      const Tensors y = plain ? Tensors{first + f(b), b + f(first + f(b))} : coupled(first, b);
      loss = sum(square(y[0])) + sum(square(y[1]));
    }
    loss.backward();
    return w.grad();
  };
  CHECK(difference(gradient(false), gradient(true), 0.02, 0.02) == "");
}

TEST_CASE("autocast: a custom_vjp computes with what it is given, both ways") {
  const auto product = custom_vjp(
      "product", [](const Tensor& x, const Tensor& w) { return matmul(x, w); }, Keep::inputs(2),
      [](const Backward& b) -> Tensors {
        return {matmul(b.grad(), b.input(1).transpose(0, 1)), matmul(b.input(0).transpose(0, 1), b.grad())};
      });
  const Tensor x = random({3, 4}, 1).requires_grad_(), w = random({4, 2}, 2).requires_grad_();
  const Autocast guard(bfloat16);
  const Tensor y = product(x, w);
  CHECK(y.dtype() == float32);
  sum(y).backward();
  CHECK(w.grad().dtype() == float32);
}
