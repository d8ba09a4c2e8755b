#include <cotangent/tensor/norm.hpp>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <functional>

#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/random.hpp>
#include <cotangent/tests/values.hpp>

using namespace cotangent;

namespace {

/// Mean and biased variance of each channel of (N, C, ...), by two passes in double.
struct Moments {
  std::vector<double> mean, var;
  int64_t count;
  explicit Moments(const Tensor& x) {
    const std::vector<double> v = x.to_vector<double>();
    const int64_t channels = x.shape()[1], inner = x.shape().slice(2, x.rank()).product();
    count = x.numel() / channels;
    mean.assign(static_cast<size_t>(channels), 0), var = mean;
    auto channel = [&](size_t i) { return static_cast<size_t>(static_cast<int64_t>(i) / inner % channels); };
    for (size_t i = 0; i < v.size(); ++i) mean[channel(i)] += v[i] / static_cast<double>(count);
    for (size_t i = 0; i < v.size(); ++i) {
      const double d = v[i] - mean[channel(i)];
      var[channel(i)] += d * d / static_cast<double>(count);
    }
  }
};

using Place = std::function<size_t(size_t element)>;

/// The largest difference between a norm with its gradients and a naive one in double, which shares moments within a
/// group of elements and a weight and a bias within a channel, and limits its result.
double difference(const raw::Normalized& n, const raw::NormGradients& g, const Tensor& x, const Tensor& dy,
                  const Values& w, const Values& b, const Place& group, const Place& channel,
                  const Limits& limits = {}) {
  const Values v = x.to_vector<double>();
  Values d = dy.to_vector<double>();
  const size_t groups = static_cast<size_t>(n.mean.numel());
  Values count(groups), mean(groups), var(groups), sum(groups), product(groups), y, dx, dw(w.size()), db(w.size());
  for (size_t i = 0; i < v.size(); ++i) count[group(i)] += 1;
  for (size_t i = 0; i < v.size(); ++i) mean[group(i)] += v[i] / count[group(i)];
  for (size_t i = 0; i < v.size(); ++i) var[group(i)] += std::pow(v[i] - mean[group(i)], 2) / count[group(i)];
  const auto h = [&](size_t i) { return (v[i] - mean[group(i)]) / std::sqrt(var[group(i)] + 1e-5); };
  for (size_t i = 0; i < v.size(); ++i) {
    const size_t c = channel(i), k = group(i);
    const double all = h(i) * w[c] + b[c];
    y.push_back(std::clamp(all, limits.low, limits.high));
    if (all <= limits.low || all >= limits.high) d[i] = 0;
    sum[k] += d[i] * w[c] / count[k], product[k] += d[i] * w[c] * h(i) / count[k];
    dw[c] += d[i] * h(i), db[c] += d[i];
  }
  for (size_t i = 0; i < v.size(); ++i)
    dx.push_back((d[i] * w[channel(i)] - sum[group(i)] - h(i) * product[group(i)]) / std::sqrt(var[group(i)] + 1e-5));
  double worst = 0;
  const auto compare = [&](const Tensor& t, const Values& expected) {
    const Values got = t.to_vector<double>();
    REQUIRE(got.size() == expected.size());
    for (size_t i = 0; i < got.size(); ++i)
      worst = std::max(worst, std::fabs(got[i] - expected[i]) / (1 + std::fabs(expected[i])));
  };
  compare(n.y, y), compare(n.mean, mean), compare(g.x, dx), compare(g.weight, dw), compare(g.bias, db);
  return worst;
}

raw::Normalized train(const Tensor& x, const Tensor& mean = {}, const Tensor& var = {}) {
  return raw::batch_norm("batch_norm", x, mean, var, {}, {}, true, 0.25, 1e-5);
}

}  // namespace

TEST_CASE("batch_norm updates the running moments, the variance unbiased") {
  manual_seed(1);
  const Tensor x = randn({3, 4, 5, 2}, float64) * 2 + 7, mean = full({4}, 1.5, float64), var = full({4}, 3, float64);
  const Moments m(x);
  const uint32_t version = mean.version();
  train(x, mean, var);
  CHECK(mean.version() != version);
  for (int64_t i = 0; i < 4; ++i) {
    const size_t c = static_cast<size_t>(i);
    CHECK(mean[i].item() == Approx(0.75 * 1.5 + 0.25 * m.mean[c]));
    CHECK(var[i].item() == Approx(0.75 * 3 + 0.25 * m.var[c] * 30 / 29));
  }
}

