// Functions of this folder as members of Tensor. (The views' are in view.cpp, the writes' in inplace.cpp.)
#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/scan.hpp>
#include <cotangent/autograd/ops/softmax.hpp>
#include <cotangent/autograd/ops/statistics.hpp>

namespace cotangent {

Tensor Tensor::sum(const DimList& dims, bool keepdim) const { return cotangent::sum(*this, dims, keepdim); }
Tensor Tensor::mean(const DimList& dims, bool keepdim) const { return cotangent::mean(*this, dims, keepdim); }
Tensor Tensor::prod(const DimList& dims, bool keepdim) const { return cotangent::prod(*this, dims, keepdim); }
Tensor Tensor::amax(const DimList& dims, bool keepdim) const { return cotangent::amax(*this, dims, keepdim); }
Tensor Tensor::amin(const DimList& dims, bool keepdim) const { return cotangent::amin(*this, dims, keepdim); }
Tensor Tensor::max() const { return cotangent::max(*this); }
Tensor Tensor::min() const { return cotangent::min(*this); }
Extreme Tensor::max(int64_t dim, bool keepdim) const { return cotangent::max(*this, dim, keepdim); }
Extreme Tensor::min(int64_t dim, bool keepdim) const { return cotangent::min(*this, dim, keepdim); }
Tensor Tensor::argmax() const { return cotangent::argmax(*this); }
Tensor Tensor::argmin() const { return cotangent::argmin(*this); }
Tensor Tensor::argmax(int64_t dim, bool keepdim) const { return cotangent::argmax(*this, dim, keepdim); }
Tensor Tensor::argmin(int64_t dim, bool keepdim) const { return cotangent::argmin(*this, dim, keepdim); }
Tensor Tensor::all(const DimList& dims, bool keepdim) const { return cotangent::all(*this, dims, keepdim); }
Tensor Tensor::any(const DimList& dims, bool keepdim) const { return cotangent::any(*this, dims, keepdim); }
Tensor Tensor::var(const DimList& dims) const { return cotangent::var(*this, dims); }
Tensor Tensor::var(const DimList& dims, const VarOptions& o) const { return cotangent::var(*this, dims, o); }
Tensor Tensor::std(const DimList& dims) const { return cotangent::std(*this, dims); }
Tensor Tensor::std(const DimList& dims, const VarOptions& o) const { return cotangent::std(*this, dims, o); }
Tensor Tensor::norm(double p, const DimList& dims, bool keepdim) const {
  return cotangent::norm(*this, p, dims, keepdim);
}
Tensor Tensor::logsumexp(const DimList& dims, bool keepdim) const { return cotangent::logsumexp(*this, dims, keepdim); }
Tensor Tensor::cumsum(int64_t dim) const { return cotangent::cumsum(*this, dim); }

Tensor Tensor::exp() const { return cotangent::exp(*this); }
Tensor Tensor::log() const { return cotangent::log(*this); }
Tensor Tensor::sqrt() const { return cotangent::sqrt(*this); }
Tensor Tensor::square() const { return cotangent::square(*this); }
Tensor Tensor::abs() const { return cotangent::abs(*this); }
Tensor Tensor::sin() const { return cotangent::sin(*this); }
Tensor Tensor::cos() const { return cotangent::cos(*this); }
Tensor Tensor::tanh() const { return cotangent::tanh(*this); }
Tensor Tensor::sigmoid() const { return cotangent::sigmoid(*this); }
Tensor Tensor::relu() const { return cotangent::relu(*this); }
Tensor Tensor::softmax(int64_t dim) const { return cotangent::softmax(*this, dim); }
Tensor Tensor::log_softmax(int64_t dim) const { return cotangent::log_softmax(*this, dim); }
Tensor Tensor::pow(const Tensor& exponent) const { return cotangent::pow(*this, exponent); }
Tensor Tensor::pow(const Scalar& exponent) const { return cotangent::pow(*this, exponent); }
Tensor Tensor::matmul(const Tensor& other) const { return cotangent::matmul(*this, other); }

}  // namespace cotangent
