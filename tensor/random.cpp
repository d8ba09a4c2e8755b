#include <cotangent/tensor/random.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/kernels/kernels.hpp>
#include <cotangent/tensor/parallel.hpp>

namespace cotangent {
namespace {

using detail::make_tensor;

// Numbers are made in chunks of this many words, always whole ones: what a number is does not depend on how many are
// drawn.
constexpr int64_t kChunk = 1024;
constexpr int64_t kGrain = 8;     // chunks a thread should have at least
constexpr int64_t kGranule = 64;  // words; a multiple of every vector's length

struct Words {
  alignas(64) uint32_t values[kChunk];
  Words(const Generator::State& from, int64_t chunk, int64_t count) {
    kernels::kernels().random.philox(from.seed, from.block + static_cast<uint64_t>(chunk * (kChunk / 4)),
                                     (count + 3) / 4, values);
  }
};

int64_t blocks_for(int64_t words) { return (words + 3) / 4; }

/// Calls body(words, first, n) for each chunk of n numbers from `first`, on several threads.
template <class Body>
void for_chunks(int64_t numel, int64_t words_each, const Generator::State& from, Body&& body) {
  const int64_t length = kChunk / words_each;
  parallel_for(0, (numel + length - 1) / length, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      const int64_t first = chunk * length, n = std::min(length, numel - first);
      const int64_t count = std::min(kChunk, (n * words_each + kGranule - 1) / kGranule * kGranule);
      const Words words(from, chunk, count);
      body(words.values, first, n);
    }
  });
}

/// Fills y (dense) by loop(loops, words, numbers, n), which makes float32, or float64 for a float64 y.
template <class Loop>
void fill_floating(const char* op, const Tensor& y, Generator& generator, Loop loop) {
  dispatch_compute(op, y.dtype() == float64 ? float64 : float32, [&]<class T> {
    constexpr int64_t words_each = std::is_same_v<T, double> ? 2 : 1;
    const int64_t bytes = item_size(y.dtype()), numel = y.numel();
    const auto convert =
        y.dtype() == dtype_of<T> ? nullptr : kernels::kernels().convert[int(dtype_of<T>)][int(y.dtype())];
    char* out = y.get()->data;
    T* const made = convert ? nullptr : y.data<T>();
    const auto& loops = kernels::kernels().random.of<T>();
    for_chunks(numel, words_each, generator.draw(blocks_for(numel * words_each)),
               [&](const uint32_t* words, int64_t first, int64_t n) {
                 alignas(64) T numbers[kChunk / words_each];
                 const bool direct = made && n * words_each == kChunk;
                 loop(loops, words, direct ? made + first : numbers,
                      (n * words_each + kGranule - 1) / kGranule * kGranule / words_each);
                 if (convert)
                   convert(numbers, out + first * bytes, n);
                 else if (!direct)
                   std::copy_n(numbers, n, made + first);
               });
  });
}

/// Runs fill(dense) and copies to x where x is not dense.
template <class Fill>
const Tensor& fill_in_place(const char* op, const Tensor& x, Fill fill) {
  if (!x.is_floating()) fail<DTypeError>("[{}] takes a floating tensor, got {}", op, x.dtype());
  const Tensor dense = x.is_contiguous() ? x : make_tensor(x.shape(), x.dtype());
  fill(dense);
  if (dense.impl() != x.impl()) raw::copy_into(op, dense, x);
  detail::bump_version(x);
  return x;
}

// The largest number of T below `high`.
template <class T>
double largest_below(double high) {
  if constexpr (std::is_same_v<T, double>)
    return std::nextafter(high, -std::numeric_limits<double>::infinity());
  else if constexpr (std::is_same_v<T, float>) {
    const float rounded = static_cast<float>(high);
    return rounded < high ? rounded : std::nextafter(rounded, -std::numeric_limits<float>::infinity());
  } else {
    T rounded(static_cast<float>(high));
    if (static_cast<float>(rounded) < high) return static_cast<float>(rounded);
    if ((rounded.bits & 0x7fffu) == 0)
      rounded.bits = 0x8001u;  // below 0 lies the smallest negative number
    else
      rounded.bits = static_cast<uint16_t>(rounded.bits & 0x8000u ? rounded.bits + 1 : rounded.bits - 1);
    return static_cast<float>(rounded);
  }
}

