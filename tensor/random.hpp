#pragma once
// Random numbers. They come from a counter-based generator: value i of a call is a function of the seed, of how much
// was drawn before, and of i. So a seed gives the same numbers for any number of threads, and a stream can be resumed
// exactly.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

/// A stream of random words: Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011), keyed
/// by the seed. Threads may draw from one generator at once; the order in which they get their parts is then theirs.
class Generator {
 public:
  /// All there is to know: save it and set it to go on where the stream was.
  struct State {
    uint64_t seed = 0;
    uint64_t block = 0;  ///< how many blocks of 4 words were drawn
    friend bool operator==(const State&, const State&) = default;
  };

  explicit Generator(uint64_t seed = 0) : state_{seed, 0} {}
  explicit Generator(const State& state) : state_(state) {}
  uint64_t seed() const { return state_.seed; }
  /// Starts the stream of another seed.
  void manual_seed(uint64_t seed) { state_ = {seed, 0}; }
  State state() const { return {state_.seed, __atomic_load_n(&state_.block, __ATOMIC_RELAXED)}; }
  void set_state(const State& state) { state_ = state; }

  /// Takes the next `blocks` blocks of the stream, and returns where they start.
  State draw(int64_t blocks) {
    return {state_.seed, __atomic_fetch_add(&state_.block, static_cast<uint64_t>(blocks), __ATOMIC_RELAXED)};
  }

 private:
  State state_;
};

/// The generator that everything random uses unless told otherwise: one for the process, which starts with seed 0.
Generator& default_generator();
/// default_generator().manual_seed(seed)
void manual_seed(uint64_t seed);

/// While it lives, this thread's default_generator() is another one: for work whose numbers must not depend on what
/// else draws.
class UseGenerator {
 public:
  explicit UseGenerator(Generator& generator);
  ~UseGenerator();
  UseGenerator(const UseGenerator&) = delete;
  UseGenerator& operator=(const UseGenerator&) = delete;

 private:
  Generator* before_;
};

/// Uniform in [0, 1), as all the bits of the dtype allow.
Tensor rand(const Shape& shape, Dtype dtype = default_dtype(), Generator& generator = default_generator());
/// Standard normal (Box and Muller's method).
Tensor randn(const Shape& shape, Dtype dtype = default_dtype(), Generator& generator = default_generator());
/// Uniform in [low, high); `low` where both are equal. A ValueError if low > high or they are not finite.
Tensor uniform(const Shape& shape, double low, double high, Dtype dtype = default_dtype(),
               Generator& generator = default_generator());
/// Uniform integers in [low, high), off by at most (high - low) / 2^64. A ValueError if the range is empty or leaves
/// the integers that the dtype holds.
Tensor randint(int64_t low, int64_t high, const Shape& shape, Dtype dtype = int64,
               Generator& generator = default_generator());
/// 0 to n - 1 in a random order. A ValueError if the dtype does not hold all of them, as uint8 from n = 257 on.
Tensor randperm(int64_t n, Dtype dtype = int64, Generator& generator = default_generator());
/// 1 with probability p, else 0. A ValueError if p is not in [0, 1].
Tensor bernoulli(const Shape& shape, double p, Dtype dtype = default_dtype(),
                 Generator& generator = default_generator());
/// The same with a probability for each element; the result has p's shape and dtype.
Tensor bernoulli(const Tensor& p, Generator& generator = default_generator());
/// `count` categories drawn in proportion to the weights, which need not sum to 1.
///   weights (k) -> (count), (rows, k) -> (rows, count), int64. Without replacement no category comes twice.
/// A ValueError for weights that are negative, not finite or all 0, and for fewer of them above 0 than are to be drawn.
Tensor multinomial(const Tensor& weights, int64_t count, bool replacement = false,
                   Generator& generator = default_generator());

/// Fill x in place and return it: for initialising. No write is recorded, so x may be a leaf that requires a gradient.
/// A DTypeError unless x is floating.
const Tensor& uniform_(const Tensor& x, double low = 0, double high = 1, Generator& generator = default_generator());
const Tensor& normal_(const Tensor& x, double mean = 0, double std = 1, Generator& generator = default_generator());

namespace raw {

/// x * 1/(1 - p) where the word of the stream at `state` falls to it, 0 elsewhere, with probability p. Elements take
/// their words in the order of `format`.
Tensor dropout(const Tensor& x, double p, const Generator::State& state, MemoryFormat format);
/// The blocks of a stream that dropout reads.
int64_t dropout_blocks(const Tensor& x);

}  // namespace raw
}  // namespace cotangent
