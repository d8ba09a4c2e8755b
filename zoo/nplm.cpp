#include <cotangent/zoo/nplm.hpp>

#include <cmath>

#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::zoo {
namespace {

Tensor started(const Shape& shape, int64_t inputs, Dtype dtype) {
  const double bound = 1 / std::sqrt(static_cast<double>(inputs));
  return nn::init::uniform_(empty(shape, dtype), -bound, bound);
}

}  // namespace

NPLM::NPLM(int64_t vocabulary, const NPLMOptions& o) : order(o.order) {
  if (vocabulary < 1 || o.order < 2 || o.width < 1 || o.hidden < 0)
    fail<ValueError>(
        "[NPLM] {} tokens, order {}, width {} and {} hidden units; there must be at least 1 token, order 2 and width 1",
        vocabulary, o.order, o.width, o.hidden);
  C = nn::init::normal_(empty({vocabulary, o.width}, o.dtype));
  const int64_t inputs = Dims{o.order - 1, o.width}.product("NPLM");
  if (o.hidden > 0) {
    H = started({o.hidden, inputs}, inputs, o.dtype);
    d = started({o.hidden}, inputs, o.dtype);
    U = started({vocabulary, o.hidden}, o.hidden, o.dtype);
  }
  if (o.direct) W = started({vocabulary, inputs}, inputs, o.dtype);
  b = zeros({vocabulary}, o.dtype);
}

Tensor NPLM::forward(const Tensor& tokens) {
  if (tokens.rank() < 1 || tokens.size(-1) != order - 1)
    fail<ShapeError>("[NPLM] tokens {}; the last dimension must be the {} tokens before", tokens.shape(), order - 1);
  if (!H.defined() && !W.defined()) {
    Shape shape = tokens.shape();
    shape[-1] = b.size(0);
    return expand(b, shape);
  }
  const Tensor x = embedding(C, tokens).flatten(-2);
  if (!H.defined()) return linear(x, W, b);
  const Tensor y = linear(tanh(linear(x, H, d)), U, b);
  return W.defined() ? y + linear(x, W) : y;
}

std::string NPLM::settings() const {
  return fmt::format("{}, order = {}, width = {}, hidden = {}, direct = {}", C.size(0), order, C.size(1),
                     H.defined() ? H.size(0) : 0, W.defined());
}

}  // namespace cotangent::zoo
