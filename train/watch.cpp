#include <algorithm>
#include <cmath>
#include <utility>

#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/train/watch_internal.hpp>

namespace cotangent::detail {
namespace {

/// (places, units) in row-major order: a unit is a channel of images, else an element of the last dimension.
struct Table {
  explicit Table(const Tensor& x) : values(x.detach().to_vector<double>()) {
    const int dim = x.rank() >= 4 ? 1 : x.rank() - 1;
    units = x.rank() > 0 ? x.shape()[dim] : 1;
    for (int d = dim + 1; d < x.rank(); ++d) inner *= x.shape()[d];
    places = units > 0 ? x.numel() / units : 0;
  }
  double at(int64_t place, int64_t unit) const {
    return values[static_cast<size_t>((place / inner * units + unit) * inner + place % inner)];
  }
  std::vector<double> values;
  int64_t units = 1, inner = 1, places = 0;
};

std::string place_of(const Node& node) {
  std::string path;
  if (node.extras)
    for (std::string_view rest = node.extras->modules; !rest.empty();) {
      const ModuleName module = next_module(rest);
      if (!module.name.empty()) path += (path.empty() ? "" : ".") + std::string(module.name);
    }
  return path.empty() ? std::string(node.op) : path;
}

/// The rows along dimension 1, or the only one, as cross_entropy takes the classes.
template <class F>
void for_each_row(const Tensor& x, F f) {
  const int dim = x.rank() > 1 ? 1 : 0;
  const std::vector<double> v = x.detach().to_vector<double>();
  const int64_t classes = x.shape()[dim];
  int64_t inner = 1;
  for (int d = dim + 1; d < x.rank(); ++d) inner *= x.shape()[d];
  std::vector<double> row(static_cast<size_t>(classes));
  const int64_t rows = classes > 0 ? x.numel() / classes : 0;
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < classes; ++c)
      row[static_cast<size_t>(c)] = v[static_cast<size_t>((r / inner * classes + c) * inner + r % inner)];
    f(row);
  }
}

constexpr double kCertain = 1e-6;  // a probability no further from 0 or 1 has next to no gradient
constexpr double kSure = 15;       // and this is how far logits are then apart

}  // namespace

void ForwardWatch::add(ModelFinding finding) {
  for (ModelFinding& known : findings_)
    if (known.name == finding.name && known.seen == finding.seen) {
      if (std::find(known.where.begin(), known.where.end(), finding.where[0]) == known.where.end())
        known.where.push_back(finding.where[0]);
      return;
    }
  findings_.push_back(std::move(finding));
}

void ForwardWatch::recorded(Node& node, std::span<const TensorRef> inputs, std::span<const Tensor> outputs) {
  const Tensor& y = outputs[0];
  if (!y.defined() || !y.is_floating() || y.numel() == 0) return;
  note_origin(node);
  const std::string op = node.op, where = place_of(node);
  if (op == "relu" || op == "relu6" || op == "relu_squared" || op == "threshold") look_at_units(node, where, y);

  const Table table(y);
  Units units;
  for (int64_t u = 0; u < table.units; ++u) {
    double sum = 0, squares = 0;
    for (int64_t p = 0; p < table.places; ++p) sum += table.at(p, u);
    const double mean = sum / static_cast<double>(table.places);
    for (int64_t p = 0; p < table.places; ++p) squares += (table.at(p, u) - mean) * (table.at(p, u) - mean);
    units.mean.push_back(mean);
    units.deviation.push_back(std::sqrt(squares / static_cast<double>(table.places)));
  }
  units_[&node] = std::move(units);

  int64_t low = 0, high = 0, all = y.numel();
  const double least = op == "tanh" ? -1 : 0;
  for (double v : table.values) low += v <= least + kCertain, high += v >= 1 - kCertain;
  const char* advice =
      "what comes before it is too large: check the scale of the data and the initial weights, or "
      "normalize before it";
  if (op == "softmax" && low + high == all && high < all)
    add({"saturated", {where}, fmt::format("all {} probabilities of the softmax are 0 or 1 within 1e-6", all), advice});
  if ((op == "sigmoid" || op == "tanh") && all > 1 &&
      static_cast<double>(low + high) >= 0.99 * static_cast<double>(all))
    add({"saturated",
         {where},
         fmt::format("{} of {} results of the {} are at its limits", low + high, all, op),
         advice});
  if ((op == "cross_entropy" || op == "pick_class" || op == "log_softmax") && inputs[0].tensor->defined() &&
      inputs[0].tensor->rank() > 0)
    look_at_loss(op, *inputs[0].tensor);

  // Operands are repeated before the op: one along each of the dimensions.
  if (inputs.size() != 2 || where != op || examples_ < 2 || y.shape() != Shape{examples_, examples_}) return;
  const Tensor &a = *inputs[0].tensor, &b = *inputs[1].tensor;
  if (!a.defined() || !b.defined() || a.shape() != y.shape() || b.shape() != y.shape()) return;
  if ((a.strides()[0] == 0 && b.strides()[1] == 0) || (a.strides()[1] == 0 && b.strides()[0] == 0))
    add({"broadcast",
         {op},
         fmt::format("{} of ({}) and ({}, 1) is {}: each with each", op, examples_, examples_, y.shape()),
         "give both the same shape, with squeeze(1) or unsqueeze(1)"});
}