TEST_CASE("batch_norm is exact far from zero, in every layout") {
  manual_seed(2);
  // the mean is 1000 deviations away: a sum of squares in float32 would lose the variance
  const Tensor x = raw::cast(randn({16, 5, 9, 30}, float64) + 1000, float32);
  const Moments m(x);
  for (const Tensor& in :
       {x, raw::contiguous(x, MemoryFormat::channels_last), raw::contiguous(x.transpose(2, 3)).transpose(2, 3)}) {
    const raw::Normalized n = train(in);
    for (int64_t c = 0; c < 5; ++c) {
      CHECK(n.mean[c].item() == Approx(m.mean[static_cast<size_t>(c)]).epsilon(1e-6));
      CHECK(n.rstd[c].item() == Approx(1 / std::sqrt(m.var[static_cast<size_t>(c)] + 1e-5)).epsilon(1e-4));
    }
    const Moments normalized(n.y);
    for (double v : normalized.mean) CHECK(std::fabs(v) < 1e-3);
    for (double v : normalized.var) CHECK(v == Approx(1).epsilon(1e-3));
  }
}

TEST_CASE("batch_norm of rows is exact where the first row lies far from the others") {
  manual_seed(3);
  for (int64_t rows : {5, 257, 4000}) {
    Tensor x = randn({rows, 37}, float32);
    std::fill_n(x.data<float>(), 37, 1e6F);
    const Moments m(x);
    const raw::Normalized n = train(x);
    for (int64_t c = 0; c < 37; ++c) {
      CHECK(n.mean[c].item() == Approx(m.mean[static_cast<size_t>(c)]).epsilon(1e-5));
      CHECK(n.rstd[c].item() == Approx(1 / std::sqrt(m.var[static_cast<size_t>(c)] + 1e-5)).epsilon(1e-4));
    }
    x.data<float>()[37] = NAN;
    CHECK(std::isnan(train(x).rstd[0].item()));
    CHECK(!std::isnan(train(x).rstd[1].item()));
  }
}

TEST_CASE("batch_norm keeps channels-last tensors so, and takes matrices and empty batches") {
  manual_seed(3);
  const Tensor x = randn({2, 3, 4, 5}, float64), lasts = raw::contiguous(x, MemoryFormat::channels_last);
  const Tensor y = train(lasts).y;
  CHECK(y.is_contiguous(MemoryFormat::channels_last));
  const std::vector<double> a = y.to_vector<double>(), b = train(x).y.to_vector<double>();
  for (size_t i = 0; i < a.size(); ++i) CHECK(a[i] == Approx(b[i]).margin(1e-12));
  const Tensor rows = randn({500, 300});
  const Moments m(train(rows).y);
  for (double v : m.var) CHECK(v == Approx(1).epsilon(1e-3));
  const Tensor running = ones({3});
  CHECK(train(zeros({0, 3, 2}), running, running).y.shape() == Shape{0, 3, 2});
  CHECK(running.to_vector<double>() == std::vector<double>{1, 1, 1});
  CHECK(train(zeros({2, 0, 2})).y.numel() == 0);
}

