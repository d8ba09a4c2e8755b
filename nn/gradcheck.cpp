#include <cotangent/nn/gradcheck.hpp>

#include <algorithm>
#include <cmath>

#include <cotangent/autograd/gradcheck/comparison_internal.hpp>
#include <cotangent/autograd/gradcheck/contracts_internal.hpp>
#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/random.hpp>

namespace cotangent::nn::detail {
namespace {

/// What a module holds, which it gets back at the end: its tensors, by their handles, and its modes.
class Borrowed : Members {
 public:
  struct Place {
    Tensor* member;
    Tensor before;
    std::string name;
  };
  explicit Borrowed(Module& m) {
    for (const NamedModule& inner : m.named_modules()) modes_.emplace_back(inner.module, inner.module->is_training());
    m.members(*this);
  }
  ~Borrowed() override {
    for (auto* places : {&parameters, &buffers})
      for (Place& place : *places) place.member->swap(place.before);
    for (const auto& [m, training] : modes_) m->train(training);  // from the outermost
  }
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;

  std::vector<Place> parameters, buffers;  // those that are defined

 private:
  void parameter(const std::string& path, Parameter& p) override {
    if (p.defined()) parameters.push_back({&p, p, path});
  }
  void buffer(const std::string&, Buffer& b) override {
    if (b.defined()) buffers.push_back({&b, b, {}});
  }
  std::vector<std::pair<Module*, bool>> modes_;
};

double root_mean_square(const Tensor& x) {
  double sum = 0;
  for (double v : x.to_vector<double>()) sum += v * v;
  return x.numel() > 0 ? std::sqrt(sum / static_cast<double>(x.numel())) : 0;
}

/// x, moved at random.
Tensor moved(const Tensor& x, Generator& generator) {
  const double size = root_mean_square(x), reach = size > 0 && std::isfinite(size) ? size / 2 : 0.5;
  Tensor result = uniform(x.shape(), -reach, reach, float64, generator);
  return result.add_(x.detach()).to(x.dtype());
}

/// A module as a function of its floating inputs and its parameters, one list after the other.
class ModuleFunction {
 public:
  ModuleFunction(Module& m, FunctionRef call, const Tensors& inputs, uint64_t seed)
      : held_(m), call_(call), inputs_(inputs), seed_(seed) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (!inputs[i].defined() || !inputs[i].is_floating()) continue;
      list.push_back(inputs[i]);
      names.push_back(fmt::format("input {}", i));
    }
    NoGrad guard;
    Generator generator(seed);
    std::vector<std::pair<const void*, size_t>> known;  // of the list, or beyond it of the frozen ones
    for (const Borrowed::Place& place : held_.parameters) {
      const void* key = place.before.impl();
      const auto same = std::find_if(known.begin(), known.end(), [&](const auto& k) { return k.first == key; });
      if (same != known.end()) {
        places_.push_back(places_[same->second]);
        continue;
      }
      known.emplace_back(key, places_.size());
      const bool trained = place.before.requires_grad();
      Tensors& to = trained ? list : frozen_;
      places_.push_back({trained, to.size()});
      to.push_back(moved(place.before, generator));
      if (trained) names.push_back(place.name);
    }
    for (const Borrowed::Place& place : held_.buffers) buffers_.push_back(place.before);
  }

  Tensors operator()(const Tensors& xs) {
    const bool wide = std::all_of(xs.begin(), xs.end(), [](const Tensor& x) { return x.dtype() == float64; });
    const auto own = [&](const Tensor& x) {
      return wide && x.is_floating() ? raw::clone(raw::cast(x, float64)) : raw::clone(x);
    };
    for (size_t i = 0; i < places_.size(); ++i)
      *held_.parameters[i].member = places_[i].trained ? xs[places_[i].number] : own(frozen_[places_[i].number]);
    for (size_t i = 0; i < buffers_.size(); ++i) *held_.buffers[i].member = own(buffers_[i]);
    Tensors inputs = inputs_;
    size_t next = 0;
    for (Tensor& x : inputs)
      if (x.defined() && x.is_floating()) x = xs[next++];
    Generator generator(seed_);
    const UseGenerator use(generator);
    return call_(inputs);
  }
  /// The buffers of the next calls are what the last one has left.
  void keep_buffers() {
    for (size_t i = 0; i < buffers_.size(); ++i) buffers_[i] = *held_.buffers[i].member;
  }
  FunctionRef ref() {
    return {this, [](void* self, const Tensors& xs) { return (*static_cast<ModuleFunction*>(self))(xs); }, -1};
  }

