// What the op table says of every op holds: values, gradients, layouts, dtypes, errors. And every op is in the table.
#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>

#include <cotangent/autograd/graph/embedded_internal.hpp>
#include <cotangent/autograd/observer_internal.hpp>
#include <cotangent/tests/autograd/op_check.hpp>
#include <cotangent/tests/autograd/op_samples.hpp>

using namespace cotangent;

namespace {

/// Calls f(op, sample, where) for each sample; what it throws is a failure that names the op.
template <class F>
void for_each_sample(F f) {
  for (const OpInfo& op : op_table())
    for (size_t i = 0; i < op.samples.size(); ++i) {
      const std::string where = std::string(op.name) + ", sample " + std::to_string(i);
      INFO(where);
      try {
        f(op, op.samples[i], where);
      } catch (const std::exception& error) {
        FAIL_CHECK(where << " throws: " << error.what());
      }
    }
}

}  // namespace

TEST_CASE("op table: values equal the reference", "[products]") {
  int samples = 0, with_reference = 0;
  for_each_sample([&](const OpInfo&, const Sample& sample, const std::string& where) {
    const Tensors inputs = make_inputs(sample.inputs);
    const Results y = sample.call(inputs);
    ++samples;
    if (!sample.reference) return;
    ++with_reference;
    const Results expected = sample.reference(inputs);
    const std::string text = difference(y, expected, 1e-10);
    if (!text.empty()) FAIL_CHECK(where << ": value and reference: " << text);
  });
  std::printf("op table: %d of %d samples are compared with a reference\n", with_reference, samples);
}

TEST_CASE("op table: gradients to third order") {
  int ops = 0, samples = 0, beyond_second = 0;
  for (const OpInfo& op : op_table()) {
    const OpReport report = check_op(op, 3);
    ops += report.samples > 0, samples += report.samples, beyond_second += report.beyond_second;
    for (const std::string& problem : report.problems) FAIL_CHECK(problem);
    if (report.verdict == Verdict::inconclusive) FAIL_CHECK(report.reason);
  }
  std::printf("op table: %d ops with a gradient, %d samples to second order, %d to third\n", ops, samples,
              beyond_second);
}

TEST_CASE("op table: the layout of the inputs does not matter") {
  int compared = 0;
  for_each_sample([&](const OpInfo&, const Sample& sample, const std::string& where) {
    const Tensors dense = make_inputs(sample.inputs);
    const Evaluation expected = evaluate(sample, dense);
    const auto compare = [&](const Evaluation& want, const Tensors& inputs, const std::string& kind) {
      ++compared;
      const Evaluation got = evaluate(sample, inputs);
      std::string text = difference(got.outputs, want.outputs, 1e-12, 1e-14);
      if (!text.empty()) FAIL_CHECK(where << ", " << kind << ": outputs: " << text);
      text = difference(got.gradients, want.gradients, 1e-12, 1e-14);
      if (!text.empty()) FAIL_CHECK(where << ", " << kind << ": gradients: " << text);
    };
    for (int kind = 0; kind < kLayouts; ++kind) {
      Tensors inputs;
      for (const Tensor& x : dense) inputs.push_back(with_layout(x, kind));
      compare(expected, inputs, "layout " + std::to_string(kind));
    }
    for (size_t i = 0; i < dense.size(); ++i)
      for (int d = 0; d < dense[i].rank(); ++d) {
        if (dense[i].shape()[d] < 2) continue;
        Tensors inputs = dense, copied = dense;
        inputs[i] = repeated(dense[i], d);
        copied[i] = clone(contiguous(inputs[i]));
        REQUIRE(copied[i].is_contiguous());
        Evaluation want;
        try {
          want = evaluate(sample, copied);
        } catch (const Error&) {  // for instance a matrix that is now singular
          CHECK_THROWS_AS(evaluate(sample, inputs), Error);
          continue;
        }
        compare(want, inputs, "input " + std::to_string(i) + " repeated along " + std::to_string(d));
      }
  });
  std::printf("op table: %d other layouts are compared\n", compared);
}

