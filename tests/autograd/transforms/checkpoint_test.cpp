#include <catch2/catch.hpp>

#include <thread>

#include <cotangent/cotangent.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;

namespace {

Tensor random_leaf(const Shape& shape, uint64_t seed) {
  Generator generator(seed);
  return randn(shape, float64, generator).requires_grad_();
}

bool all_equal(const Tensors& a, const Tensors& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Tensor& x, const Tensor& y) { return equal(x, y); });
}

/// A block with parameters, dropout and normalisation.
struct Block : nn::Module {
  nn::Linear first{6, 6, {.dtype = float64}}, second{6, 6, {.dtype = float64}};
  nn::BatchNorm1d norm{6, {.dtype = float64}};
  nn::Dropout dropout{0.3};
  COTANGENT_MODULE(first, second, norm, dropout)
  Tensor forward(const Tensor& x) { return x + second(dropout(tanh(norm(first(x))))); }
};

struct Net : nn::Module {
  std::vector<Block> blocks = nn::repeat(3, [] { return Block(); });
  bool checkpointed = false;
  COTANGENT_MODULE(blocks)
  Tensor forward(Tensor x) {
    for (Block& block : blocks) x = checkpointed ? checkpoint(block, x) : block(x);
    return x;
  }
};

}  // namespace

TEST_CASE("checkpoint: a network has the gradients, numbers and running moments that it has without, to the bit") {
  const auto train = [](bool checkpointed, bool nested) {
    manual_seed(5);
    Net net;
    net.checkpointed = checkpointed;
    const Tensor x = random_leaf({4, 6}, 1);
    const Tensor y = nested ? checkpoint([&](const Tensor& t) { return net(t); }, x) : net(x);
    const Tensor after = randn({3});  // the stream goes on as it would have
    pow(y, 2).sum().backward();
    Tensors all{y.detach(), after, x.grad(), randn({3})};
    for (const Tensor& p : net.parameters()) all.push_back(p.grad());
    for (const auto& [name, b] : net.named_buffers()) all.push_back(b);
    return all;
  };
  const Tensors expected = train(false, false);
  REQUIRE(expected.size() == 4 + 3 * 6 + 3 * 3);
  CHECK(all_equal(train(true, false), expected));
  CHECK(all_equal(train(false, true), expected));
  CHECK(all_equal(train(true, true), expected));
}

TEST_CASE("checkpoint: inputs and results of all kinds") {
  const Tensor w = random_leaf({3}, 2), x = random_leaf({2, 3}, 1), index = tensor({2, 0}, int64);
  int runs = 0;
  const auto f = [&](const Tensor& t, const Tensor& places, const Tensor& none, const Tensor& constant) -> Tensors {
    ++runs;
    CHECK_FALSE(none.defined());
    const Tensor y = tanh(t * w) * constant;
    return {y, index_select(y, 1, places), argmax(y), constant * 2, Tensor(), y};
  };
  const Tensor constant = full({}, 3, float64);
  const Tensors y = checkpoint(f, x, index, Tensor(), constant), expected = f(x, index, {}, constant);
  REQUIRE(y.size() == 6);
  CHECK(runs == 2);
  for (size_t i : {0, 1, 2, 3, 5}) {
    CHECK(equal(y[i], expected[i]));
    CHECK(y[i].requires_grad() == expected[i].requires_grad());
  }
  CHECK_FALSE(y[4].defined());
  const auto gradients = [&](const Tensors& r) {
    return grad({r[0].sum(), (r[1] * r[1]).sum(), r[5].sum()}, {x, w}, {.retain_graph = true});
  };
  CHECK(all_equal(gradients(y), gradients(expected)));
  CHECK(runs == 3);
  CHECK(all_equal(grad({y[1].sum()}, {w}, {.retain_graph = true}),
                  grad({expected[1].sum()}, {w}, {.retain_graph = true})));
  CHECK(all_equal(gradients(y), gradients(expected)));  // as often as the graph is retained
  y[0].sum().backward();
  CHECK_THROWS_WITH(y[0].sum().backward(), Catch::Contains("[checkpoint] what it saved was freed"));

  // a list; one tensor twice; one that is not used; none at all
  const Tensor v = random_leaf({3}, 4);
  const auto product = [](const Tensors& t) { return t[0] * t[0] * t[1]; };
  CHECK(amax(abs(grad({checkpoint(product, Tensors{v, v}).sum()}, {v})[0] - 3 * v * v)).item() < 1e-14);
  const auto first = [](const Tensor& a, const Tensor&) { return exp(a); };
  CHECK(all_equal(grad({checkpoint(first, v, w).sum()}, {v}), {exp(v)}));
  CHECK_THROWS_WITH(grad({checkpoint(first, v, w).sum()}, {w}), Catch::Contains("do not depend on input 0"));
  CHECK(all_equal(grad({checkpoint([&] { return exp(v * w); }).sum()}, {w}), {exp(v * w) * v}));
  // a result that is an input, or lies in its memory
  const Tensor same = checkpoint([](const Tensor& a) { return a; }, v);
  CHECK_FALSE(same.shares_storage(v));
  CHECK(all_equal(grad({same.sum()}, {v}), {ones({3}, float64)}));
  // results of views and of other ops
  const Tensor h = v * 2;
  CHECK(all_equal(grad({(checkpoint([](const Tensor& a) { return a * a; }, h[1]) + h[0])}, {v}),
                  {stack({full({}, 2, float64), 8 * v[1], full({}, 0, float64)})}));
}

