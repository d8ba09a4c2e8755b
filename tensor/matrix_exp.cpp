#include <limits>
#include <span>

#include <cotangent/tensor/gemm.hpp>
#include <cotangent/tensor/lapack.hpp>
#include <cotangent/tensor/lapack_internal.hpp>

// Scaling and squaring (Higham, "The scaling and squaring method for the matrix exponential revisited", 2005):
// e^a = r(a / 2^s)^(2^s), where r = p(a) / p(-a) is the Pade approximant of the least degree m that is exact to
// rounding for the norm of a. As all is a function of a, it does not matter that LAPACK sees the transposes.
namespace cotangent::raw {
namespace {

/// p's coefficients, and up to which norm it serves.
struct Pade {
  double theta;
  std::span<const double> b;
};
constexpr double b3[] = {120, 60, 12, 1}, b5[] = {30240, 15120, 3360, 420, 30, 1},
                 b7[] = {17297280, 8648640, 1995840, 277200, 25200, 1512, 56, 1},
                 b9[] = {17643225600, 8821612800, 2075673600, 302702400, 30270240, 2162160, 110880, 3960, 90, 1},
                 b13[] = {64764752532480000,
                          32382376266240000,
                          7771770303897600,
                          1187353796428800,
                          129060195264000,
                          10559470521600,
                          670442572800,
                          33522128640,
                          1323241920,
                          40840800,
                          960960,
                          16380,
                          182,
                          1};
constexpr Pade kForFloat[] = {{4.258730016922831e-01, b3}, {1.880152677804762e+00, b5}, {3.925724783138660e+00, b7}},
               kForDouble[] = {{1.495585217958292e-02, b3},
                               {2.539398330063230e-01, b5},
                               {9.504178996162932e-01, b7},
                               {2.097847961257068e+00, b9},
                               {5.371920351148152e+00, b13}};

/// Matrices of one size, in one piece of memory.
template <class T>
class Matrices {
 public:
  Matrices(int n, int count) : n_(n), size_(int64_t{n} * n), all_(size_ * count) {}
  T* operator[](int i) const { return all_.data() + i * size_; }
  /// y = a b + beta y
  void multiply(const T* a, const T* b, T* y, T beta = 0) const {
    gemm<T>(n_, n_, n_, {a, n_, 1}, {b, n_, 1}, y, n_, 1, beta);
  }
  /// y = constant I + sum over k of c[2k] powers[k]
  void combine(const double* c, int count, double constant, T* y) const {
    std::fill_n(y, size_, T(0));
    for (int64_t i = 0; i < n_; ++i) y[i * (n_ + 1)] = static_cast<T>(constant);
    for (int k = 0; k < count; ++k) {
      const T factor = static_cast<T>(c[2 * k]);
      const T* const power = (*this)[k];
      for (int64_t i = 0; i < size_; ++i) y[i] += factor * power[i];
    }
  }

 private:
  int64_t n_, size_;
  Scratch<T> all_;
};

/// y = e^x, for x and y by rows.
template <class T>
void exponential(int n, const T* x, T* y) {
  const int64_t size = int64_t{n} * n;
  double norm = 0;
  for (int64_t i = 0; i < n; ++i) {
    double sum = 0;
    for (int64_t j = 0; j < n; ++j) sum += std::abs(static_cast<double>(x[i * n + j]));
    norm = std::max(norm, std::min(sum, std::numeric_limits<double>::max()));
  }
  std::span<const Pade> all(kForDouble);
  if constexpr (std::is_same_v<T, float>) all = kForFloat;
  size_t degree = 0;
  while (degree + 1 < all.size() && norm > all[degree].theta) ++degree;
  const Pade& pade = all[degree];
  const int halvings = norm > pade.theta ? static_cast<int>(std::ceil(std::log2(norm / pade.theta))) : 0;

  const int powers = std::min<int>(static_cast<int>(pade.b.size()) / 2 - 1, 4), used = pade.b.size() > 10 ? 3 : powers;
  enum { a = 4, u, v, t };
  const Matrices<T> m(n, 8);  // the first are x^2, x^4 ..
  for (int64_t i = 0; i < size; ++i) m[a][i] = static_cast<T>(std::ldexp(static_cast<double>(x[i]), -halvings));
  m.multiply(m[a], m[a], m[0]);
  for (int k = 1; k < used; ++k) m.multiply(m[k - 1], m[0], m[k]);
  const double* const b = pade.b.data();
  // p(x) = v + u, with the odd powers in u
  m.combine(b + 3, used, b[1], m[t]);
  m.combine(b + 2, used, b[0], m[v]);
  if (used < powers) {  // degree 13: the powers beyond x^6 are multiples of it
    m.combine(b + 9, used, 0, m[u]);
    m.multiply(m[2], m[u], m[t], 1);
    m.combine(b + 8, used, 0, m[u]);
    m.multiply(m[2], m[u], m[v], 1);
  }
  m.multiply(m[a], m[t], m[u]);
  for (int64_t i = 0; i < size; ++i) y[i] = m[v][i] + m[u][i], m[v][i] -= m[u][i];
  const Scratch<int> pivots(n);
  solve_into(n, n, m[v], pivots.data(), y);
  for (int i = 0; i < halvings; ++i) {
    std::copy_n(y, size, m[t]);
    m.multiply(m[t], m[t], y);
  }
}

}  // namespace

Tensor matrix_exp(const char* op, const Tensor& a) {
  const int n = lapack_size(op, a.size(-1));
  const Tensor x = contiguous(a), y = detail::make_tensor(a.shape(), a.dtype(), op);
  const int64_t size = int64_t{n} * n;
  dispatch_compute(op, a.dtype(), [&]<class T> {
    for_each_matrix(
        size > 0 ? batch_of(a).product() : 0, 20 * size * n,
        [&](int64_t i) {
          const T* const from = x.data<T>() + i * size;
          T* const to = y.data<T>() + i * size;
          if (all_finite(from, size))
            exponential(n, from, to);
          else
            std::fill_n(to, size, std::numeric_limits<T>::quiet_NaN());
          return 0;
        },
        [](int64_t, int) {});
  });
  return y;
}

}  // namespace cotangent::raw
