// Hypotheses on how much: a factor for all or for each row, a wrong epsilon, few digits.
#include <algorithm>
#include <cstring>
#include <numbers>

#include <cotangent/autograd/gradcheck/diagnosis_internal.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::detail {
namespace {

bool is(double c, double value) { return std::fabs(c - value) <= kExact / 2 * std::fabs(value); }

Values scaled(const Values& values, double c) {
  Values result = values;
  for (double& v : result) v *= c;
  return result;
}

struct Constant {
  double value;
  std::string text;
};

// What a factor may come from, or its reciprocal: the most likely first.
std::vector<Constant> constants(const Evidence& e) {
  std::vector<Constant> all;
  const auto add = [&](double value, const std::string& text) {
    if (value > 1 && std::isfinite(value)) all.push_back({value, text});
  };
  const auto sizes_of = [&](const Shape& shape, const std::string& name) {
    const int rank = shape.rank();
    for (int d = 0; d < rank; ++d)
      add(static_cast<double>(shape[d]),
          fmt::format("the size of dimension {} of {}{}", d, name, d == 0 && rank > 1 ? ", the batch size?" : ""));
    add(static_cast<double>(shape.product()), fmt::format("the count of the elements of {}, an average?", name));
    for (int first = 0; first < rank; ++first)
      for (int last = first + 2; last <= rank; ++last)
        add(static_cast<double>(shape.slice(first, last).product()),
            fmt::format("the count of the elements of {} along dimensions {} to {}, an average?", name, first,
                        last - 1));
    for (int d = 0; d < rank; ++d) {
      const auto size = static_cast<double>(shape[d]);
      add(std::sqrt(size), fmt::format("the square root of the size {} of dimension {} of {}", size, d, name));
      add(size / (size - 1), fmt::format("{} / {}, with or without the correction of Bessel along dimension {} of {}",
                                         size, size - 1, d, name));
    }
  };
  sizes_of(e.shape, "the input");
  for (const Shape& shape : e.outputs) sizes_of(shape, "the output");
  const auto in = static_cast<double>(e.rule.size()), out = static_cast<double>(e.v.size());
  if (out > 0) {
    add(std::max(in / out, out / in), fmt::format("{} elements in, {} out: the count of those averaged?", in, out));
    add(std::sqrt(std::max(in / out, out / in)), fmt::format("the square root of {} elements by {}", in, out));
  }
  for (int r = 2; r <= 8; ++r) add(r * r, fmt::format("{}^2, as of a square of {} by {}", r, r, r));
  for (int percent = 5; percent < 100; percent += 5)
    add(100.0 / (100 - percent), fmt::format("1 / (1 - {:g}), as of a dropout", percent / 100.0));
  for (int k = 3; k <= 10; ++k) add(k, fmt::format("{}", k));
  add(1 / std::numbers::ln2, "the logarithm to base 2");
  add(std::numbers::ln10, "the logarithm to base 10");
  add(std::numbers::pi, "pi");
  add(std::sqrt(2 * std::numbers::pi), "sqrt(2 pi)");
  return all;
}

std::string meaning(double c, const Evidence& e) {
  const double size = std::fabs(c);
  std::string text = is(size, 2) ? ": counted twice?" : is(size, 0.5) ? ": a square or an average?" : "";
  int found = text.empty() ? 0 : 1;
  for (const Constant& k : constants(e)) {
    const bool inverse = is(size, 1 / k.value);
    if (!inverse && !is(size, k.value)) continue;
    if (text.find(k.text) != std::string::npos) continue;
    text += fmt::format("{}{}{:.6g}, {}", found == 0 ? ": " : "; or ", inverse ? "1 / " : "", k.value, k.text);
    if (++found == 3) break;
  }
  if (found == 0 && std::fabs(size - 1) > 1e-3) text = ": a missing or superfluous scale?";
  return (c < 0 ? " (the sign is wrong, too)" : "") + text;
}

// The factor for each index along some dimensions of the input; empty unless there is one for each.
Values factors_along(const Evidence& e, int mask) {
  int64_t count = 1;
  for (int d = 0; d < e.shape.rank(); ++d) count *= mask >> d & 1 ? e.shape[d] : 1;
  if (count < 2 || 2 * count > e.shape.product()) return {};
  const auto group = [&](int64_t place) {
    const Shape index = element_index(e.shape, place);
    int64_t g = 0;
    for (int d = 0; d < e.shape.rank(); ++d)
      if (mask >> d & 1) g = g * e.shape[d] + index[d];
    return static_cast<size_t>(g);
  };
  Values sums(static_cast<size_t>(count)), sizes = sums;
  std::vector<int> counts(sums.size());
  for (size_t p = 0; p < e.places.size(); ++p) {
    const size_t g = group(e.places[p]);
    sums[g] += e.a[p] * e.n[p], sizes[g] += e.n[p] * e.n[p], counts[g] += e.n[p] != 0 ? 1 : 0;
  }
  Values factors(sums.size());
  size_t shared = 0, apart = 0;
  for (size_t g = 0; g < factors.size(); ++g) {
    factors[g] = sizes[g] > 0 ? sums[g] / sizes[g] : NAN;
    if (std::fabs(factors[g]) < kExact) return {};  // left out, not scaled
    shared += counts[g] > 1 ? 1 : 0;
    apart += std::isfinite(factors[g]) && !is(factors[g], 1) ? 1 : 0;
  }
  if (shared < 2 || 2 * apart <= shared) return {};  // where most are right, it is a matter of where
  Values predicted = e.n;
  for (size_t p = 0; p < predicted.size(); ++p) {
    const double c = factors[group(e.places[p])];
    predicted[p] = std::isfinite(c) ? c * e.n[p] : 0;
  }
  return e.is_rule(predicted) ? factors : Values{};
}

// One for each index along a dimension of an output, from the single spots.
std::string factors_of_spots(const Evidence& e) {
  if (e.rows.size() < 2) return "";
  for (size_t k = 0; k < e.outputs.size(); ++k)
    for (int d = 0; d < e.outputs[k].rank(); ++d) {
      const Shape& shape = e.outputs[k];
      Values factors(static_cast<size_t>(shape[d]), NAN);
      Values w = e.v;
      bool one_each = shape[d] > 1;
      for (size_t r = 0; r < e.rows.size() && one_each; ++r) {
        const size_t spot = e.rows[r], first = e.first_spot(k);
        if (spot < first || spot >= first + static_cast<size_t>(shape.product())) continue;
        Values right;
        for (const Values& column : e.columns) right.push_back(column[spot]);
        const double c = common_factor(e.row_rule[r], right);
        double& f = factors[static_cast<size_t>(element_index(shape, static_cast<int64_t>(spot - first))[d])];
        if (std::all_of(right.begin(), right.end(), [](double g) { return g == 0; })) continue;
        if (std::isnan(f)) f = c;
        one_each = is(c, f) && std::fabs(c) > kExact;
      }
      size_t apart = 0;
      for (double f : factors) apart += std::isfinite(f) && !is(f, 1) ? 1 : 0;
      if (!one_each || 2 * apart <= factors.size()) continue;
      for (size_t i = 0; i < static_cast<size_t>(shape.product()); ++i) {
        const double f = factors[static_cast<size_t>(element_index(shape, static_cast<int64_t>(i))[d])];
        w[e.first_spot(k) + i] *= std::isfinite(f) ? f : 1;
      }
      if (e.is_rule_for(w))
        return fmt::format(
            "one for each index along dimension {} of output {}, {} and {} for the first two: a scale for each row or "
            "channel is missing or superfluous",
            d, k, factor_text(factors[0]), factor_text(factors[1]));
    }
  return "";
}

std::string factors_text(const Evidence& e, bool of_one_dimension) {
  for (int mask = 1; mask < (1 << std::min(e.shape.rank(), 5)) - 1; ++mask) {
    std::string dims;
    for (int d = 0; d < e.shape.rank(); ++d)
      if (mask >> d & 1) dims += (dims.empty() ? "" : ", ") + std::to_string(d);
    if ((dims.find(',') == std::string::npos) != of_one_dimension) continue;
    if (const Values factors = factors_along(e, mask); !factors.empty())
      return fmt::format(
          "the rule gives one times the numeric gradient for each index along dimension {}, {} and {} for the first "
          "two: a scale for each row or channel is missing or superfluous",
          dims, factor_text(factors[0]), factor_text(factors[1]));
  }
  return "";
}

// By rows of this length: how far the rule is off along the right gradient, beside how large the row is.
std::string small_constant(const Evidence& e, int64_t length) {
  struct Row {
    int64_t number;
    double dot = 0, size = 0, off = 0;
    double part() const { return dot / size - 1; }
  };
  std::vector<Row> rows;
  for (size_t p = 0; p < e.places.size(); ++p) {
    const int64_t number = e.places[p] / length;
    if (e.n[p] == 0) continue;
    if (rows.empty() || rows.back().number != number) rows.push_back({number});
    Row& row = rows.back();
    row.dot += e.a[p] * e.n[p], row.size += e.n[p] * e.n[p], row.off += (e.a[p] - e.n[p]) * (e.a[p] - e.n[p]);
  }
  double same = 0, all = 0, worst = 0;
  for (const Row& row : rows)
    same += row.part(), all += std::fabs(row.part()), worst = std::max(worst, std::sqrt(row.off / row.size));
  if (rows.size() < 2 || worst < 1e-7 || worst > 0.5 || std::fabs(same) < 0.999 * all) return "";
  for (const bool centered : {true, false}) {
    const auto square = [&](const Row& row) {
      const double* x = e.x.data() + row.number * length;
      double mean = 0, sum = 0;
      for (int64_t i = 0; i < length && centered; ++i) mean += x[i] / static_cast<double>(length);
      for (int64_t i = 0; i < length; ++i) sum += (x[i] - mean) * (x[i] - mean) / static_cast<double>(length);
      return sum;
    };
    const auto less = [&](const Row& a, const Row& b) { return square(a) < square(b); };
    const auto [least, most] = std::minmax_element(rows.begin(), rows.end(), less);
    // a small constant beside a square counts by the inverse of that, nearly
    double low = INFINITY, high = 0;
    for (const Row& row : rows) {
      const double product = std::fabs(row.part()) * (square(row) + worst * square(*least));
      low = std::min(low, product), high = std::max(high, product);
    }
    if (square(*most) < 1.5 * square(*least) && worst > 0.02) continue;
    if (!(std::fabs(least->part()) > std::fabs(most->part())) || high > (length > 1 ? 2.5 : 1.2) * low) continue;
    return fmt::format(
        "the rule is off by at most {:.2g} of the gradient, everywhere with the same sign, by {:.2g} where the {} is "
        "{:.2g} and by {:.2g} where it is {:.2g}: another small constant in the rule than in the function",
        worst, least->part(),
        length == 1 ? "square of x"
        : centered  ? "variance of a row"
                    : "mean square of a row",
        square(*least), most->part(), square(*most));
  }
  return "";
}

int trailing_zeros(double v) {
  uint64_t bits;
  std::memcpy(&bits, &v, sizeof(bits));
  return bits << 12 ? __builtin_ctzll(bits) : 52;
}

}  // namespace

