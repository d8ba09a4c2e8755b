// Hypotheses on which element: another order of the elements, an axis too many or too few.
#include <algorithm>
#include <numeric>
#include <utility>

#include <cotangent/autograd/gradcheck/diagnosis_internal.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::detail {
namespace {

constexpr int64_t kMostShifts = 64;

int64_t place_of(const Shape& shape, const Shape& index) {
  int64_t place = 0;
  for (int d = 0; d < shape.rank(); ++d) place = place * shape[d] + index[d];
  return place;
}

std::string join(const std::vector<int>& dims) {
  std::string text;
  for (int d : dims) text += (text.empty() ? "" : ", ") + std::to_string(d);
  return text;
}

// The elements in the order of permuted dimensions, read as if these were not.
void add_permutations(std::vector<Arrangement>& all, const Shape& shape) {
  const int rank = shape.rank();
  if (rank < 2 || rank > 5) return;
  std::vector<int> dims(static_cast<size_t>(rank));
  std::iota(dims.begin(), dims.end(), 0);
  std::vector<std::vector<int>> orders;
  while (std::next_permutation(dims.begin(), dims.end())) orders.push_back(dims);
  const auto moved = [](const std::vector<int>& order) {
    int count = 0;
    for (size_t i = 0; i < order.size(); ++i) count += std::cmp_not_equal(order[i], i) ? 1 : 0;
    return count;
  };
  std::stable_sort(orders.begin(), orders.end(), [&](const auto& a, const auto& b) { return moved(a) < moved(b); });
  for (const std::vector<int>& order : orders) {
    Shape permuted;
    std::vector<int> changed;
    for (int d : order) permuted.push_back(shape[d]);
    for (size_t i = 0; i < order.size(); ++i)
      if (std::cmp_not_equal(order[i], i)) changed.push_back(static_cast<int>(i));
    const std::string text = changed.size() == 2
                                 ? fmt::format("with dimensions {} and {} exchanged", changed[0], changed[1])
                                 : fmt::format("with dimensions in the order ({})", join(order));
    all.push_back({permuted == shape ? text : text + fmt::format(", read as {}", shape), [=](int64_t i) {
                     const Shape index = element_index(permuted, i);
                     Shape from = shape;
                     for (size_t d = 0; d < order.size(); ++d) from[order[d]] = index[static_cast<int>(d)];
                     return place_of(shape, from);
                   }});
    if (permuted == shape) continue;  // then the way back is another of these
    all.push_back({text + fmt::format(", from {} read as {}", permuted, shape), [=](int64_t i) {
                     const Shape index = element_index(shape, i);
                     Shape from = permuted;
                     for (size_t d = 0; d < order.size(); ++d) from[static_cast<int>(d)] = index[order[d]];
                     return place_of(permuted, from);
                   }});
  }
}

void add_flips(std::vector<Arrangement>& all, const Shape& shape) {
  for (int mask = 1; mask < 1 << std::min(shape.rank(), 4); ++mask) {
    std::vector<int> flipped;
    for (int d = 0; d < shape.rank(); ++d)
      if (mask >> d & 1) flipped.push_back(d);
    all.push_back({fmt::format("flipped along dimension {}", join(flipped)), [=](int64_t i) {
                     Shape index = element_index(shape, i);
                     for (int d : flipped) index[d] = shape[d] - 1 - index[d];
                     return place_of(shape, index);
                   }});
  }
}

void add_quarter_turns(std::vector<Arrangement>& all, const Shape& shape) {
  const int rank = shape.rank();
  if (rank < 2 || shape[rank - 1] != shape[rank - 2]) return;
  for (const bool left : {false, true})
    all.push_back({"turned by a quarter in the last two dimensions", [=](int64_t i) {
                     Shape index = element_index(shape, i);
                     const int64_t row = index[rank - 2], column = index[rank - 1], last = shape[rank - 1] - 1;
                     index[rank - 2] = left ? column : last - column;
                     index[rank - 1] = left ? last - row : row;
                     return place_of(shape, index);
                   }});
}

void add_shifts(std::vector<Arrangement>& all, const Shape& shape) {
  for (int d = 0; d < shape.rank(); ++d)
    for (int64_t by = 1; by < std::min(shape[d], kMostShifts); ++by) {
      const int64_t shift = by % 2 ? by / 2 + 1 : shape[d] - by / 2;  // the short ones of both signs first
      all.push_back({fmt::format("shifted by {} along dimension {}", by % 2 ? shift : -by / 2, d), [=](int64_t i) {
                       Shape index = element_index(shape, i);
                       index[d] = (index[d] + shape[d] - shift) % shape[d];
                       return place_of(shape, index);
                     }});
    }
}

// A dimension of p q elements in the order (q, p).
void add_splits(std::vector<Arrangement>& all, const Shape& shape) {
  for (int d = 0; d < shape.rank(); ++d)
    for (int64_t p = 2; p <= shape[d] / 2 && p <= kMostShifts; ++p) {
      if (shape[d] % p != 0) continue;
      const int64_t q = shape[d] / p;
      all.push_back({fmt::format("with dimension {} of {} read as ({}, {}) in place of ({}, {}), as of channels c r^2 "
                                 "against r^2 c",
                                 d, shape[d], q, p, p, q),
                     [=](int64_t i) {
                       Shape index = element_index(shape, i);
                       index[d] = index[d] % p * q + index[d] / p;
                       return place_of(shape, index);
                     }});
      all.push_back({fmt::format("with the {} parts of dimension {} in another order", p, d), [=](int64_t i) {
                       Shape index = element_index(shape, i);
                       index[d] = (p - 1 - index[d] / q) * q + index[d] % q;
                       return place_of(shape, index);
                     }});
    }
}

// Slices along a dimension in any other order.
std::string other_slices(const Evidence& e) {
  for (int d = 0; d < e.shape.rank() && e.complete(); ++d) {
    int64_t inner = 1;
    for (int k = d + 1; k < e.shape.rank(); ++k) inner *= e.shape[k];
    const int64_t size = e.shape[d], outer = e.shape.product() / (inner * size);
    if (size < 3 || inner * outer < 2) continue;
    std::vector<int64_t> from;
    Values predicted = e.n;
    for (int64_t i = 0; i < size; ++i)
      for (int64_t j = 0; j < size && std::cmp_equal(from.size(), i); ++j) {
        bool same = true, any = false;
        for (int64_t o = 0; o < outer && same; ++o)
          for (int64_t k = 0; k < inner && same; ++k) {
            const auto to = static_cast<size_t>((o * size + i) * inner + k);
            predicted[to] = e.n[static_cast<size_t>((o * size + j) * inner + k)];
            same = std::fabs(predicted[to] - e.a[to]) <= 1e-5 * std::fabs(e.a[to]) + 3 * e.error[to];
            any = any || e.a[to] != 0;
          }
        if (same && (any || i == j)) from.push_back(j);
      }
    if (std::cmp_not_equal(from.size(), size) || !e.is_rule(predicted)) continue;
    std::vector<int> order(from.begin(), from.end());
    if (std::cmp_less(order.size(), 17))
      return fmt::format("the rule gives the slices along dimension {} in the order ({})", d, join(order));
    return fmt::format("the rule gives the slices along dimension {} in another order", d);
  }
  return "";
}

// The dimensions of the output all along which each element of the input is repeated: empty unless each spot is moved
// by one element alone.
std::vector<int> repeated_dims(const Evidence& e) {
  if (e.columns.empty() || e.outputs.size() != 1 || e.rule.size() >= e.v.size()) return {};
  const Shape& out = e.outputs[0];
  std::vector<int> movers(e.v.size());
  std::vector<bool> all(out.size(), true);
  for (const Values& column : e.columns) {
    std::vector<std::vector<bool>> seen;
    seen.reserve(static_cast<size_t>(out.rank()));
    for (int d = 0; d < out.rank(); ++d) seen.emplace_back(static_cast<size_t>(out[d]));
    size_t count = 0, product = 1;
    for (size_t o = 0; o < column.size(); ++o) {
      if (column[o] == 0) continue;
      if (++movers[o] > 1) return {};
      ++count;
      const Shape index = element_index(out, static_cast<int64_t>(o));
      for (int d = 0; d < out.rank(); ++d) seen[static_cast<size_t>(d)][static_cast<size_t>(index[d])] = true;
    }
    for (size_t d = 0; d < seen.size(); ++d) {
      const auto found = static_cast<size_t>(std::count(seen[d].begin(), seen[d].end(), true));
      product *= found;
      all[d] = all[d] && found == seen[d].size() && found > 1;
    }
    if (count > 0 && product != count) return {};
  }
  std::vector<int> dims;
  for (size_t d = 0; d < all.size(); ++d)
    if (all[d]) dims.push_back(static_cast<int>(d));
  return dims;
}

// Whether some element of the input moves several spots of a larger output.
bool feeds_many(const Evidence& e) {
  for (const Values& column : e.columns)
    if (std::count_if(column.begin(), column.end(), [](double c) { return c != 0; }) > 1)
      return e.rule.size() < e.v.size();
  return false;
}

/// Whether its shape, with ones in front, fits an output's but for sizes of 1.
bool broadcasts_to(const Shape& from, const Shape& to) {
  if (from.rank() > to.rank() || from.product() >= to.product()) return false;
  for (int d = 1; d <= from.rank(); ++d)
    if (from[from.rank() - d] != to[to.rank() - d] && from[from.rank() - d] != 1) return false;
  return true;
}

// The mean along some of these dimensions in place of the sum: the count.
double mean_for_sum(const Evidence& e, const std::vector<int>& dims) {
  for (int mask = 1; mask < 1 << dims.size(); ++mask) {
    double count = 1;
    for (size_t i = 0; i < dims.size(); ++i)
      if (mask >> i & 1) count *= static_cast<double>(e.outputs[0][dims[i]]);
    Values mean = e.n;
    for (double& g : mean) g /= count;
    if (e.is_rule(mean)) return count;
  }
  return 0;
}

// Each element of the input moves one spot, and the rule takes the cotangent of another one, which goes by another
// dimension of the input.
std::string spread_wrongly(const Evidence& e) {
  if (e.columns.empty() || e.outputs.size() != 1) return "";
  Values taken;
  for (size_t p = 0; p < e.places.size(); ++p) {
    const Values& column = e.columns[p];
    if (std::count_if(column.begin(), column.end(), [](double c) { return c != 0; }) != 1) return "";
    taken.push_back(e.a[p] / *std::find_if(column.begin(), column.end(), [](double c) { return c != 0; }));
  }
  for (int d = 0; d < e.shape.rank(); ++d) {
    if (std::cmp_not_equal(e.shape[d], e.v.size())) continue;
    bool all = e.shape[d] > 1;
    for (size_t p = 0; p < taken.size() && all; ++p) {
      const double v = e.v[static_cast<size_t>(element_index(e.shape, e.places[p])[d])];
      all = std::fabs(taken[p] - v) <= 1e-5 * std::fabs(v);
    }
    if (all)
      return fmt::format(
          "the cotangent is spread over the wrong axis: the rule takes it by the index along "
          "dimension {} of the input",
          d);
  }
  return "";
}

// The rule gives something for the spots that the right one has, but with dimensions exchanged.
std::string other_spots(const Evidence& e) {
  if (e.outputs.size() != 1 || e.rows.size() != e.v.size() || e.rule.size() >= e.v.size()) return "";
  for (const Arrangement& other : arrangements(e.outputs[0])) {
    if (other.text.find("with dimensions") != 0) continue;
    bool same = true, moved = false;
    for (size_t o = 0; o < e.rows.size() && same; ++o)
      for (size_t p = 0; p < e.places.size() && same; ++p) {
        const bool rule = e.row_rule[o][p] != 0;
        same = rule == (e.columns[p][static_cast<size_t>(other.from(static_cast<int64_t>(o)))] != 0);
        moved = moved || rule != (e.columns[p][o] != 0);
      }
    if (same && moved) return other.text;
  }
  return "";
}

// The cotangents of output k in another order, or "" if none explains it.
std::string other_cotangents(const Evidence& e) {
  if (e.columns.empty()) return "";
  for (size_t k = 0; k < e.outputs.size(); ++k)
    for (const Arrangement& other : arrangements(e.outputs[k])) {
      Values w = e.v;
      const size_t first = e.first_spot(k);
      for (size_t i = 0; i < static_cast<size_t>(e.outputs[k].product()); ++i)
        w[first + i] = e.v[first + static_cast<size_t>(other.from(static_cast<int64_t>(i)))];
      if (e.is_rule_for(w))
        return e.outputs.size() == 1 ? other.text : fmt::format("{} (that of output {})", other.text, k);
    }
  return "";
}

// Sums along some dimensions of the right gradient: the same value all along them.
std::string summed_too_far(const Evidence& e) {
  if (!e.complete()) return "";
  for (int mask = 1; mask < 1 << std::min(e.shape.rank(), 4); ++mask) {
    std::vector<int> dims;
    Shape kept = e.shape;
    for (int d = 0; d < e.shape.rank(); ++d)
      if (mask >> d & 1) dims.push_back(d), kept[d] = 1;
    Values sums(static_cast<size_t>(kept.product()));
    const auto slot = [&](size_t p) {
      Shape index = element_index(e.shape, static_cast<int64_t>(p));
      for (int d : dims) index[d] = 0;
      return static_cast<size_t>(place_of(kept, index));
    };
    for (size_t p = 0; p < e.n.size(); ++p) sums[slot(p)] += e.n[p];
    for (const bool mean : {false, true}) {
      const size_t divisor = mean ? e.n.size() / sums.size() : 1;
      Values predicted;
      for (size_t p = 0; p < e.n.size(); ++p) predicted.push_back(sums[slot(p)] / static_cast<double>(divisor));
      if (e.is_rule(predicted))
        return fmt::format("the rule gives the {} of the right gradient along dimension {} in every element of it",
                           mean ? "mean" : "sum", join(dims));
    }
  }
  return "";
}

// One slice of an output's cotangent alone, or that in place of every other.
std::string one_slice(const Evidence& e, bool spread) {
  if (e.columns.empty()) return "";
  for (size_t k = 0; k < e.outputs.size(); ++k)
    for (int d = 0; d < e.outputs[k].rank(); ++d)
      for (const int64_t slice : {int64_t{0}, e.outputs[k][d] - 1}) {
        const int64_t size = e.outputs[k][d];
        if (size < 2) continue;
        Values w = e.v;
        const size_t first = e.first_spot(k);
        for (size_t i = 0; i < static_cast<size_t>(e.outputs[k].product()); ++i) {
          Shape index = element_index(e.outputs[k], static_cast<int64_t>(i));
          if (!spread && index[d] != slice) w[first + i] = 0;
          index[d] = slice;
          if (spread) w[first + i] = e.v[first + static_cast<size_t>(place_of(e.outputs[k], index))];
        }
        if (e.is_rule_for(w))
          return fmt::format("the rule takes the cotangent at index {} of dimension {} of the output {}", slice, d,
                             spread ? fmt::format("for each of the {} there", size)
                                    : fmt::format("alone, where it should sum over the {} there", size));
      }
  return "";
}

// Whether the right gradient is the same all along some dimension, as that of a sum is.
bool constant_along_any(const Evidence& e) {
  for (int d = 0; d < e.shape.rank(); ++d) {
    if (e.shape[d] < 2 || !e.complete()) continue;
    bool constant = true;
    for (size_t p = 0; p < e.n.size() && constant; ++p) {
      Shape index = element_index(e.shape, static_cast<int64_t>(p));
      index[d] = 0;
      const double first = e.n[static_cast<size_t>(place_of(e.shape, index))];
      constant = std::fabs(e.n[p] - first) <= 1e-6 * std::fabs(first);
    }
    if (constant) return true;
  }
  return false;
}

// The order in which the rule's elements would be right.
std::string other_places(const Evidence& e) {
  for (const Arrangement& other : arrangements(e.shape)) {
    Values right;
    for (const int64_t place : e.places) right.push_back(e.rule[static_cast<size_t>(other.from(place))]);
    if (e.is_right(right)) return other.text;
  }
  return "";
}

// The gradient that the transposed Jacobian would give.
bool transposed(const Evidence& e) {
  if (!e.complete() || e.rows.size() != e.v.size() || e.rows.size() != e.places.size()) return false;
  for (size_t o = 0; o < e.rows.size(); ++o) {
    Values right;
    for (size_t p = 0; p < e.places.size(); ++p) right.push_back(e.columns[o][p]);
    const double c = common_factor(e.row_rule[o], right);
    if (!(std::fabs(c - 1) <= 1e-5) && !(std::isnan(c) && e.row_rule[o] == right)) return false;
  }
  return true;
}

}  // namespace

