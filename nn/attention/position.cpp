#include <cotangent/nn/attention/position.hpp>

#include <algorithm>
#include <bit>
#include <cmath>

#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {
namespace {

void check_tokens(const char* op, const Tensor& x, int64_t width) {
  if (x.rank() < 2 || x.size(-1) != width)
    fail<ShapeError>("[{}] x has shape {}; it must be (.., T, {})", op, x.shape(), width);
}

}  // namespace

// ---- added to the embeddings ----

Tensor sinusoidal_positions(int64_t length, int64_t width, int64_t start, double base, Dtype dtype) {
  if (length < 0 || width < 1 || !(base > 0))
    fail<ValueError>("[sinusoidal_positions] {} positions of width {} and base {}; each must be above 0", length, width,
                     base);
  return sinusoids(arange(start, start + length), width, base, dtype);
}

Tensor sinusoids(const Tensor& positions, int64_t width, double base, Dtype dtype) {
  if (width < 1 || !(base > 0))
    fail<ValueError>("[sinusoids] a width of {} and base {}; both must be above 0", width, base);
  const int64_t pairs = width / 2 + width % 2;
  const Tensor rate = pow(tensor(base, float64), arange(0, 2 * pairs, 2, float64) * (-1 / static_cast<double>(width)));
  const Tensor angle = unsqueeze(to(positions.detach(), float64), -1) * rate;
  return to(narrow(flatten(stack({sin(angle), cos(angle)}, -1), -2), -1, 0, width), dtype);
}

SinusoidalEncoding::SinusoidalEncoding(int64_t width_, const SinusoidalOptions& o) : width(width_), options(o) {
  sinusoidal_positions(0, width, 0, options.base);  // its checks
}

Tensor SinusoidalEncoding::forward(const Tensor& x, int64_t start) {
  check_tokens("SinusoidalEncoding", x, width);
  const Tensor p = sinusoidal_positions(x.size(-2), width, start, options.base, x.dtype());
  return options.multiply ? x * p : x + p;
}

std::string SinusoidalEncoding::settings() const { return std::to_string(width); }

LearnedEncoding::LearnedEncoding(int64_t length, int64_t width, const LearnedEncodingOptions& o) : options(o) {
  if (length < 1 || width < 1)
    fail<ValueError>("[LearnedEncoding] {} positions of width {}; there must be at least 1", length, width);
  if (!(o.hierarchy >= 0 && o.hierarchy < 1) || o.hierarchy == 0.5)
    fail<ValueError>(
        "[LearnedEncoding] hierarchy {} must be 0, or below 1 and not 0.5, where positions (i, j) and (j, i) coincide",
        o.hierarchy);
  weight = init::normal_(empty({length, width}, o.dtype), 0, 0.02);
}

Tensor LearnedEncoding::rows(int64_t start, int64_t count) const {
  const int64_t n = weight.size(0), limit = options.hierarchy > 0 ? n * n : n;
  if (start < 0 || start + count > limit)
    fail<ValueError>("[LearnedEncoding] position {} is beyond a table of {}; make it longer{}",
                     start < 0 ? start : start + count - 1, limit,
                     options.hierarchy > 0 ? "" : ", or set its hierarchy");
  if (options.hierarchy == 0) return narrow(weight, 0, start, count);
  const double a = options.hierarchy;
  const Tensor u = (weight - a * narrow(weight, 0, 0, 1)) / (1 - a);
  const Tensor m = arange(start, start + count), j = remainder(m, tensor(n)), i = ((m - j) / n).to(int64);
  return a * index_select(u, 0, i) + (1 - a) * index_select(u, 0, j);
}

Tensor LearnedEncoding::forward(const Tensor& x, int64_t start) {
  check_tokens("LearnedEncoding", x, weight.size(1));
  const Tensor p = rows(start, x.size(-2));
  return options.multiply ? x * p : x + p;
}

std::string LearnedEncoding::settings() const { return fmt::format("{}, {}", weight.size(0), weight.size(1)); }

// ---- inside an attention ----

Tensor Position::query(const Tensor& q, int64_t) const { return q; }
Tensor Position::key(const Tensor& k, int64_t) const { return k; }
Tensor Position::bias(const Tensor&, int64_t, Dtype) const { return {}; }
DistanceRows Position::rows(const Tensor&, const HeadSizes&) const { return {}; }

Tensor distances(int64_t queries, int64_t keys, int64_t first_query) {
  const int64_t first = first_query - keys + 1;
  return arange(first, first + std::max<int64_t>(queries + keys, 1) - 1);
}

bool has_rows(const AnyPosition& positions, const HeadSizes& n) {
  return positions && positions->rows(distances(1, 1, 0), n).buckets.defined();
}

void check_no_rows(const char* name, const AnyPosition& positions, const HeadSizes& n) {
  if (has_rows(positions, n))
    fail<ValueError>(
        "[{}] takes no positions with vectors by distance; rotary positions, or a number that is added to the scores, "
        "will do",
        name);
}

bool adds_to_scores(const AnyPosition& positions, const HeadSizes& n) {
  return has_rows(positions, n) || (positions && positions->bias(distances(1, 1, 0), n.heads, n.dtype).defined());
}

Tensor distance_bias(const AnyPosition& positions, int64_t queries, int64_t keys, int64_t first_query, int64_t heads,
                     Dtype dtype) {
  if (!positions || !positions->bias(distances(1, 1, 0), heads, dtype).defined()) return {};
  return positions->bias(distances(queries, keys, first_query), heads, dtype);
}

