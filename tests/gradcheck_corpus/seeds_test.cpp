// The checker on right functions: the samples of the op table, at several places each. No false alarm.
#include <catch2/catch.hpp>

#include <cstdio>
#include <cstdlib>
#include <map>

#include <cotangent/autograd/gradcheck/gradcheck.hpp>
#include <cotangent/tests/autograd/op_samples.hpp>

using namespace cotangent;

namespace {

struct Right {
  const OpInfo& op;
  const Sample& sample;
};

// Those that have something to differentiate: the others are for the op table's own test.
std::vector<Right> right_functions() {
  std::vector<Right> all;
  for (const OpInfo& op : op_table())
    for (const Sample& sample : op.samples) {
      int64_t elements = 0, outputs = 0;
      for (const InputSpec& spec : sample.inputs) elements += spec.differentiable ? spec.shape.product() : 0;
      if (op.orders == 0 || elements == 0) continue;
      for (const Tensor& y : sample.call(make_inputs(sample.inputs))) outputs += y.is_floating() ? y.numel() : 0;
      if (outputs > 0) all.push_back({op, sample});
    }
  return all;
}

bool vacuous(const GradcheckReport& report) {
  return report.problems.size() == 1 && report.problems[0].find("vacuous") == 0 && report.bad_elements == 0;
}

}  // namespace

// COTANGENT_SEEDS=20 takes that many.
TEST_CASE("gradcheck raises no alarm at the right functions of the op table") {
  const char* asked = std::getenv("COTANGENT_SEEDS");
  const int seeds = asked ? std::atoi(asked) : 2;
  int passed = 0, doubtful = 0;
  std::map<std::string, int> reasons;
  for (const Right& right : right_functions())
    for (int seed = 2; seed < 2 + seeds; ++seed) {  // the op table's test takes the first
      const Tensors inputs = make_inputs(right.sample.inputs, static_cast<uint64_t>(seed));
      Tensors checked;
      std::vector<size_t> places;
      for (size_t i = 0; i < inputs.size(); ++i)
        if (right.sample.inputs[i].differentiable) checked.push_back(inputs[i]), places.push_back(i);
      const auto f = [&](const Tensors& xs) -> Tensors {
        Tensors all = inputs;
        for (size_t i = 0; i < places.size(); ++i) all[places[i]] = xs[i];
        return right.sample.call(all);
      };
      const GradcheckReport report = gradcheck(f, checked,
                                               {.rtol = right.op.tolerance,
                                                .order = std::min(right.op.orders, 2),
                                                .seed = static_cast<uint64_t>(seed),
                                                .allow_zero = right.op.zero_gradient,
                                                .empty = true});
      if (report.ok() || vacuous(report)) {
        ++passed;
        continue;
      }
      INFO(right.op.name << ", seed " << seed);
      INFO(report.to_string(4));
      CHECK(report.verdict != Verdict::fail);
      if (report.verdict != Verdict::inconclusive) continue;
      ++doubtful;
      for (const GradcheckInput& part : report.inputs)
        if (part.verdict == Verdict::inconclusive) {
          CHECK(!part.reason.empty());
          ++reasons[right.op.name + (": " + part.reason)];
        }
    }
  std::printf("gradcheck: of the right functions %d pass, %d are inconclusive\n", passed, doubtful);
  for (const auto& [reason, count] : reasons) std::printf("  %d x %s\n", count, reason.c_str());
  CHECK(passed > 500 * seeds);
  CHECK(doubtful <= 0.02 * (passed + doubtful));
}