TEST_CASE("checkpoint: nothing is run again where nothing is differentiated") {
  int runs = 0;
  const auto f = [&](const Tensor& x) { return ++runs, x * x; };
  const Tensor x = random_leaf({3}, 1);
  {
    const NoGrad guard;
    CHECK_FALSE(checkpoint(f, x).requires_grad());
  }
  CHECK_FALSE(checkpoint(f, x.detach()).requires_grad());
  CHECK(checkpoint(f, x).requires_grad());
  CHECK(runs == 3);
  CHECK_FALSE(recomputing());
  std::vector<bool> seen;
  checkpoint([&](const Tensor& t) { return seen.push_back(recomputing()), t * t; }, x).sum().backward();
  CHECK(seen == std::vector<bool>{false, true});
  CHECK_FALSE(recomputing());
}

TEST_CASE("checkpoint: derivatives of any order") {
  const Tensor w = random_leaf({3, 3}, 2), x = random_leaf({3}, 1), v = random_leaf({3}, 3).detach();
  const auto plain = [&](const Tensor& t) { return pow(tanh(matmul(w, tanh(matmul(w, t)))), 3).sum(); };
  const auto segments = [&](const Tensor& t) {
    const auto layer = [&](const Tensor& s) { return tanh(matmul(w, s)); };
    return checkpoint([layer](const Tensor& s) { return pow(checkpoint(layer, checkpoint(layer, s)), 3).sum(); }, t);
  };
  CHECK(all_equal({value_and_grad(segments, x).gradient}, {value_and_grad(plain, x).gradient}));
  CHECK(close(hvp(segments, x, v).product, hvp(plain, x, v).product));
  CHECK(close(jvp(segments, x, v).tangent, jvp(plain, x, v).tangent));
  CHECK(close(hessian(segments, x), hessian(plain, x)));
  const TransformOptions again{.create_graph = true};
  const auto third = [&](auto f) { return jacobian([&](const Tensor& t) { return hessian(f, t, again); }, x); };
  CHECK(close(third(segments), third(plain)));
  const auto penalty = [&](auto f) {  // of the parameter, through a gradient of the input
    return grad({pow(value_and_grad(f, x, again).gradient, 2).sum()}, {w})[0];
  };
  CHECK(close(penalty(segments), penalty(plain)));
  CHECK(gradcheck([&] { return segments(x); }, {x, w}, {.order = 3}).ok());
}

TEST_CASE("checkpoint: f may call grad() itself") {
  const Tensor w = random_leaf({3}, 2), x = random_leaf({3}, 1);
  const auto score = [&](const Tensor& t) {
    const Tensor y = tanh(t * w).sum(), own = t.detach().requires_grad_();
    const Tensor of_own = grad({pow(own * w, 3).sum()}, {own}, {.create_graph = true})[0];
    return pow(grad({y}, {t}, {.create_graph = true})[0], 2).sum() + of_own.sum();
  };
  for (const Tensor& in : {x, x * 1}) {
    const Tensors expected = grad({score(in)}, {x, w}, {.retain_graph = true});
    const Tensors got = grad({checkpoint(score, in)}, {x, w}, {.retain_graph = true});
    CHECK(close(got[0], expected[0]));
    CHECK(close(got[1], expected[1]));
    x.set_grad({});
    checkpoint(score, in * 1).backward();
    CHECK(close(x.grad(), expected[0]));
  }
}

