#include <cotangent/tensor/fft.hpp>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <mutex>
#include <numbers>
#include <vector>

#include <cotangent/tensor/copy.hpp>
#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/memory/scratch_internal.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/reduce.hpp>
#include <cotangent/tensor/views.hpp>

namespace cotangent::raw {
namespace {

using detail::make_tensor;
using kernels::FftBlocks;
using kernels::FftPlan;
using kernels::FftRows;

constexpr int64_t kGrain = 16384;  // numbers that a thread transforms at least

/// exp(-2 pi i j / n), from an angle of at most an eighth of a turn.
template <class T>
void put_root(int64_t j, int64_t n, T* pair) {
  const int64_t quarter = (4 * j + n / 2) / n, rest = 4 * j - quarter * n;
  const double angle = std::numbers::pi / 2 * static_cast<double>(rest) / static_cast<double>(n), c = std::cos(angle),
               s = std::sin(angle);
  const double re[4] = {c, -s, -c, s}, im[4] = {s, c, -s, -c};
  pair[0] = static_cast<T>(re[quarter % 4]), pair[1] = static_cast<T>(-im[quarter % 4]);
}
/// The first `count` of the roots of n.
template <class T>
std::vector<T> roots(int64_t count, int64_t n) {
  std::vector<T> pairs(static_cast<size_t>(2 * count));
  for (int64_t j = 0; j < count; ++j) put_root(j, n, &pairs[static_cast<size_t>(2 * j)]);
  return pairs;
}

bool is_smooth(int64_t n) {
  for (int64_t p : {2, 3, 5})
    while (n % p == 0) n /= p;
  return n == 1;
}

/// The tables of P for n, which are made once.
template <class P>
std::shared_ptr<const P> tables(int64_t n) {
  constexpr size_t kMost = 32;
  static std::mutex mutex;
  static std::map<int64_t, std::shared_ptr<const P>> made;
  {
    const std::lock_guard lock(mutex);
    if (const auto found = made.find(n); found != made.end()) return found->second;
  }
  auto fresh = std::make_shared<const P>(n);
  const std::lock_guard lock(mutex);
  if (made.size() >= kMost) made.clear();
  return made[n] = fresh;
}

template <class T>
struct Plan {
  explicit Plan(int64_t n) : numbers(n) {
    plan.n = n;
    if (is_smooth(n)) {
      choose_radices(n);
      roots_ = roots<T>(n, n);
      plan.radices = radices_.data(), plan.stages = static_cast<int>(radices_.size()), plan.roots = roots_.data();
      return;
    }
    int64_t m = 2 * n - 1;
    while (!is_smooth(m)) ++m;
    padded_ = tables<Plan>(m), numbers = m;
    // j^2 / 2n is a whole number of turns and j^2 mod 2n: a recurrence keeps the squares small
    chirp_.resize(static_cast<size_t>(2 * n));
    for (int64_t j = 0, square = 0; j < n; square = (square + 2 * j + 1) % (2 * n), ++j)
      put_root(square, 2 * n, &chirp_[static_cast<size_t>(2 * j)]);
    std::vector<T> x(static_cast<size_t>(2 * m)), y(x.size());
    for (int64_t j = 0; j < n; ++j)
      for (const int64_t at : {j, (m - j) % m}) {
        x[static_cast<size_t>(2 * at)] = chirp_[static_cast<size_t>(2 * j)];
        x[static_cast<size_t>(2 * at + 1)] = -chirp_[static_cast<size_t>(2 * j + 1)];
      }
    const T* found =
        kernels::kernels().fft.of<T>().single.transform(padded_->plan, T(1) / static_cast<T>(m), x.data(), y.data());
    chirp_transform_.assign(found, found + 2 * m);
    plan.padded = &padded_->plan, plan.chirp = chirp_.data(), plan.chirp_transform = chirp_transform_.data();
  }