namespace {
DistanceRows rows_of(const AnyPosition& positions, const Tensor& distance, const HeadSizes& n) {
  if (!positions) return {};
  DistanceRows rows = positions->rows(distance, n);
  for (Tensor* table : {&rows.for_queries, &rows.offset, &rows.for_keys, &rows.for_values})
    if (table->defined()) *table = to(*table, n.dtype);
  return rows;
}
}  // namespace

DistanceRows distance_rows(const AnyPosition& positions, int64_t queries, int64_t keys, int64_t first_query,
                           const HeadSizes& n) {
  return rows_of(positions, distances(queries, keys, first_query), n);
}

DistanceRows KnownRows::find(const AnyPosition& positions, int64_t queries, int64_t keys, int64_t first_query,
                             const HeadSizes& n) {
  const int64_t known = rows.buckets.defined() ? rows.buckets.size(0) : 0;
  if (known == 0 && !has_rows(positions, n)) return {};
  const int64_t start = first_query - keys + 1, end = first_query + queries;
  if (start < first || end > first + known) {
    const int64_t last = std::max(first + known, static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(end))));
    first = std::min(first, start);
    rows = rows_of(positions, arange(first, last), n);
  }
  DistanceRows found = rows;
  found.buckets = narrow(rows.buckets, 0, start - first, end - start);
  return found;
}

std::string Rotary::settings() const {
  return fmt::format("{}", options.layout == RopeLayout::interleaved ? "interleaved" : "half_split");
}

XPos::XPos(const XPosOptions& o) : options(o) {
  if (!(o.scale > 0)) fail<ValueError>("[XPos] a scale of {}; it must be above 0", o.scale);
}

RopeOptions XPos::turned(double sign) const {
  return {.layout = options.layout,
          .width = options.width,
          .base = options.base,
          .growth = sign / options.scale,
          .center = options.center};
}

std::string XPos::settings() const { return fmt::format("scale = {}, center = {}", options.scale, options.center); }

Tensor alibi_slopes(int64_t heads, Dtype dtype) {
  if (heads < 1) fail<ValueError>("[alibi_slopes] {} heads; there must be at least 1", heads);
  int64_t power = 1;
  while (2 * power <= heads) power *= 2;
  const Tensor slopes = empty({heads}, float64);
  for (int64_t h = 0; h < heads; ++h) {
    const double exponent = h < power ? static_cast<double>(h + 1) : static_cast<double>(h - power) + 0.5;
    slopes.data<double>()[h] = std::exp2(-8 * exponent / static_cast<double>(power));
  }
  return to(slopes, dtype);
}

namespace {
// a (heads) times x (..): (heads, ..)
Shape column(int64_t heads, const Tensor& x) {
  Shape shape = Shape::filled(x.rank() + 1, 1);
  shape[0] = heads;
  return shape;
}
}  // namespace

Tensor Alibi::bias(const Tensor& distance, int64_t heads, Dtype dtype) const {
  return reshape(-alibi_slopes(heads, dtype), column(heads, distance)) * abs(distance).to(dtype);
}

Tensor t5_buckets(const Tensor& distance, const T5Options& o) {
  const int64_t of_direction = o.bidirectional ? o.buckets / 2 : o.buckets, exact = of_direction / 2;
  if (exact < 1 || o.buckets % (o.bidirectional ? 4 : 2) != 0 || o.max_distance <= exact)
    fail<ValueError>(
        "[t5_buckets] {} buckets up to distance {}; the buckets must be a multiple of {}, and the distance above {}",
        o.buckets, o.max_distance, o.bidirectional ? 4 : 2, exact);
  const Tensor i = contiguous(to(distance, int64));
  const Tensor buckets = empty(i.shape(), int64);
  const double growth = std::log(static_cast<double>(o.max_distance) / static_cast<double>(exact));
  for (int64_t e = 0; e < i.numel(); ++e) {
    const int64_t d = i.data<int64_t>()[e], n = o.bidirectional ? std::abs(d) : std::max<int64_t>(d, 0);
    int64_t bucket = n;
    if (n >= exact) {
      const double octaves = std::log(static_cast<double>(n) / static_cast<double>(exact)) / growth;
      bucket =
          std::min(exact + static_cast<int64_t>(octaves * static_cast<double>(of_direction - exact)), of_direction - 1);
    }
    buckets.data<int64_t>()[e] = bucket + (o.bidirectional && d < 0 ? of_direction : 0);
  }
  return buckets;
}

T5Bias::T5Bias(int64_t heads, const T5Options& o) : options(o) {
  if (heads < 1) fail<ValueError>("[T5Bias] {} heads; there must be at least 1", heads);
  t5_buckets(empty({0}, int64), options);  // its checks
  weight = init::normal_(empty({options.buckets, heads}, o.dtype), 0, o.std);
}

Tensor T5Bias::bias(const Tensor& distance, int64_t heads, Dtype dtype) const {
  if (heads != weight.size(1))
    fail<ValueError>("[T5Bias] a table for {} heads in an attention of {}", weight.size(1), heads);
  const Tensor flat = embedding(weight, flatten(t5_buckets(distance, options)));
  Shape shape = distance.shape();
  shape.insert(0, heads);
  return reshape(transpose(flat, 0, 1), shape).to(dtype);
}

std::string T5Bias::settings() const {
  return fmt::format("{}, buckets = {}{}", weight.size(1), options.buckets,
                     options.bidirectional ? "" : ", bidirectional = false");
}

}  // namespace cotangent::nn