std::string factor_text(double c) {
  if (std::fabs(c - 1) > 1e-3 || std::fabs(c - 1) < 1e-9) return fmt::format("{:.6g}", c);
  std::string part = fmt::format("{:.2g}", std::fabs(c - 1));
  if (const size_t zero = part.find("e-0"); zero != std::string::npos) part.erase(zero + 2, 1);
  return fmt::format("1 {} {}", c < 1 ? '-' : '+', part);
}

double common_factor(const Values& these, const Values& those) {
  double dot = 0, size = 0, largest = 0;
  for (size_t i = 0; i < these.size(); ++i) {
    if (!std::isfinite(those[i])) return NAN;
    dot += these[i] * those[i], size += those[i] * those[i], largest = std::max(largest, std::fabs(those[i]));
  }
  if (size == 0) return NAN;
  const double c = dot / size;
  for (size_t i = 0; i < these.size(); ++i)
    if (std::fabs(these[i] - c * those[i]) > kExact * std::fabs(c * those[i]) + 1e-9 * std::fabs(c) * largest)
      return NAN;
  return c;
}

std::string explain_sign(const Evidence& e) {
  if (!e.is_rule(scaled(e.n, -1))) return "";
  return "the rule gives -1 times the numeric gradient: the sign is wrong";
}

