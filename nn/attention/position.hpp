#pragma once
// Where tokens stand. Encodings of the first kind are added to the embeddings, before the first layer; those of the
// second are an option of every attention: {.positions = nn::Rotary()}. docs/positions.md compares them.
#include <cotangent/autograd/ops/relative_attention.hpp>
#include <cotangent/autograd/ops/rope.hpp>
#include <cotangent/nn/container.hpp>

namespace cotangent::nn {

// ---- added to the embeddings ----

/// The table p of positions start, start + 1, ...: p[m, 2i] = sin(m base^(-2i/d)), p[m, 2i + 1] = cos(the same), in
/// float64 before it is cast.   -> (length, width). The product of two rows depends on the distance of their positions
/// only. Vaswani et al., arXiv:1706.03762.
Tensor sinusoidal_positions(int64_t length, int64_t width, int64_t start = 0, double base = 10'000,
                            Dtype dtype = default_dtype());

/// The same at any positions (..), also fractions and negative ones, which get no gradient: (.., width).
Tensor sinusoids(const Tensor& positions, int64_t width, double base = 10'000, Dtype dtype = default_dtype());

struct SinusoidalOptions {
  double base = 10'000;
  bool multiply = false;  ///< x * p instead of x + p
};

/// x + p, or x * p, for tokens at the positions start, start + 1, ...: p is sinusoidal_positions.
///   x (.., T, width) -> the same shape
struct SinusoidalEncoding : Module {
  explicit SinusoidalEncoding(int64_t width, const SinusoidalOptions& options = {});
  int64_t width;
  SinusoidalOptions options;
  COTANGENT_MODULE()
  Tensor forward(const Tensor& x, int64_t start = 0);
  std::string settings() const override;
};

struct LearnedEncodingOptions {
  double hierarchy = 0;   ///< a, at least 0 and below 1; 0 for none
  bool multiply = false;  ///< x * p instead of x + p
  Dtype dtype = default_dtype();
};

/// x + p, or x * p, with a learned table p.
///   x (.., T, width) -> the same shape;   weight (length, width), normal with standard deviation 0.02 at the start
/// With hierarchy = a above 0 a table of n rows serves n^2 positions: with u_i = (p_i - a p_1) / (1 - a), position
/// (i - 1) n + j is a u_i + (1 - a) u_j, which for the first n is p_j itself; a = 0.4 is usual. A ValueError for
/// positions beyond the table.
struct LearnedEncoding : Module {
  LearnedEncoding(int64_t length, int64_t width, const LearnedEncodingOptions& options = {});
  Parameter weight;
  LearnedEncodingOptions options;
  COTANGENT_MODULE(weight)
  Tensor forward(const Tensor& x, int64_t start = 0);
  /// The encodings of the positions start to start + count - 1: (count, width).
  Tensor rows(int64_t start, int64_t count) const;
  std::string settings() const override;
};

// ---- inside an attention ----

/// What an attention has: H heads of width dh.
struct HeadSizes {
  int64_t heads, width;
  Dtype dtype;
};

/// What an attention asks about positions. An encoding overrides what it does; the rest does nothing.
struct Position : Module {
  /// Queries and keys (.., T, width) of the tokens at `start`, start + 1, ..., as they enter the scores. Cached keys
  /// are kept as this gives them.
  virtual Tensor query(const Tensor& q, int64_t start) const;
  virtual Tensor key(const Tensor& k, int64_t start) const;
  /// What is added to the scores of a query at i and a key at j.   distance (..) of integers i - j -> (heads, ..) of
  /// `dtype`, or undefined for nothing, which must not depend on the distances
  virtual Tensor bias(const Tensor& distance, int64_t heads, Dtype dtype) const;
  /// Vectors by distance that queries, keys and values meet, for MultiHeadAttention: nn/attention/relative.hpp has
  /// some.
  ///   distance (n), ascending, of integers i - j -> tables, and the bucket of each distance; or without buckets for
  ///   nothing, which must not depend on the distances
  virtual DistanceRows rows(const Tensor& distance, const HeadSizes& heads) const;
};

/// Any encoding, or none (empty). A copy shares the learned tables: so do all layers that are made with one option.
using AnyPosition = Any<Position>;

/// The distances i - j of `queries` queries, which start at `first_query`, and `keys` keys, which start at 0, each once
/// and in ascending order: int64 (queries + keys - 1), as toeplitz spreads them.
Tensor distances(int64_t queries, int64_t keys, int64_t first_query);

/// Whether an encoding has vectors by distance, and whether it has these or a bias: rotary positions and none do not.
bool has_rows(const AnyPosition& positions, const HeadSizes& heads);
/// A ValueError for vectors by distance in the layer `name`, which has no way for them.
void check_no_rows(const char* name, const AnyPosition& positions, const HeadSizes& heads);
bool adds_to_scores(const AnyPosition& positions, const HeadSizes& heads);
/// The bias of these distances (heads, queries + keys - 1), for AttentionOptions::distance_bias; undefined where
/// nothing is added.
Tensor distance_bias(const AnyPosition& positions, int64_t queries, int64_t keys, int64_t first_query, int64_t heads,
                     Dtype dtype);

/// The vectors of these distances, in `dtype`; without buckets where there are none.
DistanceRows distance_rows(const AnyPosition& positions, int64_t queries, int64_t keys, int64_t first_query,
                           const HeadSizes& heads);

/// The vectors of all distances that a stream has met, so that a token does not compute them anew.
struct KnownRows {
  DistanceRows rows = {};  ///< of the distances `first`, first + 1, ..
  int64_t first = 0;
  /// What distance_rows() gives with the parameters of the stream's first token. Where a distance is new, all are
  /// computed, up to a power of two.
  DistanceRows find(const AnyPosition& positions, int64_t queries, int64_t keys, int64_t first_query,
                    const HeadSizes& heads);
};

/// rope of autograd/ops/rope.hpp on queries and keys.
struct Rotary : Position {
  explicit Rotary(const RopeOptions& options_ = {}) : options(options_) {}
  RopeOptions options;
  COTANGENT_MEMBERS()
  Tensor query(const Tensor& q, int64_t start) const override { return rope(q, start, options); }
  Tensor key(const Tensor& k, int64_t start) const override { return rope(k, start, options); }
  std::string settings() const override;
};

struct XPosOptions {
  RopeLayout layout = RopeLayout::interleaved;
  int64_t width = 0;     ///< r, as of rope
  double base = 10'000;  ///< of the frequencies
  double scale = 512;    ///< s: larger ones fade distant tokens out more slowly
  double center = 0;     ///< c, half of the usual length: exponents grow with the distance from it
};

/// Rotary positions that fade: pair i of a query at m times z_i^((m - c)/s), of a key at n times z_i^(-(n - c)/s), z_i
/// = (2i + 0.4 r) / (1.4 r) <= 1, so that scores depend on m - n alone and shrink with it; keys after the query grow,
/// which is why it is for causal attention. The factors reach 0.29^(-(n - c)/s): 65504, the most in float16, where n -
/// c is 8.8 s. A ValueError for a scale that is not above 0. Sun et al., arXiv:2212.10554.
struct XPos : Position {
  explicit XPos(const XPosOptions& options = {});
  XPosOptions options;
  COTANGENT_MEMBERS()
  Tensor query(const Tensor& q, int64_t start) const override { return rope(q, start, turned(1)); }
  Tensor key(const Tensor& k, int64_t start) const override { return rope(k, start, turned(-1)); }
  std::string settings() const override;

 private:
  RopeOptions turned(double sign) const;
};

/// The slopes of ALiBi: 2^(-8h/H) for h = 1..H where H is a power of two; else those of the largest power of two below,
/// then every second one of twice that power.   -> (H)
Tensor alibi_slopes(int64_t heads, Dtype dtype = default_dtype());

/// Adds -slope_h |i - j| to the scores of head h. No parameters; a model goes on to work beyond the lengths that it was
/// trained with. Press, Smith and Lewis, arXiv:2108.12409.
struct Alibi : Position {
  COTANGENT_MEMBERS()
  Tensor bias(const Tensor& distance, int64_t heads, Dtype dtype) const override;
};

struct T5Options {
  int64_t buckets = 32;
  int64_t max_distance = 128;  ///< beyond which all distances share a bucket
  bool bidirectional = true;   ///< half of the buckets for the keys after the query; false: these share bucket 0
  double std = 0.02;           ///< of the table at the start
  Dtype dtype = default_dtype();
};

/// The buckets of distances i - j (integers of any shape): the first half of those of a direction hold one distance
/// each, the others grow by a constant factor up to max_distance, and the last holds all beyond. Logarithms are taken
/// in float64.
Tensor t5_buckets(const Tensor& distance, const T5Options& options = {});

/// Adds a learned number per bucket and head to the scores.   weight (buckets, heads)
/// A ValueError for fewer buckets than 2 (4 if bidirectional), an odd number, a max_distance that the buckets of single
/// distances reach, or an attention with another number of heads. Raffel et al., arXiv:1910.10683.
struct T5Bias : Position {
  explicit T5Bias(int64_t heads, const T5Options& options = {});
  Parameter weight;
  T5Options options;
  COTANGENT_MEMBERS(weight)
  Tensor bias(const Tensor& distance, int64_t heads, Dtype dtype) const override;
  std::string settings() const override;
};

}  // namespace cotangent::nn
