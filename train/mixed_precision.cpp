#include <cotangent/train/mixed_precision.hpp>

#include <cotangent/nn/norm.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent {
namespace {

bool is_norm(const nn::Module& m) {
  const auto is_a = [&]<class... T>(std::type_identity<T>...) { return (dynamic_cast<const T*>(&m) || ...); };
  return is_a(std::type_identity<nn::BatchNormLayer>(), std::type_identity<nn::InstanceNormLayer>(),
              std::type_identity<nn::GroupNorm>(), std::type_identity<nn::FeatureNorm>());
}

void convert(nn::Module& model, Dtype dtype, bool norms) {
  struct Kept {
    nn::Module* norm;
    StateDict values;  // which conversion there and back would round
  };
  std::vector<Kept> kept;
  for (const nn::NamedModule& m : model.named_modules())
    if (!norms && is_norm(*m.module)) kept.push_back({m.module, m.module->state_dict()});
  model.to(dtype);
  for (const Kept& k : kept) {
    k.norm->to(float32);
    k.norm->load_state_dict(k.values);
  }
}

optim::GradScalerOptions options_of(PrecisionLevel level, Dtype dtype, optim::GradScalerOptions options) {
  const bool scales = level == PrecisionLevel::O1 || level == PrecisionLevel::O2;
  options.enabled = options.enabled && scales && dtype == float16;
  return options;
}

}  // namespace

MixedPrecision::MixedPrecision(nn::Module& model, PrecisionLevel level, Dtype dtype,
                               const optim::GradScalerOptions& scaling)
    : scaler(options_of(level, dtype, scaling)), level_(level), dtype_(dtype) {
  if (!is_low_precision(dtype))
    fail<DTypeError>("[MixedPrecision] the dtype is {}; it must be bfloat16 or float16", dtype);
  if (level == PrecisionLevel::O2 || level == PrecisionLevel::O3) convert(model, dtype, level == PrecisionLevel::O3);
}

void MixedPrecision::prepare(optim::Optimizer& optimizer) const {
  if (level_ == PrecisionLevel::O2) optimizer.keep_masters();
}

Tensor MixedPrecision::input(const Tensor& x) const {
  const bool low = level_ == PrecisionLevel::O2 || level_ == PrecisionLevel::O3;
  return low && x.defined() && x.dtype() == float32 ? to(x, dtype_) : x;
}

}  // namespace cotangent
