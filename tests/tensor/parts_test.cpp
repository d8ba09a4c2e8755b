// Ops that widen float16 and bfloat16 a part at a time: enough entries for several parts, and a last one that is short.
#include <catch2/catch.hpp>

#include <cotangent/autograd/ops/conv.hpp>
#include <cotangent/autograd/ops/norm.hpp>
#include <cotangent/autograd/ops/pool.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/tensor/copy.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;

namespace {

/// Integers from -3 to 3: sums of them are exact in float32.
Tensor integers(const Shape& shape, uint32_t seed) {
  Tensor x = zeros(shape);
  float* p = x.data<float>();
  for (int64_t i = 0; i < x.numel(); ++i)
    seed = seed * 1664525u + 1013904223u, p[i] = static_cast<float>(static_cast<int>((seed >> 24) % 7) - 3);
  return x;
}

/// f(x) and its gradients by all of `operands`, in this dtype, with a gradient of integers.
template <class F>
Tensors results(F f, const Tensors& operands, Dtype dtype) {
  Tensors leaves, all;
  for (const Tensor& x : operands) leaves.push_back(raw::cast(x, dtype).requires_grad_());
  const Tensor y = f(leaves);
  y.backward(raw::cast(integers(y.shape(), 9), dtype));
  all.push_back(y.detach());
  for (const Tensor& x : leaves) all.push_back(x.grad());
  return all;
}

template <class F>
void check_parts(F f, const Tensors& operands) {
  const Tensors wide = results(f, operands, float32);
  for (const Dtype dtype : {bfloat16, float16}) {
    const Tensors got = results(f, operands, dtype);
    for (size_t i = 0; i < wide.size(); ++i) {
      INFO(name(dtype) << ", result " << i << " of shape " << to_string(wide[i].shape()));
      CHECK(got[i].dtype() == dtype);
      CHECK(got[i].strides() == wide[i].strides());
      CHECK(equal(got[i], raw::cast(wide[i], dtype)));
    }
  }
}

}  // namespace

TEST_CASE("convolutions of halves, few images at a time, are those of the whole") {
  for (const MemoryFormat format : {MemoryFormat::contiguous, MemoryFormat::channels_last}) {
    const Tensor x = raw::contiguous(integers({19, 8, 64, 65}, 1), format);
    const auto conv = [&](const Tensors& v) { return conv2d(v[0], v[1], v[2], {.stride = 2, .padding = 1}); };
    check_parts(conv, {x, integers({6, 8, 3, 3}, 2), integers({6}, 3)});
    const auto turned = [&](const Tensors& v) { return conv_transpose2d(v[0], v[1], v[2], {.stride = 2}); };
    check_parts(turned, {x, integers({8, 4, 2, 2}, 2), integers({4}, 3)});
  }
}

TEST_CASE("pools of halves, few images at a time, are those of the whole") {
  for (const MemoryFormat format : {MemoryFormat::contiguous, MemoryFormat::channels_last}) {
    const Tensors x{raw::contiguous(integers({19, 8, 64, 65}, 1), format)};
    check_parts([](const Tensors& v) { return max_pool2d(v[0], 2); }, x);
    check_parts([](const Tensors& v) { return max_pool2d(v[0], 3, {.stride = 2, .padding = 1}); }, x);
    check_parts([](const Tensors& v) { return avg_pool2d(v[0], 2); }, x);
    const MaxPool wide = max_pool2d_with_indices(x[0], 2), got = max_pool2d_with_indices(raw::cast(x[0], bfloat16), 2);
    CHECK(equal(got.indices, wide.indices));
  }
}

TEST_CASE("batch_norm of halves, few images at a time, is that of the whole but for rounding") {
  for (const MemoryFormat format : {MemoryFormat::contiguous, MemoryFormat::channels_last})
    for (const bool training : {true, false}) {
      const Tensor x = raw::contiguous(integers({19, 8, 64, 65}, 1), format), means = full({8}, 0.25),
                   vars = full({8}, 3);
      const auto norm = [&](const Tensors& v) {
        return batch_norm(v[0], means.clone(), vars.clone(), v[1], v[2], training);
      };
      const Tensors operands{x, integers({8}, 2) + 5, integers({8}, 3)}, wide = results(norm, operands, float32);
      for (const Dtype dtype : {bfloat16, float16}) {
        const Tensors got = results(norm, operands, dtype);
        for (size_t i = 0; i < wide.size(); ++i) {
          INFO(name(dtype) << ", result " << i << ", training " << training);
          CHECK(got[i].dtype() == dtype);
          CHECK(got[i].strides() == wide[i].strides());
          // of the gradients of parameters too: they are sums of 79040 products
          CHECK(allclose(raw::cast(got[i], float32), wide[i], dtype == bfloat16 ? 0x1p-8 : 0x1p-11, 1e-4));
        }
      }
    }
}

TEST_CASE("sums of halves, a part of the rows at a time, are those of the whole") {
  const Tensor x = integers({1101, 3, 200}, 1);
  for (const Dims& dims : {Dims{0}, Dims{1}, Dims{2}, Dims{0, 2}, Dims{1, 2}, Dims{0, 1, 2}}) {
    check_parts([&](const Tensors& v) { return sum(v[0], dims); }, {x});
    check_parts([&](const Tensors& v) { return mean(v[0], dims); }, {x});
    check_parts([&](const Tensors& v) { return sum(v[0], dims); }, {x.permute({2, 0, 1})});
  }
  check_parts([](const Tensors& v) { return sum(v[0].expand({1000, 700})); }, {integers({700}, 1)});
  check_parts([](const Tensors& v) { return sum(v[0]); }, {integers({}, 1)});
}
