// What a rule reads is guarded: an in-place write to it, between the op and the backward pass, is an error that names
// the op; and what is no part of the graph can be written, since the rule reads a copy.
#include <catch2/catch.hpp>

#include <optional>

#include <cotangent/autograd/node.hpp>
#include <cotangent/cotangent.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;

namespace {

/// A result, and a tensor without a gradient that its rule reads.
struct Reading {
  Tensor y, read;
};
struct ReadCase {
  const char* name;
  const char* error;
  Reading (*call)(const Tensor& x);  ///< x (4, 4)
};

Tensor classes() { return tensor({0, 3, 1, 2}); }
Tensor mask() { return to(eye(4), boolean); }
Tensor images(const Tensor& x) { return reshape(x, {1, 1, 4, 4}); }
Tensor weights() { return tensor({0.5F, 1.F, 2.F, 1.5F}); }

template <class F>
Reading with_indices(F f) {
  return {f.values, f.indices};
}
template <auto f>
Reading reads(const Tensor& x, const Tensor& read) {
  return {f(x, read), read};
}

const std::vector<ReadCase> cases = {
    {"cross_entropy: the target", "[cross_entropy] input 1",
     [](const Tensor& x) -> Reading {
       const Tensor t = classes();
       return {cross_entropy(x, t), t};
     }},
    {"cross_entropy: the weight", "[cross_entropy] input 2",
     [](const Tensor& x) -> Reading {
       const Tensor w = weights();
       return {cross_entropy(x, classes(), {.weight = w}), w};
     }},
    {"cross_entropy: probabilities", "[mul] input",
     [](const Tensor& x) -> Reading {
       const Tensor p = full({4, 4}, 0.25);
       return {cross_entropy(x, p), p};
     }},
    {"nll_loss: the target", "[pick_class] input 1",
     [](const Tensor& x) -> Reading {
       const Tensor t = classes();
       return {nll_loss(x, t), t};
     }},
    {"binary cross entropy: the target", "[binary_cross_entropy_with_logits] input 1",
     [](const Tensor& x) -> Reading {
       const Tensor t = eye(4);
       return {binary_cross_entropy_with_logits(x, t), t};
     }},
    {"mse_loss: the target", "[mse_loss] input 1",
     [](const Tensor& x) -> Reading {
       const Tensor t = eye(4);
       return {mse_loss(x, t), t};
     }},
    {"max: the indices", "[max] output 1", [](const Tensor& x) { return with_indices(max(x, 1)); }},
    {"min: the indices", "[min] output 1", [](const Tensor& x) { return with_indices(min(x, 0, true)); }},
    {"sort: the indices", "[sort] output 1", [](const Tensor& x) { return with_indices(sort(x)); }},
    {"topk: the indices", "[topk] output 1", [](const Tensor& x) { return with_indices(topk(x, 2)); }},
    {"gather", "[gather] input 1",
     [](const Tensor& x) -> Reading {
       const Tensor at = reshape(classes(), {4, 1});
       return {gather(x, 1, at), at};
     }},
    {"index_select", "[index_select] input 1",
     [](const Tensor& x) -> Reading {
       const Tensor at = classes();
       return {index_select(x, 0, at), at};
     }},
    {"index", "[index] input 1",
     [](const Tensor& x) -> Reading {
       const Tensor at = classes();
       return {x.index({at}), at};
     }},
    {"index_put_", "[index_put_] input 1",
     [](const Tensor& x) -> Reading {
       const Tensor at = classes();
       Tensor y = zeros({4, 4});
       y.index_put_({at}, x);
       return {y, at};
     }},
    {"index_add", "[index_sum] input 1",
     [](const Tensor& x) -> Reading {
       const Tensor at = classes();
       return {index_add(zeros({4, 4}), 0, at, x), at};
     }},
    {"scatter_add", "[scatter_add] input 1",
     [](const Tensor& x) -> Reading {
       const Tensor at = reshape(tensor({0, 3, 1, 2, 0, 1, 2, 3, 3, 3, 3, 3, 1, 1, 2, 2}), {4, 4});
       return {scatter_add(zeros({4, 4}), 0, at, x), at};
     }},
    {"embedding", "[embedding] input 1",
     [](const Tensor& x) -> Reading {
       const Tensor at = classes();
       return {embedding(x, at), at};
     }},
    {"max_unpool2d", "[scatter_add] input 1",
     [](const Tensor& x) -> Reading {
       const MaxPool y = max_pool2d_with_indices(images(x), 2);
       return {max_unpool2d(y.values, y.indices, 2), y.indices};
     }},
    {"where: the condition", "[where] input 0",
     [](const Tensor& x) -> Reading {
       const Tensor c = mask();
       return {where(c, x, 0), c};
     }},
    {"masked_fill: the mask", "[masked_fill] input 1",
     [](const Tensor& x) -> Reading {
       const Tensor m = mask();
       return {masked_fill(x, m, 2), m};
     }},
    {"mul", "[mul] input 1", [](const Tensor& x) { return reads<[](auto& a, auto& b) { return a * b; }>(x, eye(4)); }},
    {"matmul", "[matmul] input 1", [](const Tensor& x) { return reads<matmul>(x, eye(4)); }},
    {"linear: the weight", "[linear] input 1",
     [](const Tensor& x) { return reads<[](auto& a, auto& w) { return linear(a, w); }>(x, eye(4)); }},
    {"conv2d: the weight", "[conv2d] input 1",
     [](const Tensor& x) {
       return reads<[](auto& a, auto& w) { return conv2d(images(a), w, {}); }>(x, full({1, 1, 2, 2}, 0.5));
     }},
    {"layer_norm: the weight", "[layer_norm] input 1",
     [](const Tensor& x) { return reads<[](auto& a, auto& w) { return layer_norm(a, {4}, w, {}); }>(x, weights()); }},
    {"rms_norm: the weight", "[rms_norm] input 1",
     [](const Tensor& x) { return reads<[](auto& a, auto& w) { return rms_norm(a, {4}, w); }>(x, weights()); }},
    {"group_norm: the weight", "[group_norm] input 1",
     [](const Tensor& x) { return reads<[](auto& a, auto& w) { return group_norm(a, 2, w, {}); }>(x, weights()); }},
    {"batch_norm: the weight", "[batch_norm] input 1",
     [](const Tensor& x) {
       return reads<[](auto& a, auto& w) { return batch_norm(a, {}, {}, w, {}, true); }>(x, weights());
     }},
    {"rnn: the weight", "[rnn] input 4",
     [](const Tensor& x) {
       return reads<[](auto& a, auto& w) {
         return rnn(unsqueeze(a, 1), {}, {eye(4), w, {}, {}, {}}).output;
       }>(x, eye(4));
     }},
    {"attention: the mask", "[scaled_dot_product_attention] input 3",
     [](const Tensor& x) {
       return reads<[](auto& a, auto& m) { return scaled_dot_product_attention(a, a, a, {.mask = m}); }>(x, mask());
     }},
};

/// Ops whose rules read copies that nobody else holds.
const std::vector<ReadCase> copied = {
    {"rope: the positions", "",
     [](const Tensor& x) { return reads<[](auto& a, auto& p) { return rope(a, p); }>(x, classes()); }},
    {"batch_norm: the running mean", "",
     [](const Tensor& x) {
       return reads<[](auto& a, auto& m) { return batch_norm(a, m, ones({4}), {}, {}, false); }>(x, zeros({4}));
     }},
    {"max_pool2d: the indices", "",
     [](const Tensor& x) { return with_indices(max_pool2d_with_indices(images(x), 2)); }},
    {"cross_entropy: int32 targets", "",
     [](const Tensor& x) {
       return reads<[](auto& a, auto& t) { return cross_entropy(a, t); }>(x, to(classes(), int32));
     }},
    {"index: negative indices", "",
     [](const Tensor& x) { return reads<[](auto& a, auto& at) { return a.index({at}); }>(x, classes() - 4); }},
};

Tensor gradient_of(const ReadCase& c, bool write) {
  Tensor x = reshape(arange(16, 0, -1, float32), {4, 4}) * 0.1;
  x.requires_grad_();
  auto [y, read] = c.call(x);
  if (write) read.copy_(zeros(read.shape(), read.dtype()));
  sum(y * y).backward();
  return x.grad();
}

}  // namespace

