#include "tasks.hpp"

#include <cotangent/cotangent.hpp>

#include "../common/markov.hpp"

namespace ct = cotangent;
using ct::Generator, ct::Tensor;

namespace {

Tensor not_asked(int64_t batch, int64_t length) { return ct::full({batch, length}, kNotAsked, ct::int64); }
Tensor repeated(int64_t token, int64_t batch, int64_t length) { return ct::full({batch, length}, token, ct::int64); }

Task copy() {
  constexpr int64_t symbols = 10, count = 12, blanks = 7, blank = symbols, marker = symbols + 1;
  auto draw = [](int64_t batch, Generator& generator) {
    const Tensor word = ct::randint(0, symbols, {batch, count}, ct::int64, generator);
    return Examples{
        ct::cat({word, repeated(blank, batch, blanks), repeated(marker, batch, 1), repeated(blank, batch, count)}, 1),
        ct::cat({not_asked(batch, count + blanks + 1), word}, 1)};
  };
  return {"copy", symbols + 2, 2 * count + blanks + 1, true, Measure::accuracy, 0.99, 1.0 / symbols, draw};
}

Task shift(int64_t length) {
  constexpr int64_t symbols = 10, distance = 3;
  auto draw = [length](int64_t batch, Generator& generator) {
    const Tensor x = ct::randint(0, symbols, {batch, length}, ct::int64, generator);
    return Examples{x, ct::cat({not_asked(batch, distance), x.narrow(1, 0, length - distance)}, 1)};
  };
  return {"shift", symbols, length, false, Measure::accuracy, 0.99, 1.0 / symbols, draw};
}

Task induct(int64_t length) {
  constexpr int64_t tokens = 16, marker = tokens - 1;
  auto draw = [length](int64_t batch, Generator& generator) {
    Examples e{ct::randint(0, marker, {batch, length}, ct::int64, generator), not_asked(batch, length)};
    const Tensor row = ct::arange(batch),
                 place = ct::randint(length / 4, 3 * length / 4, {batch}, ct::int64, generator);
    e.x.index_put_({row, place}, marker);
    e.x.index_put_({ct::Slice(), length - 1}, marker);
    e.y.index_put_({ct::Slice(), length - 1}, e.x.index({row, place + 1}));
    return e;
  };
  return {"induct", tokens, length, true, Measure::accuracy, 0.99, 1.0 / marker, draw};
}

Task mqar() {
  constexpr int64_t keys = 16, values = 16, fewest = 4, most = 8;  // tokens: the keys, then the values
  auto draw = [](int64_t batch, Generator& generator) {
    const auto pairs = ct::randint(fewest, most + 1, {1}, ct::int64, generator).item<int64_t>();
    const Tensor key = ct::multinomial(ct::ones({batch, keys}), pairs, false, generator);  // each comes once
    const Tensor value = ct::randint(keys, keys + values, {batch, pairs}, ct::int64, generator);
    const Tensor order = ct::multinomial(ct::ones({batch, pairs}), pairs, false, generator);
    return Examples{ct::cat({ct::stack({key, value}, 2).flatten(1), ct::gather(key, 1, order)}, 1),
                    ct::cat({not_asked(batch, 2 * pairs), ct::gather(value, 1, order)}, 1)};
  };
  return {"mqar", keys + values, 3 * most, true, Measure::accuracy, 0.95, 1.0 / values, draw};
}

Task selcopy(int64_t count, int64_t blanks) {
  constexpr int64_t symbols = 8, blank = symbols, marker = symbols + 1;
  auto draw = [count, blanks](int64_t batch, Generator& generator) {
    const Tensor word = ct::randint(0, symbols, {batch, count}, ct::int64, generator);
    const Tensor places = ct::multinomial(ct::ones({batch, count + blanks}), count, false, generator);  // each once
    const Tensor x = ct::scatter(repeated(blank, batch, count + blanks), 1, ct::sort(places).values, word);
    return Examples{ct::cat({x, repeated(marker, batch, count)}, 1),
                    ct::cat({not_asked(batch, count + blanks), word}, 1)};
  };
  return {"selcopy", symbols + 2, 2 * count + blanks, true, Measure::accuracy, 0.95, 1.0 / symbols, draw};
}

Task markov(int64_t length) {
  constexpr int64_t symbols = 6;
  const MarkovSource source(symbols, 1);
  auto draw = [source, length](int64_t batch, Generator& generator) {
    const Tensor s = source.draw(batch, length + 1, generator);
    return Examples{s.narrow(1, 0, length), ct::cat({not_asked(batch, 1), s.narrow(1, 2, length - 1)}, 1)};
  };
  const double h = source.entropy_rate();
  return {"markov", symbols, length, true, Measure::cross_entropy, 0.03, source.entropy_of_one() / h - 1, draw, h};
}

Task delay(int64_t length) {
  constexpr int64_t distance = 32;
  auto draw = [length](int64_t batch, Generator& generator) {
    const Tensor x = ct::randn({batch, length}, ct::float32, generator);
    const Tensor before = ct::full({batch, distance}, kNotAsked, ct::float32);
    return Examples{x, ct::cat({before, x.narrow(1, 0, length - distance)}, 1)};
  };
  return {"delay", 0, length, true, Measure::squared_error, 0.05, 1, draw};
}

}  // namespace

std::vector<Task> tasks(int64_t length, int64_t copied, int64_t blanks) {
  if (length > 0) return {shift(length), induct(length), markov(length), delay(length)};
  return {copy(), shift(32), induct(32), mqar(), selcopy(copied, blanks), markov(32), delay(128)};
}