  Tensors list;
  std::vector<std::string> names;

 private:
  struct Slot {
    bool trained;
    size_t number;
  };
  Borrowed held_;
  FunctionRef call_;
  Tensors inputs_, frozen_, buffers_;
  std::vector<Slot> places_;
  uint64_t seed_;
};

/// What the module is to be called with: its parameters may be named among the inputs, and are checked anyway.
Tensors without_parameters(const Tensors& inputs, const Module& m) {
  const Tensors own = m.parameters();
  Tensors rest;
  for (const Tensor& x : inputs)
    if (std::none_of(own.begin(), own.end(), [&](const Tensor& p) { return p.impl() == x.impl(); })) rest.push_back(x);
  return rest;
}

template <class T>
void append(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

void add(GradcheckReport& report, const GradcheckReport& other) {
  const auto rank = [](Verdict v) { return v == Verdict::fail ? 2 : v == Verdict::inconclusive ? 1 : 0; };
  if (rank(other.verdict) > rank(report.verdict)) report.verdict = other.verdict;
  report.elements += other.elements;
  report.directions += other.directions;
  report.worst_error = std::max(report.worst_error, other.worst_error);
  report.smallest_fault = std::max(report.smallest_fault, other.smallest_fault);
  report.bad_elements += other.bad_elements;
  append(report.rows, other.rows);
  append(report.unresolved, other.unresolved);
  append(report.inputs, other.inputs);
  append(report.diagnosis, other.diagnosis);
  for (const std::string& problem : other.problems) report.problems.push_back("in evaluation: " + problem);
  if (report.blame.op.empty()) report.blame = other.blame;
  report.checked += ", in training and in evaluation";
  cotangent::detail::sort_rows(report);
  int64_t elements = 0, certified = 0;
  for (const GradcheckInput& part : report.inputs) elements += part.elements, certified += part.certified;
  report.certified = elements > 0 ? static_cast<double>(certified) / static_cast<double>(elements) : 1;
}

/// The results, without history.
Tensors results(ModuleFunction& f) {
  NoGrad guard;
  Tensors defined;
  for (const Tensor& y : f(f.list))
    if (y.defined()) defined.push_back(y);
  return cotangent::detail::copies(defined);
}

}  // namespace

void wrong_count(const Module& m, size_t inputs) {
  fail<ValueError>(
      "[gradcheck] {}({}) is not called with {} tensors; give what its forward takes, or call it by a function: "
      "gradcheck(layer, [&](Tensor x) {{ return layer(x, options); }}, {{x}})",
      m.type_name(), m.settings(), inputs);
}

GradcheckReport check_module(Module& m, FunctionRef call, const Tensors& given, const GradcheckOptions& options,
                             bool control) {
  const Tensors inputs = without_parameters(given, m);
  cotangent::detail::check_count("gradcheck", call, inputs.size());
  if (call.count == 0 && !inputs.empty())
    fail<ValueError>("[gradcheck] the function takes nothing; let it take the {} inputs", inputs.size());
  ModuleFunction f(m, call, inputs, options.seed);
  const auto check = [&] {
    return control ? cotangent::detail::run_control(f.ref(), f.list, options)
                   : cotangent::detail::run_gradcheck(f.ref(), f.list, f.names, options);
  };
  m.train();
  const Tensors trained = results(f);
  m.eval();
  const bool differs = !cotangent::detail::same_bits(trained, results(f));
  m.train();
  GradcheckReport report = check();
  if (!differs) return report;
  results(f);
  f.keep_buffers();
  m.eval();
  for (std::string& name : f.names) name += " in evaluation";
  add(report, check());
  return report;
}

}  // namespace cotangent::nn::detail
