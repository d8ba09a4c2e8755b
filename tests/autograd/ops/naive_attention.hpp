#pragma once
// What the op tables of the attentions share: loops that read as the definitions do.
#include <cotangent/tensor/create.hpp>
#include <cotangent/tests/autograd/op_info.hpp>

namespace cotangent {

/// The elements of a (B, H, T, d) tensor.
struct Array {
  explicit Array(const Tensor& x) : shape(x.shape()), values(x.detach().to_vector<double>()) {}
  double operator()(int64_t b, int64_t h, int64_t t, int64_t c) const {
    return values[static_cast<size_t>(((b * shape[1] + h) * shape[2] + t) * shape[3] + c)];
  }
  Shape shape;
  std::vector<double> values;
};

/// q_i . k_j
inline double dot(const Array& q, const Array& k, int64_t b, int64_t h, int64_t i, int64_t j) {
  double s = 0;
  for (int64_t f = 0; f < q.shape[3]; ++f) s += q(b, h, i, f) * k(b, h, j, f);
  return s;
}

/// Calls weigh(b, h, i, j) for all, and returns y_i = sum_j weight_ij v_j, or that / (eps + sum_j weight_ij).
template <class F>
Tensor weighted(const Tensor& q, const Tensor& v, bool normalize, double eps, F weigh) {
  const Array values(v);
  const int64_t B = v.size(0), H = v.size(1), Tq = q.size(2), Tk = v.size(2), n = v.size(3);
  std::vector<double> out;
  for (int64_t b = 0; b < B; ++b)
    for (int64_t h = 0; h < H; ++h)
      for (int64_t i = 0; i < Tq; ++i)
        for (int64_t c = 0; c < n; ++c) {
          double y = 0, total = eps;
          for (int64_t j = 0; j < Tk; ++j) {
            const double w = weigh(b, h, i, j);
            total += w, y += w * values(b, h, j, c);
          }
          out.push_back(normalize ? y / total : y);
        }
  return from_vector(out, {B, H, Tq, n});
}

}  // namespace cotangent
