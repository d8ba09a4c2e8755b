// One step of a recurrent layer, between the matrix products: for each row of the batch n hidden units, whose gates
// stand in blocks of n one after another.
#include <cotangent/tensor/kernels/by_float.hpp>
#include <cotangent/tensor/kernels/math.hpp>
#include <cotangent/tensor/kernels/rnn.hpp>

namespace cotangent::kernels {
namespace {

template <class T>
void lstm(T* i, const T* before, T* c, T* h, int64_t rows, int64_t units, int64_t n) {
  for (int64_t r = 0; r < rows; ++r, i += 4 * n, before += n, c += n, h += n) {
    T *f = i + n, *g = f + n, *o = g + n;
#pragma omp simd
    for (int64_t k = 0; k < units; ++k) {
      i[k] = m_sigmoid(i[k]), f[k] = m_sigmoid(f[k]), g[k] = m_tanh(g[k]), o[k] = m_sigmoid(o[k]);
      c[k] = f[k] * before[k] + i[k] * g[k];
      h[k] = o[k] * m_tanh(c[k]);
    }
  }
}

template <class T>
void lstm_backward(const T* i, const T* before, const T* c, const T* dh, T* dc, T* di, int64_t rows, int64_t units,
                   int64_t n) {
  for (int64_t r = 0; r < rows; ++r, i += 4 * n, di += 4 * n, before += n, c += n, dh += n, dc += n) {
    const T *f = i + n, *g = f + n, *o = g + n;
    T *df = di + n, *dg = df + n, *d_o = dg + n;
#pragma omp simd
    for (int64_t k = 0; k < units; ++k) {
      const T s = m_tanh(c[k]), d = dc[k] + dh[k] * o[k] * (T(1) - s * s);
      di[k] = d * g[k] * i[k] * (T(1) - i[k]);
      df[k] = d * before[k] * f[k] * (T(1) - f[k]);
      dg[k] = d * i[k] * (T(1) - g[k] * g[k]);
      d_o[k] = dh[k] * s * o[k] * (T(1) - o[k]);
      dc[k] = d * f[k];
    }
  }
}

template <class T>
void gru(T* reset, const T* hidden, const T* before, T* kept, T* h, int64_t rows, int64_t units, int64_t n) {
  for (int64_t r = 0; r < rows; ++r, reset += 3 * n, hidden += 3 * units, before += n, kept += n, h += n) {
    T *z = reset + n, *c = z + n;
#pragma omp simd
    for (int64_t k = 0; k < units; ++k) {
      reset[k] = m_sigmoid(reset[k] + hidden[k]);
      z[k] = m_sigmoid(z[k] + hidden[units + k]);
      kept[k] = hidden[2 * units + k];
      c[k] = m_tanh(c[k] + reset[k] * kept[k]);
      h[k] = c[k] + z[k] * (before[k] - c[k]);
    }
  }
}

template <class T>
void gru_backward(const T* reset, const T* kept, const T* before, T* dh, T* dr, T* d_hidden, int64_t rows,
                  int64_t units, int64_t n) {
  for (int64_t r = 0; r < rows; ++r, reset += 3 * n, dr += 3 * n, d_hidden += 3 * n, kept += n, before += n, dh += n) {
    const T *z = reset + n, *c = z + n;
    T *dz = dr + n, *dc = dz + n;
#pragma omp simd
    for (int64_t k = 0; k < units; ++k) {
      const T d = dh[k] * (T(1) - z[k]) * (T(1) - c[k] * c[k]);
      dc[k] = d;
      d_hidden[2 * n + k] = d * reset[k];
      d_hidden[k] = dr[k] = d * kept[k] * reset[k] * (T(1) - reset[k]);
      d_hidden[n + k] = dz[k] = dh[k] * (before[k] - c[k]) * z[k] * (T(1) - z[k]);
      dh[k] *= z[k];
    }
  }
}

template <class T>
RecurrentLoops<T> loops() {
  return {lstm<T>, lstm_backward<T>, gru<T>, gru_backward<T>};
}

}  // namespace

namespace COTANGENT_ISA {
void fill(ByFloat<RecurrentLoops>& t) { t = {loops<float>(), loops<double>()}; }
}  // namespace COTANGENT_ISA
}  // namespace cotangent::kernels
