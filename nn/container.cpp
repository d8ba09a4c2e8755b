#include <cotangent/nn/container.hpp>

#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {

Tensor detail::add_residual(const Tensor& x, const Tensor& change) {
  if (x.shape() != change.shape())
    fail<ShapeError>("[Residual] the body turns shape {} into {}; it must keep the shape", x.shape(), change.shape());
  return x + change;
}

void detail::empty_any() { fail<ValueError>("[Any] it holds no module; assign one before it is used"); }

void Sequential::members(Members& visitor) {
  for (size_t i = 0; i < stages_.size(); ++i) visitor.add(std::to_string(i), stages_[i]->module());
}

Tensor Sequential::forward(const Tensor& x) {
  if (stages_.empty()) return x;
  Tensor y = stages_[0]->call(x);
  for (size_t i = 1; i < stages_.size(); ++i) y = stages_[i]->call(y);
  return y;
}

Tensor Sequential::operator()(const Tensor& x) {
  return detail::within(*this, [&] { return forward(x); });
}

Sequential::Stage& Sequential::stage(size_t i) {
  if (i >= stages_.size()) fail<IndexError>("[Sequential] there is no module {}; there are {}", i, stages_.size());
  return *stages_[i];
}

void Sequential::wrong_type(size_t i) {
  fail<ValueError>("[Sequential] module {} is a {}", i, stage(i).module().type_name());
}

}  // namespace cotangent::nn