std::string explain_factor(const Evidence& e) {
  const double c = common_factor(e.a, e.n);
  if (!std::isfinite(c) || c == 0 || !e.is_rule(scaled(e.n, c))) return "";
  std::string from = meaning(c, e);
  if (e.places.size() == 1) {  // any one number is a multiple of another: then the spots must tell, or the factor
    Values right, rule;
    for (size_t r = 0; r < e.rows.size(); ++r)
      right.push_back(e.columns[0][e.rows[r]]), rule.push_back(e.row_rule[r][0]);
    const bool named = !from.empty() && from.find("missing or superfluous") == std::string::npos;
    if (right.size() > 1 ? !is(common_factor(rule, right), c) : !named) return "";
  }
  return fmt::format("the rule gives {} times the numeric gradient{}", factor_text(c), from);
}

std::string explain_factors(const Evidence& e) {
  const std::string text = factors_text(e, true);
  return text.empty() ? factors_of_spots(e) : text;
}

std::string explain_factors_of_blocks(const Evidence& e) { return factors_text(e, false); }

// 1 / (x + eps): some power of the derivative differs by the same number everywhere. With a norm of a row in place of x
// the misfit has one sign, and is the larger the smaller the row is.
std::string explain_epsilon(const Evidence& e) {
  if (e.places.size() < 3) return "";
  for (size_t p = 0; p < e.places.size(); ++p)
    if (e.n[p] != 0 && !e.wrong(p)) return "";
  if (e.elementwise())
    for (const double power : {-1.0, -2.0, -2.0 / 3, -0.5, -1.0 / 3, 1.0, 2.0}) {
      double low = INFINITY, high = -INFINITY, least = INFINITY, most = 0;
      for (size_t p = 0; p < e.places.size(); ++p) {
        const double v = e.v[static_cast<size_t>(e.places[p])];
        const double right = std::pow(std::fabs(e.n[p] / v), power);
        const double shift = std::pow(std::fabs(e.a[p] / v), power) - right;
        if (!std::isfinite(shift)) continue;
        low = std::min(low, shift), high = std::max(high, shift);
        least = std::min(least, right), most = std::max(most, right);
      }
      const double middle = (low + high) / 2;
      if (most > 1.01 * least && std::fabs(middle) < 0.2 * most && high - low <= 1e-3 * std::fabs(middle))
        return fmt::format(
            "the derivative to the power {:.3g} is off by {:.4g} in every element: another small constant in the rule "
            "than in the function",
            power, middle);
    }
  const int rank = e.shape.rank();
  for (const int64_t length : {rank > 0 ? e.shape[rank - 1] : 1, int64_t{1}})
    if (const std::string text = small_constant(e, length); !text.empty()) return text;
  return "";
}