TEST_CASE("op table: empty inputs give a result or an Error") {
  int results = 0, errors = 0;
  for_each_sample([&](const OpInfo&, const Sample& sample, const std::string& where) {
    const Tensors full = make_inputs(sample.inputs);
    const auto attempt = [&](const Tensors& inputs, const std::string& kind) {
      INFO(where << ", " << kind);
      try {
        const Evaluation got = evaluate(sample, inputs);
        ++results;
        for (size_t i = 0; i < inputs.size(); ++i)
          if (got.gradients[i].defined()) CHECK(got.gradients[i].shape() == inputs[i].shape());
      } catch (const Error& error) {
        ++errors;
        CHECK_THAT(error.what(), Catch::StartsWith("["));
      } catch (const std::exception& error) {
        FAIL_CHECK(where << ", " << kind << " throws what is no Error: " << error.what());
      }
    };
    const auto emptied = [](const Tensor& x, int d) { return clone(narrow(x, d, 0, 0).detach()); };
    for (int d : {0, -1}) {
      Tensors inputs = full;
      for (Tensor& x : inputs)
        if (x.rank() > 0) x = emptied(x, d < 0 ? x.rank() - 1 : 0);
      attempt(inputs, d == 0 ? "all first dimensions 0" : "all last dimensions 0");
    }
    for (size_t i = 0; i < full.size(); ++i)
      for (int d = 0; d < full[i].rank(); ++d) {
        Tensors inputs = full;
        inputs[i] = emptied(full[i], d);
        attempt(inputs, "input " + std::to_string(i) + " with dimension " + std::to_string(d) + " of 0");
      }
  });
  std::printf("op table: of the samples made empty %d give a result and %d an Error\n", results, errors);
}

TEST_CASE("op table: float32 and the low-precision dtypes agree with float64") {
  int compared = 0;
  for (const auto& [dtype, epsilon] :
       {std::pair(float32, 1.2e-7), std::pair(bfloat16, 0.0079), std::pair(float16, 0.00098)})
    for_each_sample([&, d = dtype, eps = epsilon](const OpInfo& op, const Sample& sample, const std::string& where) {
      if (d != float32 && !op.low_precision) return;
      Tensors low = make_inputs(sample.inputs), high;
      bool any = false;
      for (Tensor& x : low) {
        const bool floating = x.is_floating();
        any |= floating;
        if (floating) x = to(x, d);
        high.push_back(floating ? to(x, float64) : x);
      }
      if (!any) return;
      ++compared;
      const Evaluation expected = evaluate(sample, high), got = evaluate(sample, low);
      for (size_t i = 0; i < got.outputs.size(); ++i)
        if (expected.outputs[i].dtype() == float64 && got.outputs[i].dtype() != d)
          FAIL_CHECK(where << " in " << name(d) << ": output " << i << " is " << name(got.outputs[i].dtype()));
      std::string text = difference(got.outputs, expected.outputs, 4 * eps, eps, false);
      if (!text.empty()) FAIL_CHECK(where << " in " << name(d) << " and float64: outputs: " << text);
      text = difference(got.gradients, expected.gradients, 10 * eps, 0.2 * eps, false);
      if (!text.empty()) FAIL_CHECK(where << " in " << name(d) << " and float64: gradients: " << text);
    });
  std::printf("op table: %d samples are compared in other dtypes\n", compared);
}

TEST_CASE("op table: low-precision results and gradients are those of float32, rounded once") {
  // their gradients read a result, which is rounded; or they, or the samples of cross_entropy, are made of several ops
  const std::set<std::string> exceptions = {"cross_entropy", "div",        "exp",   "expm1", "mul",   "pow",
                                            "prelu",         "reciprocal", "rsqrt", "sqrt",  "swish", "tanh"};
  for (const Dtype dtype : {bfloat16, float16})
    for_each_sample([&](const OpInfo& op, const Sample& sample, const std::string& where) {
      if (exceptions.count(op.name)) return;
      Tensors low = make_inputs(sample.inputs), wide;
      for (Tensor& x : low) {
        if (x.is_floating()) x = to(x, dtype);
        wide.push_back(x.is_floating() ? to(x, float32) : x);
      }
      const Evaluation got = evaluate(sample, low), expected = evaluate(sample, wide);
      const auto compare = [&](const Tensors& a, const Tensors& b, const char* what) {
        for (size_t i = 0; i < a.size(); ++i) {
          if (!a[i].defined() || !b[i].defined() || a[i].dtype() != dtype) continue;
          const std::string text = difference(a[i], to(b[i], dtype), 0, 0);
          if (!text.empty()) FAIL_CHECK(where << " in " << name(dtype) << ": " << what << ' ' << i << ": " << text);
        }
      };
      compare(got.outputs, expected.outputs, "output");
      compare(got.gradients, expected.gradients, "gradient");
    });
}