void ForwardWatch::look_at_units(Node& node, const std::string& where, const Tensor& y) {
  constexpr double kFar = 20;     // times what the units that live are given: other batches will not reach it either
  constexpr int64_t kEnough = 8;  // places; at fewer, many units are 0 by chance
  const Table table(y);
  if (table.places < kEnough) return;
  std::vector<int64_t> zero;
  for (int64_t u = 0; u < table.units; ++u) {
    int64_t place = 0;
    while (place < table.places && table.at(place, u) == 0) ++place;
    if (place == table.places) zero.push_back(u);
  }
  const auto before = node.edge_count > 0 ? units_.find(node.edges()[0].node) : units_.end();
  int64_t far = 0;
  if (before != units_.end() && before->second.mean.size() == static_cast<size_t>(table.units)) {
    const auto size = [&](int64_t u) {
      const auto at = static_cast<size_t>(u);
      return std::fabs(before->second.mean[at]) + before->second.deviation[at];
    };
    std::vector<double> living;
    for (int64_t u = 0; u < table.units; ++u)
      if (!std::binary_search(zero.begin(), zero.end(), u)) living.push_back(size(u));
    if (!living.empty()) {
      const auto middle = living.begin() + static_cast<std::ptrdiff_t>(living.size() / 2);
      std::nth_element(living.begin(), middle, living.end());
      far = std::count_if(zero.begin(), zero.end(), [&](int64_t u) { return size(u) > kFar * *middle; });
    }
  }
  if (zero.empty() || (far == 0 && 10 * std::ssize(zero) < 9 * table.units)) return;
  add({"dead units",
       {where},
       fmt::format(
           "{} of {} units are 0 in the whole batch, at all {} places{}", zero.size(), table.units, table.places,
           far > 0 ? fmt::format("; {} of them are more than {} times further from 0 than those that live", far, kFar)
                   : ""),
       "no gradient comes through them: check the bias and the scale of the weights before, lower the learning rate, "
       "or "
       "take leaky_relu or gelu"});
}

void ForwardWatch::look_at_loss(const std::string& op, const Tensor& x) {
  int64_t rows = 0, sure = 0, probabilities = 0, positive = 0;
  for_each_row(x, [&](const std::vector<double>& row) {
    ++rows;
    double sum = 0, first = -INFINITY, second = -INFINITY, least = INFINITY;
    for (double v : row) {
      sum += v;
      least = std::min(least, v);
      if (v > first)
        second = std::exchange(first, v);
      else
        second = std::max(second, v);
    }
    if (row.size() < 2) return;
    sure += first - second > kSure;
    probabilities += least >= 0 && first <= 1 && std::fabs(sum - 1) < 1e-3;
    positive += least >= 0;
  });
  if (rows == 0) return;
  const bool takes_logits = op == "cross_entropy" || op == "log_softmax";
  if (takes_logits && 10 * sure >= 9 * rows)
    add({"saturated",
         {"the loss"},
         fmt::format("in all {} rows of {} logits the largest is more than {} above the others", rows, x.shape(),
                     kSure),
         "the logits are too large: check the scale of the data and of the last layer"});
  if (takes_logits && probabilities == rows)
    add({"softmax twice",
         {"the loss"},
         fmt::format("{} is given {} rows of probabilities: they lie in [0, 1] and sum to 1", op, rows),
         "it takes the softmax itself: give it the logits, and leave the softmax out of the model"});
  if (!takes_logits && positive == rows)
    add({"log missing",
         {"the loss"},
         fmt::format("nll_loss is given {} rows without a negative number", rows),
         "it takes logarithms of probabilities, of log_softmax; cross_entropy takes logits"});
}

}  // namespace cotangent::detail