  FftPlan<T> plan{};
  int64_t numbers;  ///< complex ones that a transform needs room for, twice

 private:
  void choose_radices(int64_t n) {
    for (const int8_t r : {5, 3})
      for (; n % r == 0; n /= r) radices_.push_back(r);
    for (; n % 8 == 0 && n != 16; n /= 8) radices_.push_back(8);
    for (; n % 4 == 0; n /= 4) radices_.push_back(4);
    if (n == 2) radices_.push_back(2);
  }
  std::vector<int8_t> radices_;
  std::vector<T> roots_, chirp_, chirp_transform_;
  std::shared_ptr<const Plan> padded_;
};

/// For real rows of length n: as n / 2 complex numbers, or as n if that is odd.
template <class T>
struct RealPlan {
  explicit RealPlan(int64_t n_)
      : n(n_), h(n_ / 2), even(n_ % 2 == 0), turns(roots<T>(h + 1, n_)), complex(tables<Plan<T>>(even ? h : n_)) {}
  int64_t n, h;
  bool even;
  std::vector<T> turns;
  std::shared_ptr<const Plan<T>> complex;
  int64_t numbers() const { return std::max(complex->numbers, h + 1); }
};

/// The axes of a batch in an order, and where in memory each of its rows begins.
std::vector<int64_t> starts(const Shape& batch, const Strides& strides, const Dims& order) {
  std::vector<int64_t> at{0};
  at.reserve(static_cast<size_t>(batch.product()));
  for (int i = order.rank() - 1; i >= 0; --i) {  // the last axis runs fastest
    const int d = static_cast<int>(order[i]);
    const size_t inner = at.size();
    for (int64_t j = 1; j < batch[d]; ++j)
      for (size_t k = 0; k < inner; ++k) at.push_back(at[k] + j * strides[d]);
  }
  return at;
}
Dims in_order(int rank) {
  Dims order;
  for (int d = 0; d < rank; ++d) order.push_back(d);
  return order;
}

/// The rows of a tensor along its last axis, or the last but one for pairs.
struct Rows {
  Rows(const Tensor& x, bool pairs_) : pairs(pairs_) {
    const int rank = x.rank() - (pairs ? 2 : 1);
    at = starts(x.shape().slice(0, rank), x.strides().slice(0, rank), in_order(rank));
    step = x.strides()[rank];
  }
  Rows(std::vector<int64_t> at_, int64_t step_, bool pairs_) : at(std::move(at_)), step(step_), pairs(pairs_) {}
  FftRows part(int64_t first, int64_t count) const { return {at.data() + first, count, step, pairs}; }
  std::vector<int64_t> at;
  int64_t step;
  bool pairs;
};

/// Complex numbers that can be read as they lie.
Tensor with_pairs(const Tensor& z) { return z.strides()[z.rank() - 1] == 1 ? z : contiguous(z); }

/// Two rows do not fill a vector well enough to pay for the rest of it.
template <class T>
const FftBlocks<T>& blocks_for(int64_t rows) {
  const auto& loops = kernels::kernels().fft.of<T>();
  return rows > 2 ? loops.wide : loops.single;
}

/// Space for blocks of some complex numbers each.
template <class T>
class Space {
 public:
  Space(const FftBlocks<T>& blocks, int64_t numbers, int count)
      : size_(2 * blocks.lanes * numbers), memory_(size_ * count) {}
  T* operator[](int i) const { return memory_.data() + i * size_; }

