// Lines along the dimension do not meet: those that lie side by side in memory are the columns of a kernel, and threads
// share them. Where the dimension is the one that is contiguous, a few lines at a time are laid side by side first. A
// line is never cut: that would take two passes over it, for which two threads would not make up.
#include <cotangent/tensor/linear_scan.hpp>

#include <algorithm>

#include <cotangent/tensor/copy.hpp>
#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/memory/scratch_internal.hpp>
#include <cotangent/tensor/strided.hpp>

namespace cotangent::raw {
namespace {

constexpr int64_t kLines = 16;      // that are laid side by side at once
constexpr int64_t kSumSteps = 128;  // whose gradients are added up before float64 takes the sum

/// The lines of N operands, the first of which is dense.
template <size_t N>
class Lines {
 public:
  /// Operands that do not lie as a kernel wants them are replaced by copies.
  Lines(const Shape& shape, const LinearScan& way, const std::array<Tensor*, N>& operands)
      : steps(shape[way.dim]), width(way.complex ? 2 : 1), shape_(shape), walk_(walk_over(way, operands)) {
    along = walk_.inner_size() > 1 && walk_.inner_stride(0) != width;
    for (size_t k = 1; k < N; ++k) {
      const Tensor& x = *operands[k];
      const int64_t inner = walk_.inner_stride(int(k));
      const bool pairs_fit = !way.complex || x.strides().back() == 1,
                 columns_fit = along || walk_.inner_size() == 1 || inner == 0 || inner == width,
                 lines_fit = !along || way.complex || x.shape()[way.dim] == 1 || x.strides()[way.dim] <= 1;
      if (!pairs_fit || !columns_fit || !lines_fit) *operands[k] = contiguous(x);
    }
    walk_ = walk_over(way, operands);
    for (size_t k = 0; k < N; ++k) stride[k] = operands[k]->shape()[way.dim] == 1 ? 0 : operands[k]->strides()[way.dim];
  }
  /// body(at, n): n lines from the elements `at` on, of operand k `apart(k)` from one another.
  template <class Body>
  void run(Body&& body) const {
    walk_.run(std::max<int64_t>(1, kElementGrain / (steps * width)), body);
  }
  int64_t apart(int k) const { return walk_.inner_stride(k); }

  int64_t steps, width;
  std::array<int64_t, N> stride;  ///< along the lines; 0 for an element that all steps share
  bool along;                     ///< lines are contiguous in themselves

 private:
  StridedWalk<N> walk_over(const LinearScan& way, const std::array<Tensor*, N>& operands) const {
    Shape lines = shape_;
    lines[way.dim] = 1;
    if (way.complex) lines.back() = 1;
    std::array<const Strides*, N> strides;
    for (size_t k = 0; k < N; ++k) strides[k] = &operands[k]->strides();
    return StridedWalk<N>(lines, strides);
  }
  Shape shape_;
  StridedWalk<N> walk_;
};

/// Columns as a kernel takes them: the first step, and the way to the next.
template <class T>
struct Columns {
  T* first;
  int64_t step;
  bool one;  ///< element for all columns
};
/// The same from the other end, where `turned`.
template <class T>
Columns<T> columns(T* x, int64_t stride, int64_t steps, bool turned, bool one = false) {
  return {turned ? x + stride * (steps - 1) : x, turned ? -stride : stride, one};
}

/// Lines laid side by side.
template <class T>
class SideBySide {
 public:
  SideBySide(int64_t steps, int64_t lines) : data_(steps * lines), steps_(steps), lines_(lines) {}
  /// Of lines `apart` from one another, whose elements are contiguous, or one if `stride` is 0.
  SideBySide(const T* x, int64_t stride, int64_t apart, int64_t steps, int64_t lines)
      : SideBySide(stride ? steps : 1, lines) {
    kernels::kernels().copy.of<T>().transpose(x, lines_, steps_, apart, data_.data(), lines_);
  }
  void store(T* y, int64_t apart) const {
    kernels::kernels().copy.of<T>().transpose(data_.data(), steps_, lines_, lines_, y, apart);
  }
  Columns<T> columns(bool turned) const { return raw::columns(data_.data(), steps_ > 1 ? lines_ : 0, steps_, turned); }