TEST_CASE("layer, batch and group norm equal naive loops for every size and layout") {
  manual_seed(5);
  const raw::NormWanted all{true, true, true};
  for (const Dtype dtype : {float32, float64})
    for (const int64_t size : {2, 3, 7, 31, 32, 33, 65, 100, 1000, 4097}) {
      INFO(name(dtype) << ", size " << size);
      const double bound = dtype == float64 ? 1e-11 : 2e-4;
      const size_t n = static_cast<size_t>(size);
      for (const int64_t count : {3, 19}) {
        const Tensor x = randn({count, size}, dtype) + 2, dy = randn({count, size}, dtype);
        const Tensor w = randn({size}, dtype), b = randn({size}, dtype);
        const Values wide = w.to_vector<double>(), shift = b.to_vector<double>();
        const Place row = [=](size_t i) { return i / n; }, column = [=](size_t i) { return i % n; };
        const raw::Normalized y = raw::layer_norm("layer_norm", x, 1, true, w, b, 1e-5);
        CHECK(difference(y, raw::layer_norm_backward("layer_norm", dy, x, true, w, y.mean, y.rstd, all), x, dy, wide,
                         shift, row, column) < bound);
        const raw::Normalized z = raw::batch_norm("batch_norm", x, {}, {}, w, b, true, 0.1, 1e-5);
        CHECK(difference(z, raw::batch_norm_backward("batch_norm", dy, x, w, b, z.mean, z.rstd, true, all), x, dy, wide,
                         shift, column, column) < 10 * bound);
        for (const Limits& limits : {Limits{0}, Limits{-0.3, 0.6}}) {
          const raw::Normalized l = raw::batch_norm("batch_norm", x, {}, {}, w, b, true, 0.1, 1e-5, limits);
          const raw::NormGradients g =
              raw::batch_norm_backward("batch_norm", dy, x, w, b, l.mean, l.rstd, true, all, limits);
          CHECK(difference(l, g, x, dy, wide, shift, column, column, limits) < 10 * bound);
        }
      }
      const Tensor x = randn({2, 4, size}, dtype) - 1, dy = randn({2, 4, size}, dtype), w = randn({4}, dtype),
                   b = randn({4}, dtype);
      const Values scale = w.to_vector<double>(), shift = b.to_vector<double>();
      const Place channel = [=](size_t i) { return i / n % 4; }, pair = [=](size_t i) { return i / n / 2; };
      const raw::Normalized y = raw::batch_norm("batch_norm", x, {}, {}, w, b, true, 0.1, 1e-5);
      CHECK(difference(y, raw::batch_norm_backward("batch_norm", dy, x, w, b, y.mean, y.rstd, true, all), x, dy, scale,
                       shift, channel, channel) < bound);
      for (const Limits& limits : {Limits{0}, Limits{-0.3, 0.6}}) {
        const raw::Normalized l = raw::batch_norm("batch_norm", x, {}, {}, w, b, true, 0.1, 1e-5, limits);
        const raw::NormGradients g =
            raw::batch_norm_backward("batch_norm", dy, x, w, b, l.mean, l.rstd, true, all, limits);
        CHECK(difference(l, g, x, dy, scale, shift, channel, channel, limits) < bound);
      }
      const raw::Normalized z = raw::group_norm("group_norm", x, 2, w, b, 1e-5);
      CHECK(difference(z, raw::group_norm_backward("group_norm", dy, x, 2, w, z.mean, z.rstd, all), x, dy, scale, shift,
                       pair, channel) < bound);
    }
}

TEST_CASE("normalisation gives the same bits for any number of threads", "[threads]") {
  const int before = num_threads();
  manual_seed(4);
  const Tensor x = randn({64, 24, 12, 12}), dy = randn({64, 24, 12, 12}), w = randn({24});
  const Tensor lasts = raw::contiguous(x, MemoryFormat::channels_last);
  const Tensor rows = x.reshape({3072, 72}), drows = dy.reshape({3072, 72}), weight = randn({72});
  std::vector<std::vector<float>> results;
  for (int threads : {1, 2, 5}) {
    set_num_threads(threads);
    std::vector<float> all;
    auto add = [&](const Tensor& t) {
      for (float v : t.to_vector<float>()) all.push_back(v);
    };
    for (const Tensor& in : {x, lasts}) {
      const raw::Normalized n = train(in);
      const raw::NormGradients g =
          raw::batch_norm_backward("batch_norm", dy, in, w, {}, n.mean, n.rstd, true, {true, true, true}, {0});
      for (const Tensor& t : {n.y, n.mean, n.rstd, g.x, g.weight, g.bias}) add(t);
    }
    const raw::Normalized n = raw::layer_norm("layer_norm", rows, 1, true, weight, {}, 1e-5);
    const raw::NormGradients g =
        raw::layer_norm_backward("layer_norm", drows, rows, true, weight, n.mean, n.rstd, {true, true, true});
    for (const Tensor& t : {n.y, g.x, g.weight, g.bias}) add(t);
    results.push_back(std::move(all));
  }
  set_num_threads(before);
  CHECK(results[1] == results[0]);
  CHECK(results[2] == results[0]);
}