TEST_CASE("an in-place write to what a rule reads is an error that names the op") {
  for (const ReadCase& c : cases) {
    INFO(c.name);
    CHECK(gradient_of(c, false).defined());
    const std::string error = error_of([&] { gradient_of(c, true); });
    CHECK_THAT(error, Catch::Contains(c.error));
    CHECK_THAT(error, Catch::Contains("was written in place after it was saved"));
  }
}

TEST_CASE("what a rule reads a copy of may be written") {
  for (const ReadCase& c : copied) {
    INFO(c.name);
    CHECK(equal(gradient_of(c, false), gradient_of(c, true)));
  }
}

TEST_CASE("a weight of classes takes no part in the graph of cross_entropy") {
  Tensor w = weights();
  w.requires_grad_();
  CHECK_FALSE(cross_entropy(ones({4, 4}), classes(), {.weight = w}).requires_grad());
  Tensor x = ones({4, 4});
  x.requires_grad_();
  cross_entropy(x, classes(), {.weight = w * 2}).backward();
  CHECK(x.grad().defined());
  CHECK_FALSE(w.grad().defined());
}

TEST_CASE("integer outputs have no history, under create_graph too") {
  Tensor x = arange(4, 0, -1, float64);
  x.requires_grad_();
  const SortResult y = sort(x);
  CHECK_FALSE(y.indices.requires_grad());
  const Tensor g = grad({sum(y.values * y.values * y.values)}, {x}, {.create_graph = true})[0];
  CHECK(to_values(grad({sum(g)}, {x})[0]) == Values{24, 18, 12, 6});
}