std::vector<Arrangement> arrangements(const Shape& shape) {
  std::vector<Arrangement> all;
  add_permutations(all, shape);
  add_flips(all, shape);
  add_quarter_turns(all, shape);
  add_shifts(all, shape);
  add_splits(all, shape);
  return all;
}

std::string explain_layout(const Evidence& e) {
  if (e.rule.size() < 2 || e.places.size() < 2) return "";
  if (const std::string text = other_places(e); !text.empty()) return "right would be the gradient of the rule " + text;
  if (const std::string text = other_cotangents(e); !text.empty()) return "the rule reads the cotangent " + text;
  return transposed(e) ? "the rule multiplies by the Jacobian where it should by its transpose" : "";
}

std::string explain_permutation(const Evidence& e) {
  if (e.rule.size() < 2 || !e.complete()) return "";
  size_t wrong = 0;
  for (size_t p = 0; p < e.places.size(); ++p) wrong += e.wrong(p) ? 1 : 0;
  if (3 * wrong < e.places.size()) return "";  // a matter of where
  if (const std::string text = other_slices(e); !text.empty()) return text;
  if (const std::string text = one_slice(e, true); !text.empty()) return text;
  Values sorted_a = e.a, sorted_n = e.n;
  std::sort(sorted_a.begin(), sorted_a.end()), std::sort(sorted_n.begin(), sorted_n.end());
  bool same = true;
  for (size_t p = 0; p < sorted_a.size() && same; ++p)
    same = std::fabs(sorted_a[p] - sorted_n[p]) <= 1e-6 * std::fabs(sorted_n[p]) + 3 * e.error[p];
  return same ? "the rule gives the right values in the wrong places: another permutation, or a stride" : "";
}