void fill_uniform(const char* op, const Tensor& y, double low, double high, Generator& generator) {
  if (!(low <= high) || !std::isfinite(high - low))
    fail<ValueError>("[{}] from {} to {}: the bounds must be finite, and low at most high", op, low, high);
  double below = 0;
  dispatch(y.dtype(), [&]<class T> {
    if constexpr (!std::is_integral_v<T>) below = std::max(low, largest_below<T>(high));
  });
  fill_floating(op, y, generator, [&](const auto& loops, const uint32_t* words, auto* out, int64_t n) {
    loops.uniform(words, out, n, low, high, below);
  });
}

void fill_normal(const char* op, const Tensor& y, double mean, double std, Generator& generator) {
  if (!(std >= 0)) fail<ValueError>("[{}] the standard deviation {} is negative", op, std);
  fill_floating(op, y, generator, [&](const auto& loops, const uint32_t* words, auto* out, int64_t n) {
    loops.normal(words, out, n, mean, std);
  });
}

Tensor make_floating(const char* op, const Shape& shape, Dtype dtype) {
  if (!is_floating(dtype)) fail<DTypeError>("[{}] gives floating numbers, not {}; use randint or bernoulli", op, dtype);
  return make_tensor(shape, dtype, op);
}

uint64_t word64(const uint32_t* words, int64_t i) {
  return words[2 * i] | static_cast<uint64_t>(words[2 * i + 1]) << 32;
}
__extension__ typedef unsigned __int128 uint128;
// A number below `range`, by the upper half of a product (Lemire 2019).
uint64_t below(uint64_t word, uint64_t range) {
  return static_cast<uint64_t>((static_cast<uint128>(word) * range) >> 64);
}
double unit(const uint32_t* words, int64_t i) { return static_cast<double>(word64(words, i) >> 11) * 0x1p-53; }

void check_probability(const char* op, double p) {
  if (!(p >= 0 && p <= 1)) fail<ValueError>("[{}] probability {} is not between 0 and 1", op, p);
}

constinit thread_local Generator* t_generator = nullptr;  // in the place of the process's

}  // namespace

Generator& default_generator() {
  static Generator generator;
  return t_generator ? *t_generator : generator;
}
void manual_seed(uint64_t seed) { default_generator().manual_seed(seed); }

UseGenerator::UseGenerator(Generator& generator) : before_(std::exchange(t_generator, &generator)) {}
UseGenerator::~UseGenerator() { t_generator = before_; }

Tensor rand(const Shape& shape, Dtype dtype, Generator& generator) {
  Tensor y = make_floating("rand", shape, dtype);
  fill_uniform("rand", y, 0, 1, generator);
  return y;
}

Tensor uniform(const Shape& shape, double low, double high, Dtype dtype, Generator& generator) {
  Tensor y = make_floating("uniform", shape, dtype);
  fill_uniform("uniform", y, low, high, generator);
  return y;
}

Tensor randn(const Shape& shape, Dtype dtype, Generator& generator) {
  Tensor y = make_floating("randn", shape, dtype);
  fill_normal("randn", y, 0, 1, generator);
  return y;
}

const Tensor& uniform_(const Tensor& x, double low, double high, Generator& generator) {
  return fill_in_place("uniform_", x, [&](const Tensor& y) { fill_uniform("uniform_", y, low, high, generator); });
}

const Tensor& normal_(const Tensor& x, double mean, double std, Generator& generator) {
  return fill_in_place("normal_", x, [&](const Tensor& y) { fill_normal("normal_", y, mean, std, generator); });
}

static void check_holds(const char* op, int64_t low, int64_t high, Dtype dtype) {
  const auto [least, most] = integers_of(dtype);
  if (low < least || high - 1 > most)
    fail<ValueError>("[{}] from {} to {} does not fit into {}, which holds the integers from {} to {}", op, low,
                     high - 1, dtype, least, most);
}

