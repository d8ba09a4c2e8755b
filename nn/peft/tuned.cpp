#include <cotangent/nn/peft/tuned.hpp>

#include <algorithm>

#include <fmt/format.h>

#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/autograd/transforms/recomputation_internal.hpp>
#include <cotangent/nn/attention/headed.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {

Tensor Tuner::beside(size_t, const Tensor&) const { return {}; }

// ---- names ----

namespace {

bool same(std::string_view text, std::string_view pattern) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] != '*') return !text.empty() && text[0] == pattern[0] && same(text.substr(1), pattern.substr(1));
  for (size_t i = 0; i <= text.size(); ++i)
    if (same(text.substr(i), pattern.substr(1))) return true;
  return false;
}

/// What the patterns choose of `all`: there must be patterns, and each must choose something.
template <class T, class F>
std::vector<T> chosen(const char* tuner, const char* what, std::vector<T> all, const std::vector<std::string>& patterns,
                      F matches) {
  if (patterns.empty()) fail<ValueError>("[{}] no {} is named as a target", tuner, what);
  for (const std::string& pattern : patterns)
    if (std::none_of(all.begin(), all.end(), [&](const T& x) { return matches(x, pattern); })) {
      std::vector<std::string> names;
      for (const T& x : all)
        if (!x.name.empty()) names.push_back(x.name);
      fail<ValueError>("[{}] the model has no {} {}; there are {}", tuner, what, pattern,
                       names.empty() ? "none" : fmt::format("{}", fmt::join(names, ", ")));
    }
  std::erase_if(all, [&](const T& x) {
    return std::none_of(patterns.begin(), patterns.end(), [&](const std::string& p) { return matches(x, p); });
  });
  return all;
}

}  // namespace

bool detail::name_matches(std::string_view name, std::string_view pattern) {
  for (size_t from = 0;; ++from) {
    if (same(name.substr(from), pattern)) return true;
    from = name.find('.', from);
    if (from == std::string_view::npos) return false;
  }
}

std::vector<detail::FoundTarget> detail::find_targets(const char* tuner, Module& base,
                                                      const std::vector<std::string>& patterns) {
  std::vector<FoundTarget> all;
  const std::vector<NamedModule> modules = base.named_modules();
  for (const NamedTensor& p : base.named_parameters()) {
    if (p.tensor.rank() < 2) continue;
    const size_t dot = p.name.rfind('.');
    const std::string path = dot == std::string::npos ? "" : p.name.substr(0, dot);
    const auto owner = std::find_if(modules.rbegin(), modules.rend(), [&](const auto& m) { return m.name == path; });
    Module* const of = owner == modules.rend() ? &base : owner->module;
    all.push_back({{p.name, p.name, 0, p.tensor.size(0)}, p.tensor, of});
    const auto* heads = dynamic_cast<const HeadedAttention*>(of);
    if (!heads || p.tensor.impl() != heads->in_proj_weight.impl()) continue;
    const int64_t dh = heads->width() / heads->heads;
    int64_t first = 0;
    for (const auto& [part, count] :
         {std::pair(".q", heads->heads), {".k", heads->kv_heads}, {".v", heads->kv_heads}}) {
      all.push_back({{p.name + part, p.name, first, count * dh}, narrow(p.tensor, 0, first, count * dh), of});
      first += count * dh;
    }
  }
  all = chosen(tuner, "parameter", std::move(all), patterns, [](const FoundTarget& t, const std::string& pattern) {
    const bool part = t.name != t.parameter;
    return name_matches(t.name, pattern) && (!part || pattern.ends_with(t.name.substr(t.parameter.size())));
  });
  for (size_t i = 1; i < all.size(); ++i)  // a whole comes before its parts
    if (all[i - 1].name == all[i].parameter)
      fail<ValueError>("[{}] {} is part of {}; take either", tuner, all[i].name, all[i - 1].name);
  return all;
}

std::vector<NamedModule> detail::find_modules(const char* tuner, Module& base,
                                              const std::vector<std::string>& patterns) {
  return chosen(tuner, "module", base.named_modules(), patterns,
                [](const NamedModule& m, const std::string& pattern) { return name_matches(m.name, pattern); });
}

// ---- a call ----