TEST_CASE("op table: errors say what is wrong") {
  int errors = 0;
  for (const OpInfo& op : op_table())
    for (size_t i = 0; i < op.errors.size(); ++i) {
      const std::string where = std::string(op.name) + ", error " + std::to_string(i);
      INFO(where);
      ++errors;
      try {
        Tensors inputs = make_inputs(op.errors[i].inputs);
        for (size_t k = 0; k < inputs.size(); ++k)
          if (op.errors[i].inputs[k].differentiable && inputs[k].is_floating()) inputs[k].requires_grad_();
        op.errors[i].call(inputs);
        FAIL_CHECK(where << " throws nothing; expected: " << op.errors[i].message);
      } catch (const Error& error) {
        CHECK_THAT(error.what(), Catch::Contains(op.errors[i].message));
        CHECK_THAT(error.what(), Catch::StartsWith("["));
      } catch (const std::exception& error) {
        FAIL_CHECK(where << " throws what is no Error: " << error.what());
      }
    }
  std::printf("op table: %d errors\n", errors);
}

namespace {
struct Recorded : detail::Observer {
  std::set<std::string> ops;
  void recorded(Node& node, std::span<const TensorRef>, std::span<const Tensor>) override { ops.insert(node.op); }
};
}  // namespace

TEST_CASE("op table: every public function and every recorded op is listed") {
  std::set<std::string> functions, recorded;
  for (const OpInfo& op : op_table()) {
    INFO(op.name);
    functions.insert(op.name);
    CHECK(!op.samples.empty());
    for (const Sample& sample : op.samples) CHECK(sample.call);
    recorded.insert(op.name);
    for (const char* other : op.recorded_as) recorded.insert(other);
  }

  Recorded seen;
  for_each_sample([&](const OpInfo& op, const Sample& sample, const std::string&) {
    if (op.orders > 0) evaluate(sample, make_inputs(sample.inputs), op.orders >= 2);
  });
  std::string missing;
  for (const std::string& op : seen.ops)
    if (!recorded.count(op)) missing += " " + op;
  if (!missing.empty()) FAIL_CHECK("recorded, but neither a name nor in recorded_as of the op table:" << missing);

  // what the page of a graph says of an op (autograd/graph/page.hpp); these the library keeps for itself
  const std::set<std::string> kept = {"avg_pool_backward",
                                      "cofactor",
                                      "conv_input_grad",
                                      "conv_weight_grad",
                                      "embed",
                                      "fill",
                                      "index",
                                      "index_put_",
                                      "index_sum",
                                      "pick_class",
                                      "place_class",
                                      "replace_part",
                                      "seen_product",
                                      "seen_scores"};
  missing.clear();
  for (const std::string& op : seen.ops)
    if (detail::op_contract(op).empty() != (kept.count(op) > 0)) missing += " " + op;
  if (!missing.empty())
    FAIL_CHECK("recorded, with no contract in a header (or listed here in spite of one):" << missing);

  // declarations at the start of a line: `Tensor name(`, `SortResult name(`. Those of a namespace of their own are
  // listed as complex::name, or by the name alone where it is no other's.
  const std::regex declaration(R"(^(?:inline )?[A-Z]\w* ([a-z]\w*)\()"), scope(R"(^namespace cotangent::(\w+) \{)");
  struct Declared {
    std::string file, prefix, name;
  };
  std::vector<Declared> all;
  std::set<std::string> outside;
  for (const auto& entry : std::filesystem::directory_iterator(COTANGENT_SOURCE_DIR "/autograd/ops")) {
    const std::string file = entry.path().filename();
    if (entry.path().extension() != ".hpp" || file.find("_internal") != std::string::npos) continue;
    std::ifstream in(entry.path());
    std::string prefix;
    for (std::string line; std::getline(in, line);) {
      std::smatch match;
      if (std::regex_search(line, match, scope)) prefix = match[1].str() + "::";
      if (!std::regex_search(line, match, declaration)) continue;
      all.push_back({file, prefix, match[1]});
      if (prefix.empty()) outside.insert(match[1]);
    }
  }
  std::set<std::string> unlisted;
  for (const Declared& d : all)
    if (!functions.count(d.prefix + d.name) && (outside.count(d.name) || !functions.count(d.name)))
      unlisted.insert("\n  " + d.file + ": " + d.prefix + d.name);
  missing.clear();
  for (const std::string& name : unlisted) missing += name;
  if (!missing.empty()) FAIL_CHECK("declared in autograd/ops, but not in the op table:" << missing);
}
