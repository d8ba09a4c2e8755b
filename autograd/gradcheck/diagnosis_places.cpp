// Hypotheses on where a gradient is wrong, and right elsewhere.
#include <algorithm>
#include <set>

#include <cotangent/autograd/gradcheck/diagnosis_internal.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::detail {
namespace {

// Elements of a shape and their flags: the first simple rule that tells the flagged ones from the others.
std::string where(const Shape& shape, const std::vector<int64_t>& places, const std::vector<bool>& flags) {
  const auto holds = [&](auto predicate) {
    for (size_t p = 0; p < places.size(); ++p)
      if (predicate(element_index(shape, places[p])) != flags[p]) return false;
    return true;
  };
  const int rank = shape.rank();
  Shape first = shape, last = Shape::filled(rank, 0);  // of the flagged
  for (size_t p = 0; p < places.size(); ++p) {
    const Shape index = element_index(shape, places[p]);
    for (int d = 0; d < rank && flags[p]; ++d)
      first[d] = std::min(first[d], index[d]), last[d] = std::max(last[d], index[d]);
  }
  for (int d = 0; d < rank; ++d) {
    const int64_t k = first[d];
    if (shape[d] > 1 && holds([&](const Shape& i) { return i[d] == k; }))
      return fmt::format("at index {} along dimension {} of {}{}", k, d, shape,
                         k == 0 || k == shape[d] - 1 ? ", a border" : "");
  }
  std::vector<std::vector<int>> sets;
  for (int mask = 1; mask < 1 << std::min(rank, 6); ++mask) {
    std::vector<int> dims;
    for (int d = 0; d < rank; ++d)
      if (mask >> d & 1) dims.push_back(d);
    sets.push_back(dims);
  }
  for (int64_t width = 1; width <= 3; ++width)
    for (const std::vector<int>& dims : sets)
      for (const int ends : {3, 1, 2}) {
        const auto border = [&](const Shape& i) {
          for (int d : dims)
            if (((ends & 1) && i[d] < width) || ((ends & 2) && i[d] >= shape[d] - width)) return true;
          return false;
        };
        if (!holds(border)) continue;
        std::string text;
        for (int d : dims) text += (text.empty() ? "" : ", ") + std::to_string(d);
        return fmt::format("at the {}, {} wide, along dimension {} of {}",
                           ends == 3   ? "borders"
                           : ends == 1 ? "first border"
                                       : "last border",
                           width, text, shape);
      }
  for (int d = 0; d < rank; ++d) {
    if (holds([&](const Shape& i) { return i[d] >= first[d]; }))
      return fmt::format("from index {} on along dimension {} of {}", first[d], d, shape);
    if (holds([&](const Shape& i) { return i[d] <= last[d]; }))
      return fmt::format("up to index {} along dimension {} of {}", last[d], d, shape);
    for (int64_t step = 2; step <= 4; ++step)
      for (int64_t phase = 0; phase < step; ++phase)
        for (const bool is : {true, false})
          if (holds([&](const Shape& i) { return (i[d] % step == phase) == is; }))
            return fmt::format("where the index along dimension {} of {} is {}{} modulo {}, a phase of a stride?", d,
                               shape, is ? "" : "not ", phase, step);
  }
  for (int a = 0; a < rank; ++a)
    for (int b = a + 1; b < rank; ++b) {
      const auto text = [&](const char* relation) {
        return fmt::format("where the index along dimension {} is {} that along dimension {} of {}", a, relation, b,
                           shape);
      };
      if (holds([&](const Shape& i) { return i[a] == i[b]; })) return text("equal to");
      if (holds([&](const Shape& i) { return i[a] != i[b]; })) return text("not");
      if (holds([&](const Shape& i) { return i[a] < i[b]; })) return text("less than");
      if (holds([&](const Shape& i) { return i[a] > i[b]; })) return text("greater than");
      for (int64_t step = 2; step <= 4; ++step)
        for (int64_t phase = 0; phase < step * step; ++phase)
          if (holds([&](const Shape& i) { return i[a] % step == phase / step && i[b] % step == phase % step; }))
            return fmt::format(
                "where the indices along dimensions {} and {} are {} and {} modulo {}, a phase of a stride?", a, b,
                phase / step, phase % step, step);
    }
  return "";
}

// The same by the values of the elements: above or below some number, or where two of them tie.
std::string where_value(const Evidence& e, const std::vector<bool>& flags) {
  double high[2] = {-INFINITY, -INFINITY}, low[2] = {INFINITY, INFINITY};
  double far = 0, close = INFINITY;
  std::multiset<double> all;
  for (const int64_t place : e.places) all.insert(e.x[static_cast<size_t>(place)]);
  bool ties = true;
  for (size_t p = 0; p < e.places.size(); ++p) {
    const double x = e.x[static_cast<size_t>(e.places[p])];
    high[flags[p]] = std::max(high[flags[p]], x), low[flags[p]] = std::min(low[flags[p]], x);
    if (flags[p])
      close = std::min(close, std::fabs(x));
    else
      far = std::max(far, std::fabs(x));
    ties = ties && (all.count(x) > 1) == flags[p];
  }
  if (ties) return "where elements tie";
  if (low[1] == high[1]) return fmt::format("where the element is {:.6g}", low[1]);
  if (low[1] > high[0])
    return fmt::format("where the element is above {:.4g}", high[0] < 0 && low[1] > 0 ? 0 : high[0]);
  if (high[1] < low[0]) return fmt::format("where the element is below {:.4g}", high[1] < 0 && low[0] > 0 ? 0 : low[0]);
  if (close > far) return fmt::format("where the element is above {:.4g} in magnitude", far);
  double near_high = 0, far_low = INFINITY;
  for (size_t p = 0; p < e.places.size(); ++p) {
    const double x = std::fabs(e.x[static_cast<size_t>(e.places[p])]);
    if (flags[p])
      near_high = std::max(near_high, x);
    else
      far_low = std::min(far_low, x);
  }
  if (near_high < far_low) return fmt::format("where the element is below {:.4g} in magnitude", far_low);
  return "";
}

struct Misfits {
  std::vector<bool> flags;
  size_t wrong = 0, right = 0;
  bool without = true, only_rule = true;  ///< the rule gives 0 there, or differences do
  std::string first;
};

Misfits misfits(const Evidence& e) {
  Misfits m;
  for (size_t p = 0; p < e.places.size(); ++p) {
    const bool wrong = e.wrong(p);
    m.flags.push_back(wrong);
    m.right += !wrong && e.n[p] != 0 ? 1 : 0;
    if (!wrong) continue;
    ++m.wrong;
    m.without = m.without && e.a[p] == 0, m.only_rule = m.only_rule && std::fabs(e.n[p]) <= 3 * e.error[p];
    if (m.first.empty())
      m.first = fmt::format("at {} the rule gives {:.6g} and differences {:.6g}", element_index(e.shape, e.places[p]),
                            e.a[p], e.n[p]);
  }
  return m;
}

}  // namespace

std::string explain_only_where(const Evidence& e) {
  const Misfits m = misfits(e);
  if (m.wrong == 0 || m.right == 0) return "";
  std::string place = m.wrong == 1 && e.places.size() > 2 ? "at one element alone" : where(e.shape, e.places, m.flags);
  if (place.empty()) place = where_value(e, m.flags);
  if (place.empty() && m.only_rule) place = "where differences give 0: elements that are masked, or have no influence";
  if (place.empty() && m.without) place = "where the rule gives 0";
  if (place.empty()) return "";
  return fmt::format("wrong {}, {} of {} measured; {}; right elsewhere", place, m.wrong, e.places.size(), m.first);
}

std::string explain_few(const Evidence& e) {
  const Misfits m = misfits(e);
  if (m.right == 0 || 2 * m.wrong > e.places.size()) return "";
  return fmt::format("wrong in {} of {} elements measured, of no simple pattern: {}; right elsewhere", m.wrong,
                     e.places.size(), m.first);
}

}  // namespace cotangent::detail