 private:
  Scratch<T> data_;
  int64_t steps_, lines_;
};

template <class T>
const kernels::LinearScanLoops<T>& loops_of(const LinearScan& way) {
  const kernels::LinearScanTable& table = kernels::kernels().linear_scan;
  return (way.complex ? table.pairs : table.real).of<T>();
}

/// Calls side_by_side(i, lines) for several lines from the i-th on, or one(i, 1).
template <class Several, class One>
void for_lines(int64_t n, bool complex, Several side_by_side, One one) {
  for (int64_t i = 0; i < n;) {
    const int64_t lines = std::min(kLines, n - i);
    const bool several = !complex && lines >= kLines / 2;
    several ? side_by_side(i, lines) : one(i, 1);
    i += several ? lines : 1;
  }
}

}  // namespace

Tensor linear_scan(const char* op, const Tensor& a, const Tensor& b, const Tensor& initial, const LinearScan& way) {
  Tensor h = detail::make_tensor(b.shape(), b.dtype(), op);
  if (h.numel() == 0) return h;
  Tensor factors = a, terms = b, before = initial.defined() ? contiguous(initial) : h;
  const Lines<4> l(h.shape(), way, {&h, &factors, &terms, &before});
  dispatch_compute(op, b.dtype(), [&]<class T> {
    const auto run = [&](const Columns<T>& x, const Columns<T>& y, const T* state, const Columns<T>& to,
                         int64_t count) {
      loops_of<T>(way).scan(x.first - (way.shifted ? x.step : 0), y.first, state, to.first,
                            {l.steps, count, x.step, y.step, to.step, x.one, y.one}, way.conjugate);
    };
    l.run([&](const std::array<int64_t, 4>& at, int64_t n) {
      T *to = h.data<T>() + at[0], *x = factors.data<T>() + at[1], *y = terms.data<T>() + at[2];
      const T* state = initial.defined() ? before.data<T>() + at[3] : nullptr;
      const auto in_place = [&](int64_t i, int64_t count) {
        const auto of = [&](T* p, int k) {
          return columns(p + i * l.apart(k), l.stride[size_t(k)], l.steps, way.reverse, l.apart(k) == 0);
        };
        run(of(x, 1), of(y, 2), state ? state + i * l.width : nullptr, of(to, 0), count);
      };
      if (!l.along) return in_place(0, n);
      for_lines(
          n, way.complex,
          [&](int64_t i, int64_t lines) {
            const auto laid = [&](const T* p, int k) {
              return SideBySide<T>(p + i * l.apart(k), l.stride[size_t(k)], l.apart(k), l.steps, lines);
            };
            const SideBySide<T> factor = laid(x, 1), term = laid(y, 2), result(l.steps, lines);
            run(factor.columns(way.reverse), term.columns(way.reverse), state ? state + i : nullptr,
                result.columns(way.reverse), lines);
            result.store(to + i * l.apart(0), l.apart(0));
          },
          in_place);
    });
  });
  return h;
}

LinearScanGradients linear_scan_backward(const char* op, Tensor dh, const Tensor& a, const Tensor& h,
                                         const Tensor& initial, const LinearScan& way) {
  dh = contiguous(dh);
  Tensor r = in_place_of(dh);
  Tensor da = detail::make_tensor(a.shape(), a.dtype(), op);
  if (h.numel() == 0) {
    fill_into(da, 0, op);
    return {da, r};
  }
  Tensor factors = a, results = h, before = initial.defined() ? contiguous(initial) : r;
  const Lines<6> l(h.shape(), way, {&r, &factors, &dh, &results, &before, &da});
  dispatch_compute(op, h.dtype(), [&]<class T> {
    // step by step from the last: `last` is the state before the first
    const auto run = [&](const Columns<T>& x, const Columns<T>& g, const Columns<T>& y, const T* last,
                         const Columns<T>& to, const Columns<T>& d, int64_t count) {
      const auto& loop = loops_of<T>(way).backward;
      const T *from_x = x.first - x.step, *from_y = y.first + y.step;
      if (d.step != 0)
        return loop(from_x, g.first, from_y, last, nullptr, to.first, d.first,
                    {l.steps, count, x.step, g.step, y.step, to.step, d.step, x.one});
      const int64_t elements = count * l.width;
      const Scratch<double> total(elements);
      const Scratch<T> part(elements);
      std::fill_n(total.data(), elements, 0.0);
      for (int64_t t = 0; t < l.steps; t += kSumSteps) {
        const int64_t steps = std::min(kSumSteps, l.steps - t);
        const T* state = t + steps < l.steps ? from_y + (t + steps - 1) * y.step : last;
        std::fill_n(part.data(), elements, T(0));
        loop(from_x + t * x.step, g.first + t * g.step, from_y + t * y.step, state,
             t > 0 ? to.first + (t - 1) * to.step : nullptr, to.first + t * to.step, part.data(),
             {steps, count, x.step, g.step, y.step, to.step, 0, x.one});
        for (int64_t j = 0; j < elements; ++j) total[j] += static_cast<double>(part[j]);
      }
      for (int64_t j = 0; j < elements; ++j) d.first[j] = static_cast<T>(total[j]);
    };
    l.run([&](const std::array<int64_t, 6>& at, int64_t n) {
      T *to = r.data<T>() + at[0], *x = factors.data<T>() + at[1], *g = dh.data<T>() + at[2],
        *y = results.data<T>() + at[3], *d = da.data<T>() + at[5];
      const T* last = initial.defined() ? before.data<T>() + at[4] : nullptr;
      const bool turned = !way.reverse;
      const auto in_place = [&](int64_t i, int64_t count) {
        const auto of = [&](T* p, int k) {
          return columns(p + i * l.apart(k), l.stride[size_t(k)], l.steps, turned, l.apart(k) == 0);
        };
        run(of(x, 1), of(g, 2), of(y, 3), last ? last + i * l.width : nullptr, of(to, 0), of(d, 5), count);
      };
      if (!l.along) return in_place(0, n);
      for_lines(
          n, way.complex,
          [&](int64_t i, int64_t lines) {
            const auto laid = [&](const T* p, int k) {
              return SideBySide<T>(p + i * l.apart(k), l.stride[size_t(k)], l.apart(k), l.steps, lines);
            };
            const SideBySide<T> factor = laid(x, 1), gradient = laid(g, 2), result = laid(y, 3),
                                of_factor(l.stride[5] ? l.steps : 1, lines);
            run(factor.columns(turned), gradient.columns(turned), result.columns(turned), last ? last + i : nullptr,
                gradient.columns(turned), of_factor.columns(turned), lines);
            gradient.store(to + i * l.apart(0), l.apart(0));
            of_factor.store(d + i * l.apart(5), l.apart(5));
          },
          in_place);
    });
  });
  return {da, r};
}

}  // namespace cotangent::raw
