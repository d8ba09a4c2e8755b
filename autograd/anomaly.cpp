// DetectAnomaly: the first value that is not finite, where it arises.
#include <algorithm>

#include <cotangent/autograd/observer_internal.hpp>
#include <cotangent/tensor/copy.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent {
namespace {

/// The place of the first element that is NaN, or infinite if that counts too; -1 if there is none.
int64_t first_anomaly(const Tensor& x, bool infinity_too = true) {
  if (!x.defined() || !x.is_floating()) return -1;
  const Tensor flags = raw::contiguous(infinity_too ? raw::unary("is_finite", raw::Unary::is_finite, x)
                                                    : raw::unary("is_nan", raw::Unary::is_nan, x));
  const bool* begin = flags.data<bool>();
  const bool* end = begin + flags.numel();
  const bool* place = std::find(begin, end, !infinity_too);
  return place == end ? -1 : place - begin;
}

std::string shapes(std::span<const TensorRef> inputs) {
  std::string text;
  for (const TensorRef& x : inputs)
    if (x.tensor->defined()) text += fmt::format("{}{}", text.empty() ? "" : " and ", x.tensor->shape());
  return text;
}

struct AnomalyObserver : detail::Observer {
  // Infinity is a mistake where it arises, and none where an input brings it, such as a mask of scores.
  void recorded(Node& node, std::span<const TensorRef> inputs, std::span<const Tensor> outputs) override {
    detail::note_origin(node);
    if (NodeExtras& extras = *node.extras; extras.line.empty()) extras.calls = detail::call_stack();
    const bool finite =
        std::all_of(inputs.begin(), inputs.end(), [](const TensorRef& x) { return first_anomaly(*x.tensor) < 0; });
    for (const Tensor& y : outputs)
      if (const int64_t i = first_anomaly(y, finite); i >= 0)
        fail<ValueError>(
            "[{}] element {} of the result, of shape {}, is not finite; its inputs, of shapes {}, are the place to "
            "look{}",
            node.op, i, y.shape(), shapes(inputs), at_line(node));
  }

  void arrived(uint64_t, Node& node) override {
    for (int k = 0; k < node.slot_count; ++k)
      if (const int64_t i = first_anomaly(node.slots()[k].grad); i >= 0)
        fail<ValueError>(
            "[backward] element {} of the gradient that arrives at output {} of {}, of shape {}, is not finite, while "
            "what the rules gave was: it was passed in, or made by a hook, or is a sum too large for {}{}",
            i, k, node.op, node.slots()[k].shape, node.slots()[k].dtype, detail::origin_text(node));
  }

  void sent(uint64_t, Node& node, int input, const Tensor& gradient, const Tensor&) override {
    if (const int64_t i = first_anomaly(gradient); i >= 0)
      fail<ValueError>("[{}] its rule gives a gradient for input {}, of shape {}, whose element {} is not finite{}",
                       node.op, input, gradient.shape(), i, detail::origin_text(node));
  }

 private:
  // the module is added where the error leaves its call
  static std::string at_line(const Node& node) {
    const std::string line = detail::noted_line(node);
    return line.empty() ? "" : fmt::format(" (at {})", line);
  }
};

}  // namespace

DetectAnomaly::DetectAnomaly() : observer_(new AnomalyObserver) {}
DetectAnomaly::~DetectAnomaly() { delete observer_; }

}  // namespace cotangent
