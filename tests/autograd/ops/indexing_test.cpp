#include <cotangent/tensor/indexing.hpp>

#include <catch2/catch.hpp>

#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/create.hpp>

#include "../../check_gradients.hpp"
#include "../../json.hpp"

using namespace cotangent;

namespace {

Slice::Bound bound(const Json& j) { return j.is_null() ? Slice::Bound(None) : Slice::Bound(j.get<int64_t>()); }

Index decode(const Json& entry) {
  const std::string kind = entry["kind"];
  if (kind == "integer") return entry["value"].get<int64_t>();
  if (kind == "slice") return Slice(bound(entry["start"]), bound(entry["stop"]), entry["step"].get<int64_t>());
  if (kind == "ellipsis") return Ellipsis;
  if (kind == "none") return None;
  return from_vector(entry["values"].get<std::vector<int64_t>>(), dims_of(entry["shape"]))
      .to(kind == "mask" ? boolean : int64);
}

// Lists of entries whose length is known at run time only.
Tensor read(const Tensor& x, const std::vector<Index>& i) {
  switch (i.size()) {
    case 1: return x.index({i[0]});
    case 2: return x.index({i[0], i[1]});
    case 3: return x.index({i[0], i[1], i[2]});
    case 4: return x.index({i[0], i[1], i[2], i[3]});
    default: return x.index({i[0], i[1], i[2], i[3], i[4]});
  }
}
void write(Tensor& x, const std::vector<Index>& i, const Tensor& v) {
  switch (i.size()) {
    case 1: x.index_put_({i[0]}, v); break;
    case 2: x.index_put_({i[0], i[1]}, v); break;
    case 3: x.index_put_({i[0], i[1], i[2]}, v); break;
    case 4: x.index_put_({i[0], i[1], i[2], i[3]}, v); break;
    default: x.index_put_({i[0], i[1], i[2], i[3], i[4]}, v);
  }
}

}  // namespace

TEST_CASE("random index expressions read and write what NumPy's do") {
  const Json cases("indexing.json");
  REQUIRE(cases.size() == 150);
  for (const Json& c : cases) {
    INFO(c);
    const Shape shape = dims_of(c["shape"]);
    std::vector<Index> indices;
    for (const Json& entry : c["index"]) indices.push_back(decode(entry));
    // in row-major order and with the dimensions reversed in memory
    Dims reversed;
    for (int d = shape.rank() - 1; d >= 0; --d) reversed.push_back(d);
    const Tensor dense = arange(shape.product()).reshape(shape);
    Tensor turned = permute(clone(contiguous(permute(dense, reversed))), reversed);
    for (Tensor x : {dense, turned}) {
      const Tensor y = read(x, indices);
      CHECK(y.shape() == dims_of(c["result_shape"]));
      CHECK(y.to_vector<int64_t>() == c["result"].get<std::vector<int64_t>>());
      write(x, indices, arange(100, 100 + y.numel()).reshape(y.shape()));
      CHECK(x.to_vector<int64_t>() == c["written"].get<std::vector<int64_t>>());
    }
    // and the gradients of both, through a tensor with a history
    if (shape.product() > 12 || c["result"].empty()) continue;
    const Tensor base = arange(shape.product()).to(float64).reshape(shape);
    check_gradients([&](const Tensor& x) { return read(x * x, indices); }, {base + 1});
    check_gradients(
        [&](const Tensor& x, const Tensor& v) {
          Tensor y = x * x;
          write(y, indices, v * v);
          return y;
        },
        {base + 1, ones(dims_of(c["result_shape"]), float64)}, {.allow_zero = true});
  }
}

TEST_CASE("an index without tensors gives a view that can be written through") {
  Tensor x = arange(12).reshape({3, 4});
  const Tensor y = x.index({Slice(1, None), Ellipsis, -1});
  CHECK(y.shares_storage(x));
  CHECK(y.to_vector<int64_t>() == std::vector<int64_t>{7, 11});
  x.index_put_({0, Slice(None, None, 2)}, 50);
  CHECK(x[0].to_vector<int64_t>() == std::vector<int64_t>{50, 1, 50, 3});
  CHECK(x.index({}).impl() == x.impl());
}

TEST_CASE("values are broadcast and cast, and a written tensor may be its own value") {
  Tensor x = zeros({3, 2}, int32);
  x.index_put_({tensor({2, 0})}, tensor({1, 2}));
  CHECK(x.to_vector<int32_t>() == std::vector<int32_t>{1, 2, 0, 0, 1, 2});
  x.index_put_({x == 0}, 7);
  CHECK(x.to_vector<int32_t>() == std::vector<int32_t>{1, 2, 7, 7, 1, 2});
  Tensor v = arange(4);
  v.index_put_({tensor({1, 2, 3})}, v.index({Slice(0, 3)}));
  CHECK(v.to_vector<int64_t>() == std::vector<int64_t>{0, 0, 1, 2});
  CHECK_THROWS_AS(x.index_put_({Slice(), 0}, arange(2)), ShapeError);
  CHECK_THROWS_AS(x.index_put_({tensor({2, 0})}, tensor({1.5, 2.9})), DTypeError);
}

TEST_CASE("a recorded write at indices reaches bases and other views") {
  Tensor w = arange(1, 7).to(float64).reshape({3, 2});
  Tensor v = full({2}, 10, float64);
  w.requires_grad_(), v.requires_grad_();
  Tensor x = w * 1;
  const Tensor row = x[1];
  Tensor part = x.index({Slice(None, 2)});  // a view
  part.index_put_({tensor({1, 1})}, v * 3);
  CHECK(x.detach().to_vector<double>() == std::vector<double>{1, 2, 30, 30, 5, 6});
  CHECK(row.detach().to_vector<double>() == std::vector<double>{30, 30});
  sum(square(x) + 0 * sum(row)).backward();
  CHECK(w.grad().to_vector<double>() == std::vector<double>{2, 4, 0, 0, 10, 12});
  CHECK(v.grad().to_vector<double>() == std::vector<double>{180, 180});
}

TEST_CASE("writing at indices of a leaf needs NoGrad, and a saved tensor notices") {
  Tensor w = ones({3});
  w.requires_grad_();
  CHECK_THROWS_AS(w.index_put_({tensor({0})}, 2), GradError);
  {
    NoGrad guard;
    w.index_put_({tensor({0})}, 2);
  }
  CHECK(w.detach().to_vector<float>() == std::vector<float>{2, 1, 1});
  Tensor x = w * 2;
  const Tensor y = x * x;
  x.index_put_({tensor({1})}, 0);
  CHECK_THROWS_WITH(sum(y).backward(), Catch::Contains("was written in place"));
}

TEST_CASE("what is written at indices must broadcast to the places, and not the other way") {
  Tensor x = zeros({3, 2});
  CHECK_THROWS_WITH(x.index_put_({tensor({1})}, ones({4, 2})),
                    Catch::Contains("[index_put_] values of shape (4, 2) do not broadcast to the (1, 2)"));
  CHECK(x.to_vector<float>() == std::vector<float>(6, 0));
}
