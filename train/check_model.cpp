#include <cotangent/train/check_model.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>

#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/optim/lbfgs.hpp>
#include <cotangent/tensor/copy.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/random.hpp>
#include <cotangent/train/saved_internal.hpp>
#include <cotangent/train/watch_internal.hpp>

namespace cotangent::detail {
namespace {

struct Statistics {
  explicit Statistics(const Tensor& x) {
    double sum = 0, squares = 0;
    const std::vector<double> values = x.detach().to_vector<double>();
    for (double v : values) {
      if (!std::isfinite(v)) ++not_finite;
      if (v != 0) ++not_zero;
      sum += v;
    }
    mean = sum / static_cast<double>(std::max<size_t>(values.size(), 1));
    for (double v : values) squares += v * v, deviation += (v - mean) * (v - mean);
    norm = std::sqrt(squares);
    deviation = std::sqrt(deviation / static_cast<double>(std::max<size_t>(values.size(), 1)));
    same = std::all_of(values.begin(), values.end(), [&](double v) { return v == values[0]; });
  }
  int64_t not_finite = 0, not_zero = 0;
  double mean = 0, deviation = 0, norm = 0;
  bool same = true;
};

/// Whether x has several rows along dimension 0, and they are all the same.
bool same_rows(const Tensor& x) {
  if (x.rank() == 0 || x.size(0) < 2 || x.numel() == 0) return false;
  const Tensor whole = raw::contiguous(x.detach());
  const auto bytes = static_cast<size_t>(x.numel() / x.size(0) * item_size(x.dtype()));
  const char* first = static_cast<const char*>(whole.raw_data());  // each is compared with the one before it
  return std::memcmp(first, first + bytes, bytes * static_cast<size_t>(x.size(0) - 1)) == 0;
}

class ModelCheck {
 public:
  ModelCheck(nn::Module& model, const data::Batch& batch, LossRef loss, optim::Optimizer& optimizer)
      : model_(model),
        batch_(batch),
        loss_(loss),
        optimizer_(optimizer),
        named_(model.named_parameters()),
        saved_(model, optimizer) {
    report_.loss = report_.loss_after = NAN;
  }

  ModelReport run() {
    look_at_modules();
    look_at_parameters();
    look_at_batch();
    saved_.clear_gradients();
    const Tensor value = first_loss();
    if (!value.defined()) return report_;
    look_at_leaves(value);
    if (!tried("backward()", [&] { value.backward(); })) return report_;
    if (look_at_gradients()) {
      look_at_dependence();
      take_step();
    }
    return report_;
  }

 private:
  using Names = std::vector<std::string>;

  void add(const char* name, Names where, std::string seen, const char* advice) {
    report_.findings.push_back({name, std::move(where), std::move(seen), advice});
  }
  /// The same unless it is nowhere.
  void add_if(const char* name, Names where, const char* seen, const char* advice) {
    const size_t count = where.size();
    if (count > 0) add(name, std::move(where), fmt::format(fmt::runtime(seen), count, named_.size()), advice);
  }
  bool is_in_optimizer(const Tensor& p) const { return holds(optimizer_.parameters(), p); }
  static bool holds(const Tensors& list, const Tensor& p) {
    return std::any_of(list.begin(), list.end(), [&](const Tensor& q) { return q.impl() == p.impl(); });
  }
  bool is_in_model(const Tensor& p) const {
    return std::any_of(named_.begin(), named_.end(), [&](const NamedTensor& q) { return q.tensor.impl() == p.impl(); });
  }
  /// Whether f() throws no Error; one that it throws is a finding.
  template <class F>
  bool tried(const char* what, F f) {
    try {
      f();
      return true;
    } catch (const Error& error) {
      const std::string text = error.what();
      const bool labels = dynamic_cast<const IndexError*>(&error) &&
                          (text.starts_with("[cross_entropy]") || text.starts_with("[nll_loss]"));
      if (labels)
        add("labels", {"batch.y"}, text, "count classes from 0, and give the last layer as many outputs as there are");
      else if (report_.ok())  // else it follows from what was found
        add("throws", {what}, text, "see the message");
      return false;
    }
  }
  Tensor forward(const data::Batch& batch) {
    saved_.start_forward();
    Generator generator(saved_.generator());
    const UseGenerator use(generator);
    const EnableGrad record;
    return loss_(batch);
  }
  double loss_of(const data::Batch& batch) { return mean(forward(batch).detach().to(float64)).item(); }

