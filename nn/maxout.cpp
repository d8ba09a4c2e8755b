#include <cotangent/nn/maxout.hpp>

#include <cotangent/autograd/ops/gated.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {
namespace {
int64_t checked(int64_t pieces) {
  if (pieces < 1) fail<ValueError>("[Maxout] {} pieces; there must be at least 1", pieces);
  return pieces;
}
}  // namespace

Maxout::Maxout(int64_t in, int64_t out, int64_t pieces_, const LinearOptions& options)
    : pieces(checked(pieces_)), linear(in, Dims{out, pieces}.product("Maxout"), options) {}
Tensor Maxout::forward(const Tensor& x) { return maxout(linear(x), pieces); }
std::string Maxout::settings() const { return fmt::format("pieces = {}", pieces); }

}  // namespace cotangent::nn