Tensor randint(int64_t low, int64_t high, const Shape& shape, Dtype dtype, Generator& generator) {
  if (low >= high) fail<ValueError>("[randint] from {} to {}: the range is empty; high must be above low", low, high);
  check_holds("randint", low, high, dtype);
  Tensor y = make_tensor(shape, dtype, "randint");
  const uint64_t range = static_cast<uint64_t>(high) - static_cast<uint64_t>(low);
  dispatch(dtype, [&]<class T> {
    T* out = y.data<T>();
    for_chunks(
        y.numel(), 2, generator.draw(blocks_for(2 * y.numel())), [&](const uint32_t* words, int64_t first, int64_t n) {
          for (int64_t i = 0; i < n; ++i)
            out[first + i] =
                static_cast<T>(static_cast<int64_t>(static_cast<uint64_t>(low) + below(word64(words, i), range)));
        });
  });
  return y;
}

Tensor randperm(int64_t n, Dtype dtype, Generator& generator) {
  if (n < 0) fail<ValueError>("[randperm] {} numbers; there must be 0 or more", n);
  if (n > 0) check_holds("randperm", 0, n, dtype);
  const Tensor y = make_tensor({n}, int64, "randperm");
  const Tensor words =
      randint(std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max(), {n}, int64, generator);
  int64_t* out = y.data<int64_t>();
  const int64_t* word = words.data<int64_t>();
  for (int64_t i = 0; i < n; ++i) {  // Fisher and Yates, building up
    const int64_t j = static_cast<int64_t>(below(static_cast<uint64_t>(word[i]), static_cast<uint64_t>(i) + 1));
    if (j != i) out[i] = out[j];
    out[j] = i;
  }
  return dtype == int64 ? y : raw::cast(y, dtype);
}

Tensor bernoulli(const Shape& shape, double p, Dtype dtype, Generator& generator) {
  check_probability("bernoulli", p);
  Tensor y = make_tensor(shape, dtype, "bernoulli");
  const uint64_t threshold = static_cast<uint64_t>(std::llround(p * 0x1p32));
  dispatch(dtype, [&]<class T> {
    T* out = y.data<T>();
    const T zero = Scalar(0).to<T>(), one = Scalar(1).to<T>();
    for_chunks(y.numel(), 1, generator.draw(blocks_for(y.numel())),
               [&](const uint32_t* words, int64_t first, int64_t n) {
                 for (int64_t i = 0; i < n; ++i) out[first + i] = words[i] < threshold ? one : zero;
               });
  });
  return y;
}

Tensor bernoulli(const Tensor& p, Generator& generator) {
  if (!p.is_floating()) fail<DTypeError>("[bernoulli] probabilities must be floating, got {}", p.dtype());
  Tensor y = make_tensor(p.shape(), p.dtype()), dense = raw::contiguous(p);
  dispatch(p.dtype(), [&]<class T> {
    if constexpr (!std::is_integral_v<T>) {
      const T* in = dense.data<T>();
      for (int64_t i = 0; i < p.numel(); ++i) check_probability("bernoulli", static_cast<double>(in[i]));
      T* out = y.data<T>();
      for_chunks(p.numel(), 1, generator.draw(blocks_for(p.numel())),
                 [&](const uint32_t* words, int64_t first, int64_t n) {
                   for (int64_t i = 0; i < n; ++i)
                     out[first + i] = T(words[i] * 0x1p-32 < static_cast<double>(in[first + i]) ? 1.0f : 0.0f);
                 });
    }
  });
  return y;
}

