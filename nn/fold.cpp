#include <cotangent/nn/fold.hpp>

#include <cotangent/nn/settings_internal.hpp>

namespace cotangent::nn {
namespace {

using detail::setting, detail::sizes;

void check(const char* name, const Spatial& kernel, const FoldOptions& o) {
  kernel.over(name, "kernel_size", 2, 1);
  o.dilation.over(name, "dilation", 2, 1);
  o.padding.over(name, "padding", 2, 0);
  o.stride.over(name, "stride", 2, 1);
}

std::string describe(const FoldOptions& o) {
  return setting("dilation", o.dilation, 2, 1) + setting("padding", o.padding, 2, 0) +
         setting("stride", o.stride, 2, 1);
}

}  // namespace

Unfold::Unfold(const Spatial& kernel, const FoldOptions& o) : kernel_size(kernel), options(o) {
  check("Unfold", kernel, o);
}
std::string Unfold::settings() const {
  return sizes(kernel_size.over("Unfold", "kernel_size", 2, 1)) + describe(options);
}

Fold::Fold(const Spatial& size, const Spatial& kernel, const FoldOptions& o)
    : output_size(size), kernel_size(kernel), options(o) {
  size.over("Fold", "output_size", 2, 1);
  check("Fold", kernel, o);
}
std::string Fold::settings() const {
  return sizes(output_size.over("Fold", "output_size", 2, 1)) + ", " +
         sizes(kernel_size.over("Fold", "kernel_size", 2, 1)) + describe(options);
}

}  // namespace cotangent::nn
