// Which op gradcheck blames for a wrong gradient: rules are planted in networks, each beside right ones of the same
// name.
#include <catch2/catch.hpp>

#include <cotangent/autograd/gradcheck/gradcheck.hpp>
#include <cotangent/autograd/observer_internal.hpp>
#include <cotangent/tests/autograd/faulty_rules.hpp>

using namespace cotangent;
using namespace cotangent::faulty;
using Catch::Contains;

namespace {

struct Block : nn::Module {
  nn::Linear fc{4, 4, {.dtype = float64}};
  double factor = 1;
  COTANGENT_MODULE(fc)
  Tensor forward(const Tensor& x) { return scaled_tanh(fc(x), factor); }
};

struct Tower : nn::Module {
  std::vector<Block> blocks = nn::repeat(3, [] { return Block(); });
  nn::Linear head{4, 2, {.dtype = float64}};
  COTANGENT_MODULE(blocks, head)
  Tensor forward(Tensor x) {
    for (Block& block : blocks) x = block(x);
    return head(x);
  }
};

struct CNN : nn::Module {
  nn::Conv2d conv1{1, 3, 3, {.dtype = float64}}, conv2{3, 2, 3, {.dtype = float64}};
  COTANGENT_MODULE(conv1, conv2)
  Tensor forward(const Tensor& x) {
    const Tensor h = max_pool2d(scaled_tanh(conv1(x), 1), 2);
    const Tensor y = scaled_tanh(conv2(h), 0.5);
    return mean(y, {2, 3});
  }
};

}  // namespace

TEST_CASE("blame: a wrong rule in a network is named, with its module") {
  Tower model;
  const Tensor x = wave({3, 4});
  const auto f = [&](const Tensors& xs) { return model(xs[0]); };
  CHECK(gradcheck(f, {x}).blame.op.empty());
  for (size_t i = 0; i < 3; ++i) {
    model.blocks[i].factor = 1.5;
    const GradcheckReport report = gradcheck(f, {x, model.blocks[0].fc.weight});
    model.blocks[i].factor = 1;
    INFO(report.to_string());
    CHECK(report.verdict == Verdict::fail);
    CHECK(report.blame.op == "my_tanh");
    CHECK(report.blame.input == 0);
    CHECK(report.blame.module == "blocks." + std::to_string(i));
    const char* places[] = {"the 1st of 3", "the 2nd of 3", "the 3rd of 3"};
    CHECK_THAT(report.blame.evidence, Contains(places[i]));
    CHECK_THAT(report.to_string(), Contains("blame: [my_tanh], input 0, in blocks." + std::to_string(i)));
  }
}

TEST_CASE("blame: in a convolutional network") {
  CNN model;
  const auto f = [&](const Tensors& xs) { return model(xs[0]); };
  const GradcheckReport report = gradcheck(f, {wave({2, 1, 8, 8}), model.conv1.weight});
  INFO(report.to_string());
  CHECK(report.blame.op == "my_tanh");
  CHECK_THAT(report.blame.evidence, Contains("the 2nd of 2"));
}

TEST_CASE("blame: in attention, the input with the wrong gradient is named") {
  const auto attend = [](const Tensor& q, const Tensor& k, const Tensor& v) {
    const Tensor scores = softmax(matmul(q, k.transpose(0, 1)), 1);
    const Tensor y = unrecorded([&] { return matmul(scores, v); });
    return tanh(record(
        "my_matmul", {scores, v}, y, Keep::inputs(2), NoAttributes{}, [](const Backward& b, NoAttributes) -> Gradients {
          return {matmul(b.grad(), b.input(1).transpose(0, 1)), matmul(b.input(0), b.grad())};  // scores^T
        }));
  };
  const GradcheckReport report = gradcheck(attend, {wave({4, 3}), wave({4, 3}, 1), wave({4, 3}, 2)});
  INFO(report.to_string());
  CHECK(report.blame.op == "my_matmul");
  CHECK(report.blame.input == 1);
}

TEST_CASE("blame: one step of a loop") {
  const Tensor w = eye(3, 3, float64) + 0.05 * wave({3, 3});
  for (const int wrong : {0, 17, 49}) {
    const auto f = [&](Tensor x) {
      Tensor h = x;
      for (int i = 0; i < 50; ++i) h = scaled_tanh(1.1 * matmul(h, w), i == wrong ? 1.01 : 1);
      return h;
    };
    const GradcheckReport report = gradcheck(f, {wave({2, 3})}, {.order = 1});
    INFO(report.to_string());
    CHECK(report.blame.op == "my_tanh");
    CHECK_THAT(report.blame.evidence, Contains(wrong == 0    ? "the 1st of 50"
                                               : wrong == 17 ? "the 18th of 50"
                                                             : "the 50th"));
  }
}

TEST_CASE("blame: one of two calls of an op, and one of its inputs") {
  for (const bool second : {false, true}) {
    const auto f = [&](const Tensor& a, const Tensor& b) {
      const Tensor y = scaled_mul(a, b, {1, second ? 1.0 : -1.0});
      return scaled_mul(sin(y), a, {second ? 1.001 : 1.0, 1});
    };
    const GradcheckReport report = gradcheck(f, {wave({5}), wave({5}, 1)});
    INFO(report.to_string());
    CHECK(report.blame.op == "my_mul");
    CHECK(report.blame.input == (second ? 0 : 1));
    CHECK_THAT(report.blame.evidence, Contains(second ? "the 2nd of 2" : "the 1st of 2"));
  }
}

