#include <cotangent/nn/receptive_field.hpp>

#include <algorithm>

#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/conv.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {
namespace {

/// The layer with its kernel size.
Window checked(Window w) {
  if (w.kernel == 0) w.kernel = w.upsampling;
  if (w.kernel < 1 || w.stride < 1 || w.dilation < 1 || w.upsampling < 1 || w.padding < 0)
    fail<ValueError>(
        "[receptive_field] kernel {}, stride {}, padding {}, dilation {}, upsampling {}; the padding must be at least "
        "0, the others at least 1",
        w.kernel, w.stride, w.padding, w.dilation, w.upsampling);
  if (w.upsampling > 1 && (w.stride > 1 || w.dilation > 1))
    fail<ValueError>("[receptive_field] upsampling {} goes with a stride and dilation of 1, got {} and {}",
                     w.upsampling, w.stride, w.dilation);
  if (w.kernel < w.upsampling)
    fail<ValueError>("[receptive_field] upsampling {} by a kernel of {} leaves outputs that depend on nothing",
                     w.upsampling, w.kernel);
  if (!w.branches.empty() && (w.kernel > 1 || w.stride > 1 || w.padding > 0))
    fail<ValueError>("[receptive_field] a layer has branches, or a kernel of its own; give it two layers");
  return w;
}

int64_t reach(const Window& w) { return w.dilation * (w.kernel - 1) + 1; }

int64_t floor_divide(int64_t a, int64_t b) { return a / b - (a % b != 0 && a < 0 ? 1 : 0); }

Tensor apply_ones(const std::vector<Window>& layers, Tensor x) {
  for (const Window& layer : layers) {
    const Window w = checked(layer);
    const Tensor kernel = ones({1, 1, w.kernel}, float64);
    if (!w.branches.empty()) {
      Tensor sum = apply_ones(w.branches[0], x);
      for (size_t i = 1; i < w.branches.size(); ++i) sum = sum + apply_ones(w.branches[i], x);
      x = sum;
    } else if (w.upsampling > 1) {
      x = conv_transpose1d(x, kernel, Tensor(), {.stride = w.upsampling, .padding = w.padding});
    } else {
      x = conv1d(x, kernel, Tensor(), {.stride = w.stride, .padding = w.padding, .dilation = w.dilation});
    }
  }
  return x;
}

}  // namespace

ReceptiveField receptive_field(const std::vector<Window>& layers, const ReceptiveField& input) {
  ReceptiveField r = input;
  for (const Window& layer : layers) {
    const Window w = checked(layer);
    const auto f = static_cast<double>(w.upsampling), extra = static_cast<double>(reach(w) - 1),
               padding = static_cast<double>(w.padding);
    if (!w.branches.empty()) {
      ReceptiveField all = receptive_field(w.branches[0], r);
      for (const auto& branch : w.branches) {
        const ReceptiveField other = receptive_field(branch, r);
        if (other.jump != all.jump)
          fail<ValueError>("[receptive_field] branches advance by {} and by {} inputs; their strides must agree",
                           all.jump, other.jump);
        const double first = std::min(all.center - all.size / 2, other.center - other.size / 2),
                     last = std::max(all.center + all.size / 2, other.center + other.size / 2);
        all = {last - first, all.jump, (first + last) / 2};
      }
      r = all;
    } else if (w.upsampling > 1) {
      r = {r.size + ((extra + 1) / f - 1) * r.jump, r.jump / f, r.center + (padding - extra / 2) / f * r.jump};
    } else {
      r = {r.size + extra * r.jump, r.jump * static_cast<double>(w.stride), r.center + (extra / 2 - padding) * r.jump};
    }
  }
  return r;
}

Interval receptive_field_of(const std::vector<Window>& layers, const Interval& outputs) {
  Interval cells = outputs;
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
    const Window w = checked(*layer);
    if (!w.branches.empty()) {
      Interval all = receptive_field_of(w.branches[0], cells);
      for (const auto& branch : w.branches) {
        const Interval other = receptive_field_of(branch, cells);
        all = {std::min(all.first, other.first), std::max(all.last, other.last)};
      }
      cells = all;
    } else if (w.upsampling > 1) {
      cells = {-floor_divide(w.kernel - 1 - cells.first - w.padding, w.upsampling),
               floor_divide(cells.last + w.padding, w.upsampling)};
    } else {
      cells = {cells.first * w.stride - w.padding, cells.last * w.stride - w.padding + reach(w) - 1};
    }
  }
  return cells;
}

Interval receptive_field_by_gradient(const std::vector<Window>& layers, int64_t length, int64_t output) {
  const EnableGrad recording;
  Tensor x = zeros({1, 1, length}, float64);
  x.requires_grad_();
  const std::vector<double> gradient = grad({apply_ones(layers, x)[0][0][output]}, {x}, {})[0].to_vector<double>();
  const auto seen = [](double g) { return g != 0; };
  return {std::find_if(gradient.begin(), gradient.end(), seen) - gradient.begin(),
          gradient.rend() - std::find_if(gradient.rbegin(), gradient.rend(), seen) - 1};
}

}  // namespace cotangent::nn
