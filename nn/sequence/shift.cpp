#include <cotangent/nn/sequence/shift.hpp>

#include <cmath>

#include <cotangent/autograd/ops/conv.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {
namespace {

/// x with the `count` tokens before it, which become the last of the result.
Tensor with_past(const Tensor& x, int64_t count, Tensor* last) {
  const bool some = last && last->defined();
  const Tensor y = cat({some ? *last : zeros({x.size(0), count, x.size(2)}, x.dtype()), x}, 1);
  if (last) *last = narrow(y, 1, y.size(1) - count, count).clone();
  return y;
}

}  // namespace

Tensor token_shift(const Tensor& x, Tensor* last) { return narrow(with_past(x, 1, last), 1, 0, x.size(1)); }

CausalConv::CausalConv(int64_t channels, int64_t size, const CausalConvOptions& o) {
  if (channels < 1 || size < 1)
    fail<ValueError>("[CausalConv] {} channels and a filter of {}; both must be at least 1", channels, size);
  const double bound = 1 / std::sqrt(static_cast<double>(size));
  weight = init::uniform_(empty({channels, 1, size}, o.dtype), -bound, bound);
  if (o.bias) bias = init::uniform_(empty({channels}, o.dtype), -bound, bound);
}

Tensor CausalConv::forward(const Tensor& x, Tensor* last) {
  if (x.rank() != 3 || x.size(2) != weight.size(0))
    fail<ShapeError>("[CausalConv] x is {}; it must be (B, T, {})", x.shape(), weight.size(0));
  // an image of one row, whose pixels hold the channels of a token side by side
  const Tensor row = unsqueeze(transpose(with_past(x, weight.size(2) - 1, last), 1, 2), 2);
  const Tensor y = conv2d(row, unsqueeze(weight, 2), bias, {.groups = weight.size(0)});
  return transpose(squeeze(y, 2), 1, 2);
}

std::string CausalConv::settings() const {
  return fmt::format("{}, {}{}", weight.size(0), weight.size(2), bias.defined() ? "" : ", bias = false");
}

}  // namespace cotangent::nn
