// Random words from a counter, and what is made of them.
#include <cotangent/tensor/kernels/math.hpp>
#include <cotangent/tensor/kernels/random.hpp>

namespace cotangent::kernels {
namespace {

constexpr uint32_t kMultiplier0 = 0xD2511F53u, kMultiplier1 = 0xCD9E8D57u;
constexpr uint32_t kWeyl0 = 0x9E3779B9u, kWeyl1 = 0xBB67AE85u;

// Philox 4x32-10. Block b holds the words 4b to 4b + 3; its counter is (low b, high b, 0, 0).
void philox(uint64_t key, uint64_t first_block, int64_t blocks, uint32_t* words) {
#pragma omp simd
  for (int64_t i = 0; i < blocks; ++i) {
    const uint64_t block = first_block + static_cast<uint64_t>(i);
    uint32_t c0 = static_cast<uint32_t>(block), c1 = static_cast<uint32_t>(block >> 32), c2 = 0, c3 = 0;
    uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
#pragma GCC unroll 10
    for (int round = 0; round < 10; ++round) {
      const uint64_t p0 = static_cast<uint64_t>(c0) * kMultiplier0, p1 = static_cast<uint64_t>(c2) * kMultiplier1;
      c0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0;
      c2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
      c1 = static_cast<uint32_t>(p1);
      c3 = static_cast<uint32_t>(p0);
      k0 += kWeyl0, k1 += kWeyl1;
    }
    words[4 * i] = c0, words[4 * i + 1] = c1, words[4 * i + 2] = c2, words[4 * i + 3] = c3;
  }
}

// A number in [0, 1) has as many random bits as its type has digits.
void uniform(const uint32_t* words, float* y, int64_t n, double low, double high, double below) {
  const float start = static_cast<float>(low), range = static_cast<float>(high - low), last = static_cast<float>(below);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const float v = start + static_cast<float>(static_cast<int32_t>(words[i] >> 8)) * 0x1p-24f * range;
    y[i] = v < last ? v : last;
  }
}
inline double unit_double(uint32_t low, uint32_t high) {  // in [0, 1), a multiple of 2^-53
  return static_cast<double>(static_cast<int32_t>(high >> 6)) * 0x1p-26 +
         static_cast<double>(static_cast<int32_t>(low >> 5)) * 0x1p-53;
}
void uniform(const uint32_t* words, double* y, int64_t n, double low, double high, double below) {
  const double range = high - low;
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) {
    const double v = low + unit_double(words[2 * i], words[2 * i + 1]) * range;
    y[i] = v < below ? v : below;
  }
}

// Box and Muller: a radius and an angle give two independent normal values. n is even. The sine is a cosine a quarter
// turn later: compilers join a sine and a cosine of one angle to a call that has no SIMD version.
constexpr double kTwoPi = 6.28318530717958647693;
void normal(const uint32_t* words, float* y, int64_t n, double mean, double std) {
  const float m = static_cast<float>(mean), s = static_cast<float>(std);
#pragma omp simd
  for (int64_t i = 0; i < n / 2; ++i) {
    // 1 - (a multiple of 2^-31) loses nothing near 0, where the tail is
    const float u = (static_cast<float>(static_cast<int32_t>(words[2 * i] >> 1)) + 1.0f) * 0x1p-31f;
    const float angle =
        static_cast<float>(static_cast<int32_t>(words[2 * i + 1] >> 8)) * static_cast<float>(kTwoPi * 0x1p-24);
    const float radius = m_sqrt(-2.0f * m_log(u)) * s;
    y[2 * i] = m + radius * m_cos(angle);
    y[2 * i + 1] = m + radius * m_cos(angle - static_cast<float>(kTwoPi / 4));
  }
}
void normal(const uint32_t* words, double* y, int64_t n, double mean, double std) {
#pragma omp simd
  for (int64_t i = 0; i < n / 2; ++i) {
    const double u = unit_double(words[4 * i], words[4 * i + 1]) + 0x1p-53;
    const double angle = unit_double(words[4 * i + 2], words[4 * i + 3]) * kTwoPi;
    const double radius = m_sqrt(-2.0 * m_log(u)) * std;
    y[2 * i] = mean + radius * m_cos(angle);
    y[2 * i + 1] = mean + radius * m_cos(angle - kTwoPi / 4);
  }
}

// y = x * scale where the word lies below the threshold (of 2^32), else 0.
template <class T>
void keep_below(const uint32_t* words, uint32_t last, const T* x, T* y, int64_t n, double scale) {
  const T s = static_cast<T>(scale);
#pragma omp simd
  for (int64_t i = 0; i < n; ++i) y[i] = words[i] <= last ? x[i] * s : T(0);
}

template <class T>
RandomLoops<T> loops() {
  return {uniform, normal, keep_below<T>};
}

}  // namespace

namespace COTANGENT_ISA {
void fill(RandomTable& t) { t = {{loops<float>(), loops<double>()}, philox}; }
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