std::string explain_precision(const Evidence& e) {
  double worst = 0;
  int zeros = 52, counted = 0, plus = 0, minus = 0;
  const auto digits = [&](double rule) {
    if (rule != 0 && trailing_zeros(rule) < 48) zeros = std::min(zeros, trailing_zeros(rule)), ++counted;
  };
  double largest = 0;
  for (double n : e.n) largest = std::max(largest, std::fabs(n));
  for (size_t p = 0; p < e.places.size(); ++p) {
    const double off = e.a[p] - e.n[p];
    worst = std::max(worst, std::fabs(off) / std::max(std::fabs(e.n[p]), 1e-2 * largest));
    if (std::fabs(off) > 3 * e.error[p]) ((off > 0) == (e.n[p] > 0) ? plus : minus) += 1;
  }
  for (const Values& row : e.row_rule)
    for (double rule : row) digits(rule);
  if (e.row_rule.empty())
    for (double rule : e.a) digits(rule);
  const bool random = plus > 0 && minus > 0;
  if (random && counted >= 3 && zeros >= 29 && worst < 2e-2)
    return fmt::format(
        "the rule is off by up to {:.2g} of the gradient, and its numbers have no more than {} bits: {} inside", worst,
        53 - zeros, zeros >= 42 ? "half precision" : "float32");
  if (random && plus + minus >= 4 && std::min(plus, minus) * 6 >= plus + minus && worst < 5e-5)
    return fmt::format(
        "the rule is off by up to {:.2g} of the gradient, {} times up and {} times down: as float32 rounds inside",
        worst, plus, minus);
  return "";
}

}  // namespace cotangent::detail