std::string explain_broadcast(const Evidence& e) {
  if (e.rule.size() >= 2 && constant_along_any(e))
    if (const std::string text = other_places(e); text.find("with dimensions") == 0)
      return "the gradient is spread over the wrong axis: right would be that of the rule " + text;
  if (const std::string text = spread_wrongly(e); !text.empty()) return text;
  if (!feeds_many(e)) return "";
  const std::vector<int> repeated = repeated_dims(e);
  if (const double count = mean_for_sum(e, repeated); count > 0)
    return fmt::format(
        "the rule gives 1 / {:g} times the numeric gradient: the mean over the dimensions that the input is repeated "
        "along, where it should be the sum",
        count);
  bool fits = !repeated.empty();
  for (const Shape& shape : e.outputs) fits = fits || broadcasts_to(e.shape, shape) || e.shape.rank() < shape.rank();
  for (const bool spread : {false, true})
    if (fits)
      if (const std::string text = one_slice(e, spread); !text.empty()) return text;
  if (fits)
    if (const std::string text = other_cotangents(e); text.find("with dimensions") == 0)
      return "the cotangent is reduced over the wrong axis: the rule reads it " + text;
  if (const std::string text = other_spots(e); !text.empty())
    return "the rule sums over the wrong axis: what it gives depends on the cotangent as the right one does " + text;
  if (!repeated.empty())
    if (const std::string text = explain_accumulation(e); !text.empty())
      return "not all that the input is repeated to counts: " + text;
  return "";
}

std::string explain_reduced_too_far(const Evidence& e) { return summed_too_far(e); }

}  // namespace cotangent::detail