TEST_CASE("checkpoint: hooks of what lies outside run once") {
  const Tensor w = random_leaf({3}, 2), x = random_leaf({3}, 1), h = x * 2;
  int of_leaf = 0, of_result = 0;
  w.register_hook([&](const Tensor&) { ++of_leaf; });
  h.register_hook([&](const Tensor& g) { return ++of_result, g * 2; });
  checkpoint([&](const Tensor& t) { return t * w; }, h).sum().backward();
  CHECK(of_leaf == 1);
  CHECK(of_result == 1);
  CHECK(equal(x.grad(), 4 * w));
  CHECK(equal(w.grad(), h));
}

TEST_CASE("checkpoint keeps what lies between segments, and what one of them needs") {
  constexpr int64_t segments = 16, layers = 8, n = 1 << 15;
  const Tensor x = random_leaf({n}, 1);
  const auto layer = [](const Tensor& t) { return tanh(t * 1.01); };
  const auto segment = [&](Tensor t) {
    for (int64_t i = 0; i < layers; ++i) t = layer(t);
    return t;
  };
  const auto peak = [&](bool checkpointed) {
    x.set_grad({});
    const int64_t before = memory_stats().current_bytes;
    reset_peak_memory();
    Tensor y = x;
    for (int64_t i = 0; i < segments; ++i) y = checkpointed ? checkpoint(segment, y) : segment(y);
    y.sum().backward();
    return double(memory_stats().peak_bytes - before) / double(n * item_size(float64));
  };
  peak(true);
  const double with = peak(true);
  const Tensor gradient = x.grad().clone();
  const double without = peak(false);
  CHECK(equal(gradient, x.grad()));
  std::printf("checkpoint: the peak is %.1f activations for %d layers in %d segments, and %.1f without\n", with,
              int(segments * layers), int(segments), without);
  CHECK(without > double(segments * layers));
  CHECK(with < double(segments + layers) + 8);
}

TEST_CASE("checkpoint: a long chain is differentiated and destroyed on the default stack") {
  const Tensor x = random_leaf({1}, 1);
  Tensor y = x;
  for (int i = 0; i < 30000; ++i) y = checkpoint([](const Tensor& t) { return t * 1.00001; }, y);
  y.sum().backward();
  CHECK(x.grad().item() == Approx(std::pow(1.00001, 30000)));
}