  void look_at_modules();
  void look_at_parameters();
  void look_at_batch();
  void look_at_values(const char* name, const Tensor& x);
  Tensor first_loss();
  void look_at_leaves(const Tensor& loss);
  /// Whether they are finite.
  bool look_at_gradients();
  void look_at_dependence();
  void take_step();
  void look_at_change();
  void look_at_rise();
  void step();

  nn::Module& model_;
  const data::Batch& batch_;
  LossRef loss_;
  optim::Optimizer& optimizer_;
  std::vector<NamedTensor> named_;
  SavedTraining saved_;
  ModelReport report_;
};

// ---- before the step ----

void ModelCheck::look_at_modules() {
  Names evaluated;
  for (const nn::NamedModule& inner : model_.named_modules()) {
    if (inner.module->is_training()) continue;
    const Tensors own = inner.module->parameters();
    if (!own.empty() && std::none_of(own.begin(), own.end(), [](const Tensor& p) { return p.requires_grad(); }))
      continue;
    const bool within = std::any_of(evaluated.begin(), evaluated.end(), [&](const std::string& outer) {
      return outer == "the model" || inner.name.starts_with(outer + ".");
    });
    if (!within) evaluated.push_back(inner.name.empty() ? "the model" : inner.name);
  }
  add_if("evaluation mode", std::move(evaluated),
         "{} modules are in evaluation mode: dropout drops nothing, batch norm takes its running statistics",
         "call model.train() before training, and after each evaluation");
}

void ModelCheck::look_at_parameters() {
  Names frozen, outside, not_finite, old, equal;
  for (const auto& [name, p] : named_) {
    if (p.rank() > 1 && p.requires_grad() && same_rows(p) && Statistics(p).not_zero > 0) equal.push_back(name);
    if (!p.requires_grad() && is_in_optimizer(p)) frozen.push_back(name);
    if (p.requires_grad() && !is_in_optimizer(p)) outside.push_back(name);
    if (Statistics(p).not_finite > 0) not_finite.push_back(name);
    if (p.requires_grad() && p.grad().defined() && Statistics(p.grad()).not_zero > 0) old.push_back(name);
  }
  add_if("frozen", std::move(frozen), "{} of {} parameters are given to the optimizer, and require no gradient",
         "call requires_grad_(true) to train them, or leave them out of the optimizer");
  add_if("not in the optimizer", std::move(outside),
         "{} of {} parameters require a gradient, and the optimizer has not got them",
         "make the optimizer from model.parameters(), after to(), and after layers were added or replaced");
  add_if("not finite", std::move(not_finite), "{} of {} parameters hold NaN or infinity",
         "go back to a checkpoint; a lower learning rate or clip_grad_norm_ may avoid it");
  add_if("old gradients", std::move(old), "{} of {} parameters have a gradient already, to which this step would add",
         "call optimizer.zero_grad() in each step, before backward()");
  add_if("equal units", std::move(equal),
         "in {} of {} parameters all rows are the same, so that all units stay the same",
         "start from random values: those of the layers, or of nn::init");
  Names zero;
  for (size_t g = 0; g < optimizer_.group_count(); ++g)
    if (optimizer_.lr(g) == 0) zero.push_back(fmt::format("group {}", g));
  add_if("learning rate", std::move(zero), "the learning rate of {} groups is 0",
         "set it; of a schedule, look at its first steps and at its length");
}

void ModelCheck::look_at_values(const char* name, const Tensor& x) {
  if (!x.is_floating()) return;
  const Statistics s(x);
  if (s.not_finite > 0)
    add("not finite", {name}, fmt::format("{} of {} elements are NaN or infinity", s.not_finite, x.numel()),
        "look at how the data are read and computed: divisions by a deviation of 0, logarithms of 0, missing values");
  else if (std::fabs(s.mean) > 10 || s.deviation > 10 || (s.deviation < 1e-3 && !s.same))
    add("not normalized", {name},
        fmt::format("the mean is {:.3g} and the standard deviation {:.3g}", s.mean, s.deviation),
        "subtract the mean of the training data and divide by their standard deviation");
}

void ModelCheck::look_at_batch() {
  const Tensor &x = batch_.x, &y = batch_.y;
  if (x.defined()) {
    look_at_values("batch.x", x);
    if (same_rows(x))
      add("equal inputs", {"batch.x"}, fmt::format("all {} examples are the same", x.size(0)),
          "look at how the batch is put together: an index that is not used, a buffer that is used again");
  }
  if (!y.defined()) return;
  look_at_values("batch.y", y);
  constexpr int64_t kFew = 4;
  if (y.numel() >= kFew && Statistics(y).same)
    add("one class", {"batch.y"}, fmt::format("all {} targets are {}", y.numel(), y.flatten()[0].item()),
        "shuffle the data: they may be sorted by class; or look at how the targets are read");
}

// ---- the step ----

Tensor ModelCheck::first_loss() {
  Tensor value;
  ForwardWatch watch(batch_.x.defined() && batch_.x.rank() > 0 ? batch_.x.size(0) : 0);
  const bool ran = tried("the loss", [&] { value = forward(batch_); });
  for (ModelFinding& finding : watch.findings()) report_.findings.push_back(std::move(finding));
  if (!ran) return {};
  if (value.numel() != 1) {
    add("not reduced", {"the loss"}, fmt::format("it has the shape {}", value.shape()),
        "take its mean() or sum(); losses do by themselves unless reduction is none");
    value = mean(value);
  }
  report_.loss = value.detach().item();
  if (!std::isfinite(report_.loss)) {
    add("not finite", {"the loss"}, fmt::format("it is {}", report_.loss),
        "DetectAnomaly names the first op that gives NaN or infinity");
    return {};
  }
  if (!value.requires_grad()) {
    add("no graph", {"the loss"}, "it has no history, so that backward() reaches nothing",
        "look for detach(), NoGrad, item(), argmax, copies by hand, and for frozen parameters");
    return {};
  }
  return value;
}

void ModelCheck::look_at_leaves(const Tensor& loss) {
  std::vector<Node*> known, open{loss.impl()->node};
  const auto know = [&](const Tensor& x) {
    if (x.defined() && x.impl()->node) known.push_back(x.impl()->node);
  };
  for (const NamedTensor& p : named_) know(p.tensor);
  for (const Tensor& p : optimizer_.parameters()) know(p);
  know(batch_.x.defined() && batch_.x.is_leaf() ? batch_.x : Tensor());
  std::sort(known.begin(), known.end());
  std::vector<const Node*> seen;
  Names leaks;
  while (!open.empty()) {
    Node* node = open.back();
    open.pop_back();
    const auto place = std::lower_bound(seen.begin(), seen.end(), node);
    if (place != seen.end() && *place == node) continue;
    seen.insert(place, node);
    if (node->is_leaf()) {
      if (std::binary_search(known.begin(), known.end(), node)) continue;
      const bool target = batch_.y.defined() && batch_.y.impl()->node == node;
      leaks.push_back(target ? "batch.y" : fmt::format("a tensor of shape {}", node->slots()[0].shape));
    }
    for (int i = 0; i < node->edge_count; ++i)
      if (Node* input = node->edges()[i].node) open.push_back(input);
  }
  add_if(
      "leaking gradient", std::move(leaks),
      "the gradient goes to {} leaves that are neither of the model nor of the optimizer nor the input",
      "detach() targets and the results of other networks, or compute them under NoGrad; an input that was computed, "
      "too");
}

bool ModelCheck::look_at_gradients() {
  Names none, zero, not_finite;
  struct Weight {
    std::string name;
    double size;  // root mean square
  };
  std::vector<Weight> weights;
  double gradients = 0, values = 0;
  for (const auto& [name, p] : named_) {
    if (!p.requires_grad()) continue;
    if (!p.grad().defined()) {
      none.push_back(name);
      continue;
    }
    const Statistics g(p.grad()), v(p);
    if (g.not_finite > 0)
      not_finite.push_back(name);
    else if (g.not_zero == 0)
      zero.push_back(name);
    else if (p.rank() >= 2)
      weights.push_back({name, g.norm / std::sqrt(static_cast<double>(p.numel()))});
    gradients += g.norm * g.norm;
    values += v.norm * v.norm;
  }
  report_.gradient = std::sqrt(gradients);
  const bool finite = not_finite.empty();
  add_if("no gradient", std::move(none), "the loss does not depend on {} of {} parameters, as the tape has it",
         "use them in forward(); or look for detach(), NoGrad and copies by hand between them and the loss");
  add_if("zero gradient", std::move(zero), "the gradient of {} of {} parameters is 0 in every element",
         "look for dead units, saturated functions, factors of 0, and weights that start at 0");
  add_if("not finite", std::move(not_finite), "the gradients of {} of {} parameters hold NaN or infinity",
         "DetectAnomaly names the first op that gives it: a square root or logarithm of 0, a division by 0");
  if (!finite) return false;
  constexpr double kVanished = 1e-5, kExploded = 1e3;
  const auto largest = std::max_element(weights.begin(), weights.end(),
                                        [](const Weight& a, const Weight& b) { return a.size < b.size; });
  Names vanished;
  double least = INFINITY;
  for (const Weight& w : weights)
    if (w.size < kVanished * largest->size) {
      vanished.push_back(w.name);
      least = std::min(least, w.size);
    }
  if (!vanished.empty())
    add("vanishing gradient", std::move(vanished),
        fmt::format("its root mean square is down to {:.1g}, and {:.1g} at {}", least, largest->size, largest->name),
        "take relu or gelu instead of sigmoid or tanh, normalize between the layers, add residuals, or initialize the "
        "weights by nn::init");
  if (report_.gradient > kExploded * std::sqrt(values))
    add("exploding gradient", {"all parameters"},
        fmt::format("the norm of the gradient is {:.3g}, and that of the parameters {:.3g}", report_.gradient,
                    std::sqrt(values)),
        "check the scale of the data and of the initial weights, normalize between the layers, or clip_grad_norm_");
  return true;
}

void ModelCheck::look_at_dependence() {
  const Tensor& x = batch_.x;
  if (!x.defined() || x.numel() < 2 || x.rank() == 0 || Statistics(x).same) return;
  Tensor moved = raw::clone(x.detach());
  if (x.is_floating()) {
    Generator generator(1);
    moved.add_(uniform(x.shape(), -1, 1, x.dtype(), generator), 100 * Statistics(x).deviation);  // not to be overseen
  } else {  // other values might be out of range
    const int dim = batch_.y.defined() && x.size(0) > 1 ? 0 : x.rank() - 1;
    const int64_t n = x.size(dim);
    moved.narrow(dim, 1, n - 1).copy_(x.narrow(dim, 0, n - 1));
    moved.narrow(dim, 0, 1).copy_(x.narrow(dim, n - 1, 1));
  }
  double other = 0;
  try {
    other = loss_of({moved, batch_.y});
  } catch (const Error&) {
    return;  // a model of this batch alone
  }
  if (other == loss_of(batch_))
    add("independent of x", {"batch.x"}, fmt::format("the loss is {:.9g} for other inputs, too", other),
        "look at whether forward() uses its argument, for units that are all dead, and for factors of 0");
}

void ModelCheck::step() {
  if (auto* lbfgs = dynamic_cast<optim::LBFGS*>(&optimizer_)) {
    lbfgs->step([&] {
      optimizer_.zero_grad();
      Tensor value = forward(batch_);
      if (value.numel() != 1) value = mean(value);
      value.backward();
      return value;
    });
  } else {
    optimizer_.step();
  }
}

void ModelCheck::take_step() {
  Names foreign;
  const Tensors& parameters = optimizer_.parameters();
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Tensor& p = parameters[i];
    const auto place = [&] { return fmt::format("optimizer parameter {} of shape {}", i, p.shape()); };
    if (!is_in_model(p) && !(p.requires_grad() && p.grad().defined())) foreign.push_back(place());
    for (size_t j = 0; j < i; ++j)
      if (parameters[j].raw_data() == p.raw_data() && p.numel() > 0 && parameters[j].numel() > 0)
        foreign.push_back(place() + fmt::format(", which lies in the memory of {}", j));
  }
  add_if("not in the model", std::move(foreign),
         "{} parameters of the optimizer are not the model's, or are there twice",
         "make the optimizer from model.parameters(), after to(), and after layers were added or replaced");
  if (!tried("step()", [&] { step(); })) return;
  look_at_change();
  report_.loss_after = loss_of(batch_);
  look_at_rise();
}

void ModelCheck::look_at_change() {
  for (size_t g = 0; g < optimizer_.group_count(); ++g)
    if (optimizer_.lr(g) == 0) return;  // which is a finding
  constexpr double kMost = 0.9;
  double largest = 0;
  const auto size_of = [](const Tensor& p) {
    return p.grad().defined() && p.numel() > 0 ? Statistics(p.grad()).norm / std::sqrt(static_cast<double>(p.numel()))
                                               : 0;
  };
  for (const auto& [name, p] : named_)
    if (p.requires_grad()) largest = std::max(largest, size_of(p));
  Names unchanged;
  for (const auto& [name, p] : named_) {
    if (!p.requires_grad() || !p.grad().defined() || !is_in_optimizer(p)) continue;
    if (size_of(p) < 1e-5 * largest) continue;  // 0 but for rounding, as of a bias before a batch norm
    const std::vector<double> gradient = p.grad().to_vector<double>(), now = p.detach().to_vector<double>(),
                              before = saved_.value(p).to_vector<double>();
    int64_t wanted = 0, same = 0;
    for (size_t i = 0; i < now.size(); ++i) {
      if (gradient[i] == 0) continue;
      ++wanted;
      same += now[i] == before[i];
    }
    if (wanted > 0 && static_cast<double>(same) >= kMost * static_cast<double>(wanted)) unchanged.push_back(name);
  }
  add_if("unchanged", std::move(unchanged), "the step leaves {} of {} parameters as they are, or nine tenths of each",
         "the steps are smaller than the rounding of the dtype: keep parameters in float32, or take a larger learning "
         "rate");
}

void ModelCheck::look_at_rise() {
  const double before = report_.loss, size = std::fabs(before);
  if (report_.loss_after <= before + 0.1 * size) return;
  const StateDict options = optimizer_.state_dict();
  std::string rates;
  for (size_t g = 0; g < optimizer_.group_count(); ++g) {
    const Tensor& maximize = options.get(fmt::format("param_groups.{}.maximize", g));
    if (maximize.defined() && maximize.item() != 0) return;
    rates += fmt::format("{}{:.3g}", g ? ", " : "", optimizer_.lr(g));
  }
  saved_.go_back();
  for (size_t g = 0; g < optimizer_.group_count(); ++g) optimizer_.lr(g) /= 1000;
  step();
  const double careful = loss_of(batch_);
  const std::string rise =
      fmt::format("one step takes the loss of the batch from {:.6g} to {:.6g}", before, report_.loss_after);
  if (careful <= before + 1e-6 * size)
    add("learning rate", {"group " + std::string(optimizer_.group_count() > 1 ? "0, .." : "0")},
        fmt::format("it is {}: {}, a thousandth of it to {:.6g}", rates, rise, careful),
        "divide it by 10 until the loss falls");
  else
    add("loss rises", {"the loss"},
        fmt::format("{}, and with a thousandth of the learning rate to {:.6g}", rise, careful),
        "look at the sign of the loss, and check gradients of your own by gradcheck");
}

}  // namespace

ModelReport check_model(nn::Module& model, const data::Batch& batch, LossRef loss, optim::Optimizer& optimizer) {
  return ModelCheck(model, batch, loss, optimizer).run();
}

}  // namespace cotangent::detail