TEST_CASE("blame: of two wrong ops the later one, and then the other") {
  const auto f = [](const Tensor& x) { return scaled_tanh(scaled_tanh(x, 0.5, "first"), 2, "second"); };
  const GradcheckReport report = gradcheck(f, {wave({4})});
  INFO(report.to_string());
  CHECK(report.blame.op == "second");
  CHECK_THAT(report.blame.evidence, Contains("wrong too: [first]"));
}

TEST_CASE("blame: views and writes in place are looked through") {
  const auto f = [](const Tensor& x) {
    Tensor y = x * 2;
    Tensor part = y.transpose(0, 1).narrow(0, 1, 2);
    part.mul_(part);
    y[0].add_(1);
    return scaled_tanh(y.reshape({-1}), -1).view({3, 4});
  };
  const GradcheckReport report = gradcheck(f, {wave({3, 4})});
  INFO(report.to_string());
  CHECK(report.blame.op == "my_tanh");
  // a view whose own rule is wrong
  const auto g = [](const Tensor& x) {
    Tensor h = exp(x);
    const Tensor v = record_view("my_view", h, detail::make_view(h, {4}, Strides{1}, 4), NoAttributes{},
                                 [](const Backward& b, NoAttributes) -> Gradients {
                                   return {cat({b.grad(), zeros({8}, float64)}, 0).view({3, 4})};  // the first row
                                 });
    return tanh(v * 2);
  };
  const GradcheckReport other = gradcheck(g, {wave({3, 4})});
  INFO(other.to_string());
  CHECK(other.blame.op == "my_view");
  // the op that is wrong comes before writes to parts of its result
  const auto e = [](const Tensor& x) {
    Tensor y = scaled_tanh(x, 3);
    y.select(0, 1).mul_(2);
    return y.transpose(0, 1) * 1.5;
  };
  const GradcheckReport before = gradcheck(e, {wave({3, 4})});
  INFO(before.to_string());
  CHECK(before.blame.op == "my_tanh");
}

TEST_CASE("blame: an op with several outputs") {
  const auto f = [](const Tensor& x) {
    Tensor ys[2];
    {
      NoGrad guard;
      ys[0] = sin(x), ys[1] = cos(x);
    }
    record_all("sin_cos", {x}, ys, Keep::output(0) | Keep::output(1), NoAttributes{},
               [](const Backward& b, NoAttributes) -> Gradients {
                 return {b.grad(0) * b.output(1) + b.grad(1) * b.output(0)};  // minus
               });
    return exp(ys[0]) * ys[1];
  };
  const GradcheckReport report = gradcheck(f, {wave({4})});
  INFO(report.to_string());
  CHECK(report.blame.op == "sin_cos");
}

TEST_CASE("blame: the number of runs does not grow with the tape") {
  int calls[2] = {0, 0};
  for (const bool longer : {false, true}) {
    const int n = longer ? 1000 : 10;
    const auto f = [&](Tensor x) {
      ++calls[longer];
      for (int i = 0; i < n; ++i) x = scaled_tanh(x, i == n / 3 ? 2 : 1) * 1.001;
      return x;
    };
    const GradcheckReport report = gradcheck(f, {wave({2})}, {.order = 1, .contracts = false});
    INFO(report.to_string());
    CHECK(report.blame.op == "my_tanh");
    if (longer) CHECK_THAT(report.blame.evidence, Contains("the 334th of 1000"));
  }
  CHECK(calls[1] <= calls[0] + 20);  // where differences need more steps
}

TEST_CASE("blame: in float32, where the function is not one of float64") {
  const Tensor w = wave({3, 3}).to(float32);
  const auto f = [&](const Tensor& x) {
    Tensor h = matmul(x, w), y;
    {
      NoGrad guard;
      y = tanh(h);
    }
    return sum(record(
        "my_tanh", {h}, y, Keep::output(), NoAttributes{},
        [](const Backward& b, NoAttributes) -> Gradients { return {b.grad() * (1 - square(b.output())) * 1.2}; }));
  };
  const GradcheckReport report = gradcheck(f, {wave({2, 3}).to(float32)}, {.order = 1});
  INFO(report.to_string());
  CHECK(report.blame.op == "my_tanh");
}

TEST_CASE("blame: the line of the call, where there is debug information") {
  int line = 0;
  const auto f = [&](const Tensor& x) {
    line = __LINE__ + 1;
    return sin(x) * exp(x).detach();
  };
  const GradcheckReport report = gradcheck(f, {wave({3})});
  INFO(report.to_string());
  CHECK(report.blame.op == "mul");
  if (report.blame.file.empty()) {
    WARN("this program has no debug information, or the library no libbacktrace: no line is known");
    return;
  }
  CHECK_THAT(report.blame.file, Catch::EndsWith("blame_test.cpp"));
  CHECK(report.blame.line == line);
}

TEST_CASE("DetectAnomaly names the line of the call in the backward pass too, where there is debug information") {
  const Tensor x = zeros({2}, float64).requires_grad_();
  const DetectAnomaly guard;
  const Tensor y = sqrt(x);
  const int line = __LINE__ - 1;
  std::string said;
  try {
    sum(y * 2).backward();
  } catch (const ValueError& error) {
    said = error.what();
  }
  CHECK_THAT(said, Catch::Contains("[sqrt] its rule gives a gradient"));
  if (detail::call_line(detail::call_stack()).empty()) {
    WARN("this program has no debug information, or the library no libbacktrace: no line is known");
    return;
  }
  CHECK_THAT(said, Catch::EndsWith("blame_test.cpp:" + std::to_string(line) + ")"));
  CHECK_THAT(Graph(y).nodes().back().line, Catch::EndsWith("blame_test.cpp:" + std::to_string(line)));
}