 private:
  int64_t size_;
  Scratch<T> memory_;
};

/// body(blocks, first row, rows, space) for all rows in blocks, with space for `count` of `numbers`.
template <class T, class F>
void for_blocks(int64_t rows, int64_t numbers, int count, F&& body) {
  const FftBlocks<T>& b = blocks_for<T>(rows);
  const int64_t lanes = b.lanes;
  parallel_for(0, (rows + lanes - 1) / lanes, 1 + kGrain / (lanes * numbers), [&](int64_t from, int64_t to) {
    const Space<T> space(b, numbers, count);
    for (int64_t i = from; i < to; ++i) body(b, i * lanes, std::min(lanes, rows - i * lanes), space);
  });
}

/// The first elements of rows, and zeros up to `elements`.
template <class T>
void read(const FftBlocks<T>& b, const T* x, const FftRows& rows, int64_t there, int64_t elements, T* block) {
  const int64_t taken = std::min(there, elements);
  b.gather(x, rows, taken, block);
  std::fill(block + taken * b.lanes, block + elements * b.lanes, T(0));
}

Shape with_last(const Shape& batch, std::initializer_list<int64_t> sizes) {
  Shape shape = batch;
  for (int64_t n : sizes) shape.push_back(n);
  return shape;
}
Shape batch_of(const Tensor& x, bool pairs) { return x.shape().slice(0, x.rank() - (pairs ? 2 : 1)); }

}  // namespace

Tensor fft(const char* op, const Tensor& x_, int64_t n, double scale, bool inverse) {
  const Tensor x = with_pairs(x_), y = make_tensor(with_last(batch_of(x, true), {n, 2}), x.dtype());
  if (y.numel() == 0) return y;
  const Rows from(x, true), to(y, true);
  const int64_t there = x.size(-2);
  dispatch_compute(op, x.dtype(), [&]<class T> {
    const auto plan = tables<Plan<T>>(n);
    const auto body = [&](const FftBlocks<T>& b, int64_t first, int64_t rows, const Space<T>& space) {
      read(b, x.data<T>(), from.part(first, rows), 2 * there, 2 * n, space[0]);
      if (inverse) b.reverse(n, space[0]);
      b.scatter(b.transform(plan->plan, static_cast<T>(scale), space[0], space[1]), 2 * n, y.data<T>(),
                to.part(first, rows));
    };
    for_blocks<T>(static_cast<int64_t>(from.at.size()), plan->numbers, 2, body);
  });
  return y;
}

Tensor rfft(const char* op, const Tensor& x, int64_t n, double scale, double inner) {
  const int64_t there = x.size(-1), h = n / 2;
  const Tensor y = make_tensor(with_last(batch_of(x, false), {h + 1, 2}), x.dtype());
  if (y.numel() == 0) return y;
  const Rows from(x, false), to(y, true);
  dispatch_compute(op, x.dtype(), [&]<class T> {
    const auto plan = tables<RealPlan<T>>(n);
    const T factor = static_cast<T>(scale), inner_factor = static_cast<T>(inner);
    const auto body = [&](const FftBlocks<T>& b, int64_t first, int64_t rows, const Space<T>& space) {
      T *p = space[0], *q = space[1];
      read(b, x.data<T>(), from.part(first, rows), there, n, p);
      if (!plan->even) b.widen(n, p, q), std::swap(p, q);
      const T* z = b.transform(plan->complex->plan, T(1), p, q);
      T* spectrum = z == p ? q : p;
      if (plan->even) {
        b.split(h, plan->turns.data(), factor, inner_factor, z, spectrum);
      } else {
        spectrum = const_cast<T*>(z);
        b.scale_half(n, factor, inner_factor, spectrum);
      }
      b.scatter(spectrum, 2 * (h + 1), y.data<T>(), to.part(first, rows));
    };
    for_blocks<T>(static_cast<int64_t>(from.at.size()), plan->numbers(), 2, body);
  });
  return y;
}

Tensor irfft(const char* op, const Tensor& z_, int64_t n, double scale, double inner, int64_t length) {
  const Tensor z = with_pairs(z_), y = make_tensor(with_last(batch_of(z, true), {length}), z.dtype());
  if (y.numel() == 0) return y;
  const Rows from(z, true), to(y, false);
  const int64_t there = z.size(-2), h = n / 2;
  dispatch_compute(op, z.dtype(), [&]<class T> {
    const auto plan = tables<RealPlan<T>>(n);
    const T factor = static_cast<T>(scale), half = static_cast<T>(inner / 2);
    const auto body = [&](const FftBlocks<T>& b, int64_t first, int64_t rows, const Space<T>& space) {
      read(b, z.data<T>(), from.part(first, rows), 2 * there, 2 * (h + 1), space[0]);
      if (plan->even)
        b.join(h, plan->turns.data(), factor, half, space[0], space[1]);
      else
        b.mirror(n, half, space[0], space[1]);
      T* x = b.transform(plan->complex->plan, plan->even ? T(1) : factor, space[1], space[0]);
      if (!plan->even) {
        T* const reals = x == space[0] ? space[1] : space[0];
        b.narrow(n, x, reals), x = reals;
      }
      b.scatter(x, length, y.data<T>(), to.part(first, rows));
    };
    for_blocks<T>(static_cast<int64_t>(from.at.size()), plan->numbers(), 2, body);
  });
  return y;
}

int64_t fft_length(int64_t least) {
  int64_t h = (least + 1) / 2;
  while (!is_smooth(h)) ++h;
  return 2 * h;
}

namespace {

/// The rows of a batch, in an order in which those of one kernel's row follow one another every `kernels` rows.
struct ConvolutionRows {
  ConvolutionRows(const Tensor& x, const Shape& s) : batch(batch_of(x, false)) {
    const int rank = batch.rank(), missing = rank - (s.rank() - 2);
    for (const bool varies : {false, true})
      for (int d = 0; d < rank; ++d)
        if ((d >= missing && s[d - missing] != 1) == varies) {
          order.push_back(d);
          (varies ? kernels : repeats) *= batch[d];
        }
  }
  Rows of(const Tensor& x) const {
    const int rank = batch.rank();
    return {starts(batch, x.strides().slice(0, rank), order), x.strides()[rank], false};
  }
  /// Of a tensor of pairs whose axes are the last of the batch's.
  Rows of_kernels(const Tensor& s) const {
    Strides strides = Dims::filled(batch.rank(), 0);
    const int own = s.rank() - 2;
    for (int d = 0; d < own; ++d)
      if (s.shape()[d] != 1) strides[batch.rank() - own + d] = s.strides()[d];
    return {starts(batch, strides, order), s.strides()[own], true};
  }
  Shape batch;
  Dims order;
  int64_t kernels = 1, repeats = 1;
};

/// Rows that lie side by side stay so.
Tensor empty_like_rows(const Tensor& x, int64_t length) {
  Shape shape = with_last(batch_of(x, false), {length});
  if (shape.rank() < 2 || x.strides()[x.rank() - 2] != 1 || x.strides()[x.rank() - 1] == 1)
    return make_tensor(shape, x.dtype());
  std::swap(shape[-2 + shape.rank()], shape.back());
  return transpose("fft", make_tensor(shape, x.dtype()), -1, -2);
}

}  // namespace

Tensor fft_convolve(const char* op, const Tensor& x, const Tensor& s_, int64_t n, bool conjugate, int64_t kept) {
  const Tensor s = with_pairs(s_), y = empty_like_rows(x, kept);
  if (y.numel() == 0) return y;
  const ConvolutionRows order(x, s.shape());
  const Rows from = order.of(x), to = order.of(y), factors = order.of_kernels(s);
  const int64_t there = x.size(-1), h = n / 2, rows = order.kernels * order.repeats;
  dispatch_compute(op, x.dtype(), [&]<class T> {
    const auto plan = tables<RealPlan<T>>(n);
    const FftBlocks<T>& b = blocks_for<T>(rows);
    // a block has as many kernels' rows as it has lanes, for all repeats; few kernels: any rows, each with its own
    const int64_t lanes = b.lanes, group = order.kernels >= lanes ? order.kernels : rows, repeats = rows / group,
                  blocks = (group + lanes - 1) / lanes,
                  parts = std::clamp<int64_t>(2 * num_threads() / blocks, 1, repeats);
    parallel_for(0, blocks * parts, 1 + kGrain / (lanes * n * repeats), [&](int64_t begin, int64_t end) {
      const Space<T> space(b, plan->numbers(), 3);
      for (int64_t i = begin; i < end; ++i) {
        const int64_t first = i / parts * lanes, count = std::min(lanes, group - first);
        b.gather(s.data<T>(), factors.part(first, count), 2 * (h + 1), space[2]);
        for (int64_t r = i % parts * repeats / parts; r < (i % parts + 1) * repeats / parts; ++r) {
          const int64_t row = r * group + first;
          read(b, x.data<T>(), from.part(row, count), there, n, space[0]);
          T* const z = b.transform(plan->complex->plan, T(1), space[0], space[1]);
          b.multiply(h, plan->turns.data(), T(1) / static_cast<T>(n), space[2], conjugate, z);
          b.scatter(b.transform(plan->complex->plan, T(1), z, z == space[0] ? space[1] : space[0]), kept, y.data<T>(),
                    to.part(row, count));
        }
      }
    });
  });
  return y;
}

Tensor fft_correlate(const char* op, const Tensor& x, const Tensor& g, const Shape& shape, int64_t n, bool conjugate) {
  const Tensor y = make_tensor(shape, x.dtype());
  if (y.numel() == 0) return y;
  if (x.numel() == 0 || g.numel() == 0) {
    fill_into(y, 0);
    return y;
  }
  const ConvolutionRows order(x, shape);
  const int64_t h = n / 2, rows = order.kernels * order.repeats;
  dispatch_compute(op, x.dtype(), [&]<class T> {
    const FftBlocks<T>& b = blocks_for<T>(rows);
    // few kernels would leave lanes empty: each row by itself, and then their sums
    if (order.kernels < b.lanes && order.repeats > 1) {
      const Shape single = with_last(order.batch, {h + 1, 2});
      const Tensor each = fft_correlate(op, x, g, single, n, conjugate);
      uint32_t dims = 0;
      for (int d = 0; d < order.batch.rank(); ++d) {
        const int own = d - (single.rank() - shape.rank());
        if (own < 0 || shape[own] == 1) dims |= 1U << d;
      }
      copy_into(op, reshape(op, sum(op, each, dims), shape), y);
      return;
    }
    const auto plan = tables<RealPlan<T>>(n);
    const Rows from = order.of(x), by = order.of(g), to = order.of_kernels(y);
    const int64_t lanes = b.lanes, blocks = (order.kernels + lanes - 1) / lanes;
    parallel_for(0, blocks, 1 + kGrain / (lanes * n * order.repeats), [&](int64_t begin, int64_t end) {
      const Space<T> space(b, plan->numbers(), 5);
      for (int64_t i = begin; i < end; ++i) {
        const int64_t first = i * lanes, count = std::min(lanes, order.kernels - first);
        T* const total = space[4];
        std::fill(total, total + 2 * (h + 1) * lanes, T(0));
        for (int64_t r = 0; r < order.repeats; ++r) {
          const int64_t row = r * order.kernels + first;
          const auto transformed = [&](const Tensor& t, const Rows& all, int at) {
            read(b, t.data<T>(), all.part(row, count), t.size(-1), n, space[at]);
            return b.transform(plan->complex->plan, T(1), space[at], space[at + 1]);
          };
          b.correlate(h, plan->turns.data(), transformed(x, from, 0), transformed(g, by, 2), conjugate, total);
        }
        b.scale_half(n, T(1) / static_cast<T>(n), T(2), total);
        b.scatter(total, 2 * (h + 1), y.data<T>(), to.part(first, count));
      }
    });
  });
  return y;
}

}  // namespace cotangent::raw