namespace {

// The sum of a row of weights, after a look at each.
double checked_total(const double* weights, int64_t k, int64_t count, bool replacement, int64_t row) {
  double total = 0;
  int64_t positive = 0;
  for (int64_t i = 0; i < k; ++i) {
    if (!(weights[i] >= 0) || std::isinf(weights[i]))
      fail<ValueError>("[multinomial] weight {} of row {} is {}; weights must be finite and 0 or more", i, row,
                       weights[i]);
    total += weights[i];
    positive += weights[i] > 0;
  }
  if (!(total > 0) || std::isinf(total)) fail<ValueError>("[multinomial] the weights of row {} sum to {}", row, total);
  if (!replacement && positive < count)
    fail<ValueError>("[multinomial] {} categories without replacement, but row {} has {} with a weight above 0", count,
                     row, positive);
  return total;
}

void draw_with_replacement(const double* weights, int64_t k, double total, const Generator::State& from, int64_t* out,
                           int64_t count) {
  std::vector<double> cumulative(static_cast<size_t>(k));
  double sum = 0;
  int64_t last = 0;
  for (int64_t i = 0; i < k; ++i) {
    cumulative[static_cast<size_t>(i)] = sum += weights[i];
    if (weights[i] > 0) last = i;
  }
  for_chunks(count, 2, from, [&](const uint32_t* words, int64_t first, int64_t n) {
    for (int64_t i = 0; i < n; ++i) {
      const auto at = std::upper_bound(cumulative.begin(), cumulative.end(), unit(words, i) * total);
      out[first + i] = std::min<int64_t>(at - cumulative.begin(), last);
    }
  });
}

// The first to arrive, when category i arrives after an exponential time of rate weights[i] (Efraimidis and Spirakis
// 2006).
void draw_without_replacement(const double* weights, int64_t k, const Generator::State& from, int64_t* out,
                              int64_t count) {
  std::vector<std::pair<double, int64_t>> arrivals(static_cast<size_t>(k));
  for_chunks(k, 2, from, [&](const uint32_t* words, int64_t first, int64_t n) {
    for (int64_t i = 0; i < n; ++i) {
      const double time = -std::log(unit(words, i) + 0x1p-53) / weights[first + i];
      arrivals[static_cast<size_t>(first + i)] = {
          weights[first + i] > 0 ? time : std::numeric_limits<double>::infinity(), first + i};
    }
  });
  std::partial_sort(arrivals.begin(), arrivals.begin() + count, arrivals.end());
  for (int64_t i = 0; i < count; ++i) out[i] = arrivals[static_cast<size_t>(i)].second;
}

}  // namespace

Tensor multinomial(const Tensor& weights, int64_t count, bool replacement, Generator& generator) {
  if (weights.rank() != 1 && weights.rank() != 2)
    fail<ShapeError>("[multinomial] weights of shape {}; they must be (categories) or (rows, categories)",
                     weights.shape());
  if (!weights.is_floating()) fail<DTypeError>("[multinomial] weights must be floating, got {}", weights.dtype());
  if (count < 1) fail<ValueError>("[multinomial] {} draws; there must be 1 or more", count);
  const int64_t k = weights.shape().back(), rows = weights.rank() == 2 ? weights.shape()[0] : 1;
  const Tensor p = raw::contiguous(raw::cast(weights, float64));
  Tensor y = make_tensor(weights.rank() == 2 ? Shape{rows, count} : Shape{count}, int64, "multinomial");
  for (int64_t row = 0; row < rows; ++row) {
    const double* w = p.data<double>() + row * k;
    const double total = checked_total(w, k, count, replacement, row);
    int64_t* out = y.data<int64_t>() + row * count;
    if (replacement)
      draw_with_replacement(w, k, total, generator.draw(blocks_for(2 * count)), out, count);
    else
      draw_without_replacement(w, k, generator.draw(blocks_for(2 * k)), out, count);
  }
  return y;
}

namespace raw {

int64_t dropout_blocks(const Tensor& x) { return blocks_for(x.numel()); }

Tensor dropout(const Tensor& x, double p, const Generator::State& state, MemoryFormat format) {
  const Tensor dense = contiguous(x, format), y = empty_like(dense, x.dtype());
  const double kept = std::round((1 - p) * 0x1p32);
  if (kept < 1) {
    fill_into(y, 0);
    return y;
  }
  const uint32_t last = static_cast<uint32_t>(kept - 1);
  const Dtype dtype = x.dtype();
  const int64_t bytes = item_size(dtype);
  dispatch_compute("dropout", dtype == float64 ? float64 : float32, [&]<class T> {
    const auto loop = kernels::kernels().random.of<T>().keep_below;
    const auto load = kernels::kernels().convert[int(dtype)][int(dtype_of<T>)];
    const auto store = kernels::kernels().convert[int(dtype_of<T>)][int(dtype)];
    for_chunks(x.numel(), 1, state, [&](const uint32_t* words, int64_t first, int64_t n) {
      if (dtype == dtype_of<T>) {
        loop(words, last, dense.data<T>() + first, y.data<T>() + first, n, 1 / (1 - p));
        return;
      }
      alignas(64) T numbers[kChunk];
      load(dense.get()->data + first * bytes, numbers, n);
      loop(words, last, numbers, numbers, n, 1 / (1 - p));
      store(numbers, y.get()->data + first * bytes, n);
    });
  });
  return y;
}

}  // namespace raw
}  // namespace cotangent