TEST_CASE("attributes hold no tensor") {
  struct Numbers {
    double scale;
    Shape shape;
    int64_t sizes[3];
    const char* op;
  };
  struct Indices {
    Tensor indices;
    int dim;
  };
  struct Nested {
    Numbers numbers;
    std::optional<Indices> indices;
  };
  STATIC_REQUIRE(is_attribute<NoAttributes>);
  STATIC_REQUIRE(is_attribute<double>);
  STATIC_REQUIRE(is_attribute<Dims>);
  STATIC_REQUIRE(is_attribute<Numbers>);
  STATIC_REQUIRE_FALSE(is_attribute<Tensor>);
  STATIC_REQUIRE_FALSE(is_attribute<Tensors>);
  STATIC_REQUIRE_FALSE(is_attribute<std::vector<double>>);  // it may be let in
  STATIC_REQUIRE_FALSE(is_attribute<Indices>);
  STATIC_REQUIRE_FALSE(is_attribute<Nested>);
  STATIC_REQUIRE_FALSE(is_attribute<RecurrentWeights>);
}

TEST_CASE("gradients of the last inputs may be left out if none is needed") {
  const auto scaled = [](const Tensor& x, const Tensor& factor) {
    return record("scaled", {x, factor}, x.detach() * factor.detach(), Keep::input(1), NoAttributes{},
                  [](const Backward& b, NoAttributes) -> Gradients { return {b.grad() * b.input(1)}; });
  };
  Tensor x = ones({2}), w = full({2}, 3);
  x.requires_grad_();
  sum(scaled(x, w)).backward();
  CHECK(to_values(x.grad()) == Values{3, 3});
  w.requires_grad_();
  CHECK_THROWS_WITH(sum(scaled(x, w)).backward(),
                    Catch::Contains("[scaled] its gradient rule returns 1 gradients for 2 inputs"));
}

TEST_CASE("an op with lists of tensors keeps what it has") {
  const auto rule = [](const Backward& b, NoAttributes) -> Gradients { return {b.grad(), b.grad()}; };
  Tensor x = ones({2});
  x.requires_grad_();
  const Tensors two = {x, x};
  const auto record_list = [&](Keep keep) { record("list", std::span(two), ones({2}), keep, NoAttributes{}, rule); };
  record_list(Keep::input(1) | Keep::output());
  CHECK_THROWS_WITH(record_list(Keep::input(2)),
                    Catch::Contains("[list] keeps an input or an output that it does not"));
  CHECK_THROWS_AS(record_list(Keep::output(1)), GradError);
  Tensor y[] = {ones({2}), ones({2})};
  CHECK_THROWS_AS(record_all("all", {x, x}, y, Keep::output(2), NoAttributes{}, rule), GradError);
}