TEST_CASE("checkpoint says where the second run is another") {
  const Tensor x = random_leaf({3}, 1), w = random_leaf({3}, 2);
  int runs = 0;
  const auto message = [&](auto f) {
    runs = 0;
    const Tensor y = checkpoint(f, x);
    return error_of([&] { y.sum().backward(); });
  };
  CHECK(message([&](const Tensor& t) { return ++runs == 1 ? t * 2 : t.narrow(0, 0, 2); }) ==
        "[checkpoint] the function gives float64 (2,) when it is run again, and gave float64 (3,); it must compute the "
        "same");
  CHECK(
      message([&](const Tensor& t) { return ++runs == 1 ? t * 2 : t.detach(); }) ==
      "[checkpoint] the function gives 0 results with a history when it is run again, and gave 1; it must compute the "
      "same");
  const Tensor other = random_leaf({3}, 3), result = other * 2;
  for (const Tensor& captured : {other, result, x, x.detach()})
    CHECK_THAT(message([&](const Tensor& t) { return t * (++runs == 1 ? w : captured); }),
               Catch::Contains("[checkpoint] the function reads other tensors when it is run again"));
  CHECK(error_of([&] {
          Tensor in = x * 1;
          checkpoint([](Tensor t) { return t.mul_(2) * 1; }, in);
        }) ==
        "[checkpoint] the function writes to its input 0 in place, and would find it changed when it is run again; let "
        "it "
        "write to a clone()");
  const Tensor in = x * 1;
  Tensor y = checkpoint([](const Tensor& t) { return exp(t); }, in);
  in.detach().add_(1);
  CHECK_THROWS_WITH(y.sum().backward(),
                    Catch::Contains("[checkpoint] input 0 of shape (3,) was written in place after"));
  y = checkpoint([&](const Tensor& t) { return exp(t * w); }, x);
  w.detach().add_(1);
  CHECK_THROWS_WITH(
      y.sum().backward(),
      Catch::Contains("[checkpoint] a tensor of shape (3,) that the function reads was written in place"));
  const Tensor row = random_leaf({1}, 4), plain = row.detach() * 1;  // read through a view, and without a history
  for (const Tensor& written : {row, plain}) {
    y = checkpoint([&](const Tensor& t) { return t * row * plain; }, x);
    written.detach().add_(1);
    CHECK_THROWS_WITH(
        y.sum().backward(),
        Catch::Contains("[checkpoint] a tensor of shape (3,) that the function reads was written in place"));
  }
  // within another checkpoint, or a reversible block
  const auto inner = [&](const Tensor& t) {
    return checkpoint([&](const Tensor& u) { return exp(u * w) * plain; }, t);
  };
  for (const Tensor& written : {w, plain}) {
    y = checkpoint([&](const Tensor& t) { return checkpoint(inner, t) + 1; }, x);
    written.detach().add_(1);
    CHECK_THROWS_WITH(y.sum().backward(), Catch::Contains("that the function reads was written in place"));
    y = checkpoint([&](const Tensor& t) { return nn::ReversibleBlock(inner, inner)(t, t * 2).x1; }, x);
    written.detach().add_(1);
    CHECK_THROWS_WITH(y.sum().backward(), Catch::Contains("that the function reads was written in place"));
  }
  // but what the outer function itself makes and the inner one reads is made again
  y = checkpoint(
      [&](const Tensor& t) {
        const Tensor made = t * 2;
        return checkpoint([made](const Tensor& u) { return u * made; }, t);
      },
      x);
  y.sum().backward();
  // a result is not what the function reads, and may be written
  y = checkpoint([&](const Tensor& t) { return exp(t); }, x);
  y.detach().add_(1);
  y.sum().backward();
  CHECK_THROWS_WITH(checkpoint([](const Tensors& t) { return t[0]; }, Tensors(49, x)),
                    Catch::Contains("[checkpoint] 49 inputs; it takes up to 48"));
  // what f throws passes through, and leaves the thread as it was
  y = checkpoint([&](const Tensor& t) { return ++runs < 2 ? t * t : throw ValueError("[f] no"); }, (runs = 0, x));
  CHECK_THROWS_WITH(y.sum().backward(), "[f] no");
  CHECK_FALSE(recomputing());
}

TEST_CASE("checkpoint: forward and backward on other threads, over shared parameters", "[threads]") {
  const Tensor w = random_leaf({64}, 2);
  Tensor trunk;
  for (int i = 0; i < 100; ++i) trunk = (trunk.defined() ? trunk : random_leaf({64}, 1)) * 1;
  const auto f = [&](const Tensor& t) { return dropout(tanh(t * w), 0.5); };
  Generator seed(9);
  const auto loss = [&](bool checkpointed, const Tensor& in) {
    Generator generator(7);
    const UseGenerator use(generator);
    return (checkpointed ? checkpoint([&](const Tensor& t) { return checkpoint(f, t); }, in) : f(in)).sum();
  };
  const Tensor in = trunk.detach().requires_grad_();
  const Tensors expected = grad({loss(false, in)}, {in, w});
  std::vector<int> wrong(8);
  std::vector<std::thread> threads;
  for (int& count : wrong)
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) {
        const Tensor own = in.detach().requires_grad_();
        const Tensor y = loss(true, own * 1);
        count += !all_equal(grad({y}, {own, w}), expected);
      }
    });
  for (std::thread& t : threads) t.join();
  CHECK(wrong == std::vector<int>(8));
  // what another thread has recorded is an input, and not captured
  Tensor captured;
  std::thread([&] { captured = checkpoint([&](const Tensor& t) { return t * trunk; }, in).sum(); }).join();
  CHECK_THROWS_WITH(grad({captured}, {in}), Catch::Contains("[checkpoint] the function reads other tensors"));
  // an older history, of this thread, in a thread that has recorded nothing yet
  Tensor y;
  std::thread([&] { y = checkpoint([&](const Tensor& t) { return tanh(t * w); }, trunk).sum(); }).join();
  Tensors got;
  std::thread([&] { got = grad({y}, {trunk, w}); }).join();
  CHECK(all_equal(got, grad({tanh(trunk * w).sum()}, {trunk, w})));
}