namespace detail {

Tuning::Tuning(Module& base) : run_(cotangent::detail::innermost_run()) {
  struct Walk : Members {
    explicit Walk(std::vector<Place>& to) : places(to) {}
    void parameter(const std::string& path, Parameter& p) override {
      if (p.defined()) places.push_back({path, &p});
    }
    std::vector<Place>& places;
  } walk(places_);
  base.members(walk);
}

// Through the other constructor, so that the destructor puts all back when the tuner throws.
Tuning::Tuning(Module& base, Tuner* tuner) : Tuning(base) {
  tuner_ = tuner;
  if (!tuner) return;
  modules_ = base.named_modules();
  tuner->enter(*this);
}

Tuning::~Tuning() {
  for (auto it = before_.rbegin(); it != before_.rend(); ++it) it->first->swap(it->second);
}

const Tuning::Place& Tuning::place(std::string_view name) const {
  const auto it = std::find_if(places_.begin(), places_.end(), [&](const Place& p) { return p.name == name; });
  if (it == places_.end()) fail<ValueError>("[Tuned] the model has no parameter {} any more", name);
  return *it;
}

const Tensor& Tuning::parameter(std::string_view name) const { return *place(name).tensor; }

Module& Tuning::module(std::string_view name) const {
  const auto it = std::find_if(modules_.begin(), modules_.end(), [&](const auto& m) { return m.name == name; });
  if (it == modules_.end()) fail<ValueError>("[Tuned] the model has no module {} any more", name);
  return *it->module;
}

void Tuning::put(Tensor& place, const Tensor& values) {
  before_.emplace_back(&place, values);
  place.swap(before_.back().second);
}

void Tuning::put(std::string_view parameter, const Tensor& values) {
  const Tensor before = *place(parameter).tensor;  // held, so that its address tells it
  for (const Place& p : places_)
    if (p.tensor->impl() == before.impl()) put(*p.tensor, values);
}

void Tuning::after(std::string_view name, Tensor (*f)(void* object, const Tensor& y), void* object) {
  behind_.push_back({&module(name), f, object});
}

void Tuning::beside(size_t target, const TuningTarget& t) {
  rows_.push_back({place(t.parameter).tensor, t.first, t.rows, target});
}

void Tuning::check_lasting(const char* what) const {
  if (cotangent::detail::innermost_run() != run_)
    fail<ValueError>(
        "[Tuned] what is tuned {} lies in a checkpoint or a reversible block, which runs it again when this call is "
        "over; checkpoint the tuned model as a whole",
        what);
}

void Tuning::called(const Module& m, Tensor& y) {
  for (const Behind& b : behind_)
    if (b.module == &m) {
      check_lasting("behind a module");
      y = b.f(b.object, y);
    }
}

void Tuning::mapped(const Tensor& weight, int64_t first, const Tensor& x, Tensor& y) {
  for (const Rows& r : rows_) {
    const int64_t from = r.first - first, rest = y.size(-1) - from - r.rows;
    if (r.weight != &weight || from < 0 || rest < 0) continue;
    check_lasting("beside a weight");
    const Tensor change = tuner_->beside(r.target, x);
    if (from == 0 && rest == 0)
      y = y + change;
    else
      y = cat({narrow(y, -1, 0, from), narrow(y, -1, from, r.rows) + change, narrow(y, -1, from + r.rows, rest)}, -1);
  }
}

}  // namespace detail

// ---- weights ----

namespace {

/// f(parameter, values) for each parameter that the tuner changes, with the values that it gives it.
template <class F>
void for_each_weight(const WeightTuner& tuner, const detail::Tuning& call, F f) {
  const std::vector<TuningTarget>& targets = tuner.targets;
  for (size_t i = 0; i < targets.size();) {
    const std::string& name = targets[i].parameter;
    const Tensor& w = call.parameter(name);
    Tensors rows;
    int64_t next = 0;
    const auto keep = [&](int64_t until) {
      if (until > next) rows.push_back(narrow(w, 0, next, until - next));
    };
    for (; i < targets.size() && targets[i].parameter == name; ++i) {
      if (tuner.is_beside(i)) continue;
      const TuningTarget& t = targets[i];
      keep(t.first);
      rows.push_back(tuner.tuned(i, t.rows == w.size(0) ? w : narrow(w, 0, t.first, t.rows)));
      next = t.first + t.rows;
    }
    if (rows.empty()) continue;
    keep(w.size(0));
    f(name, rows.size() == 1 ? rows[0] : cat(rows, 0));
  }
}

}  // namespace

void WeightTuner::enter(detail::Tuning& call) {
  for_each_weight(*this, call, [&](const std::string& name, const Tensor& values) { call.put(name, values); });
  for (size_t i = 0; i < targets.size(); ++i)
    if (is_beside(i)) call.beside(i, targets[i]);
}

void detail::merge(Module& base, const WeightTuner& tuner, MergedWeights& before) {
  if (!before.empty()) fail<ValueError>("[merge] the weights were merged already; unmerge() first");
  for (size_t i = 0; i < tuner.targets.size(); ++i)
    if (tuner.is_beside(i))
      fail<ValueError>("[merge] {} has dropout before it in training, which no weight can have; call eval() first",
                       tuner.targets[i].name);
  const NoGrad guard;
  MergedWeights made;
  const Tuning call(base);
  for_each_weight(tuner, call, [&](const std::string& name, const Tensor& w) { made.push_back({name, w}); });
  for (const NamedTensor& w : made) {
    Tensor place = call.parameter(w.name);
    before.push_back({w.name, place.detach().clone()});
    place.copy_(w.tensor);
  }
}

void detail::unmerge(Module& base, MergedWeights& before) {
  if (before.empty()) fail<ValueError>("[unmerge] the weights are not merged; merge() first");
  const NoGrad guard;
  const Tuning call(base);
  for (const NamedTensor& w : before) {
    Tensor place = call.parameter(w.name);
    place.copy_(w.tensor);
  }
  before.clear();
}

Module& detail::frozen(Module& m) {
  m.requires_grad_(false);
  return m;
}

}  // namespace cotangent::nn
