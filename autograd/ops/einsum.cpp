#include <cotangent/autograd/ops/einsum.hpp>

#include <algorithm>
#include <bit>

#include <cotangent/autograd/autocast_internal.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/linalg.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/precision_internal.hpp>

namespace cotangent {
namespace {

// A label names a dimension: 0 to 25 are capitals, 26 to 51 small letters, and from kFirstEllipsis on the dimensions of
// "...", of which the last is kLastEllipsis.
constexpr int kFirstEllipsis = 52, kLastEllipsis = kFirstEllipsis + kMaxRank - 1;
using LabelSet = uint64_t;
LabelSet bit(int64_t label) { return LabelSet{1} << label; }

/// A tensor and what its dimensions are called; no label twice.
struct Term {
  Tensor tensor;
  Dims labels;
  LabelSet set() const {
    LabelSet all = 0;
    for (int64_t label : labels) all |= bit(label);
    return all;
  }
};

/// The labels of one operand or of the output, as they are written; kEllipsis for "...".
constexpr int kEllipsis = -1;
struct Subscripts {
  std::vector<int> labels;
  bool ellipsis = false;
};

Subscripts parse_subscripts(const std::string& equation, const std::string& part) {
  Subscripts result;
  for (size_t i = 0; i < part.size(); ++i) {
    const char c = part[i];
    if (c == ' ') continue;
    if (c >= 'A' && c <= 'Z') {
      result.labels.push_back(c - 'A');
    } else if (c >= 'a' && c <= 'z') {
      result.labels.push_back(c - 'a' + 26);
    } else if (part.compare(i, 3, "...") == 0 && !result.ellipsis) {
      result.ellipsis = true;
      result.labels.push_back(kEllipsis);
      i += 2;
    } else {
      fail<ValueError>(
          "[einsum] '{}' in \"{}\" can't be read; subscripts are letters, with one \"...\" an operand at most", c,
          equation);
    }
  }
  return result;
}

struct Equation {
  std::vector<Subscripts> operands;
  Subscripts output;
  bool explicit_output;

  explicit Equation(const std::string& text) {
    const size_t arrow = text.find("->");
    explicit_output = arrow != std::string::npos;
    const std::string left = text.substr(0, arrow);
    for (size_t start = 0; start <= left.size();) {
      const size_t comma = std::min(left.find(',', start), left.size());
      operands.push_back(parse_subscripts(text, left.substr(start, comma - start)));
      start = comma + 1;
    }
    if (explicit_output) output = parse_subscripts(text, text.substr(arrow + 2));
  }
};

char letter(int64_t label) { return static_cast<char>(label < 26 ? 'A' + label : 'a' + label - 26); }
/// For messages.
std::string label_name(int64_t label) { return label < kFirstEllipsis ? std::string(1, letter(label)) : "..."; }

/// Names the dimensions of an operand and takes its diagonals.
Term make_term(const std::string& equation, size_t index, const Subscripts& subscripts, const Tensor& x) {
  const int named = static_cast<int>(subscripts.labels.size()) - (subscripts.ellipsis ? 1 : 0), rest = x.rank() - named;
  if (rest < 0 || (rest > 0 && !subscripts.ellipsis))
    fail<ShapeError>(
        "[einsum] operand {} of \"{}\" has {} subscripts, but its shape is {}; name every dimension, or use \"...\"",
        index, equation, named, x.shape());
  Dims names;
  for (int label : subscripts.labels) {
    if (label != kEllipsis)
      names.push_back(label);
    else
      for (int i = 0; i < rest; ++i) names.push_back(kLastEllipsis - rest + 1 + i);
  }
  Term term{x, names};
  for (int i = 0; i < term.labels.rank(); ++i) {
    for (int j = i + 1; j < term.labels.rank(); ++j) {
      if (term.labels[i] != term.labels[j]) continue;
      const Shape& shape = term.tensor.shape();
      if (shape[i] != shape[j])
        fail<ShapeError>("[einsum] '{}' of \"{}\" names dimensions {} and {} of operand {}, whose sizes differ in {}",
                         letter(term.labels[i]), equation, i, j, index, x.shape());
      term.tensor = diagonal(term.tensor, 0, i, j);
      const int64_t label = term.labels[i];
      term.labels.erase(j), term.labels.erase(i);
      term.labels.push_back(label);
      i = -1;
      break;
    }
  }
  return term;
}

/// Sums over the labels that are not in `keep`.
Term sum_out(const Term& term, LabelSet keep) {
  Dims dims, labels;
  for (int d = 0; d < term.labels.rank(); ++d)
    if (keep & bit(term.labels[d]))
      labels.push_back(term.labels[d]);
    else
      dims.push_back(d);
  return dims.empty() ? term : Term{sum(term.tensor, dims), labels};
}

/// The labels of `term` that are in `set`, in its order.
Dims select_labels(const Term& term, LabelSet set) {
  Dims result;
  for (int64_t label : term.labels)
    if (set & bit(label)) result.push_back(label);
  return result;
}

Dims concat(const Dims& a, const Dims& b, const Dims& c = {}) {
  Dims all = a;
  for (int64_t v : b) all.push_back(v);
  for (int64_t v : c) all.push_back(v);
  return all;
}

/// The tensor with its dimensions in the order of these labels, which are all it has.
Tensor arrange(const Term& term, const Dims& labels) {
  Dims order;
  bool same = true;
  for (int64_t label : labels)
    for (int d = 0; d < term.labels.rank(); ++d)
      if (term.labels[d] == label) same = same && d == order.rank(), order.push_back(d);
  return same ? term.tensor : permute(term.tensor, order);
}

/// The product of two terms, summed over what is not in `keep`.
Term contract(const Term& left, const Term& right, LabelSet keep) {
  const Term a = sum_out(left, keep | right.set()), b = sum_out(right, keep | left.set());
  const LabelSet both = a.set() & b.set();
  const Dims batch = select_labels(a, both & keep), inner = select_labels(a, both & ~keep),
             rows = select_labels(a, ~both), columns = select_labels(b, ~both);
  const Tensor x = arrange(a, concat(batch, rows, inner)), y = arrange(b, concat(batch, inner, columns));
  const int nb = batch.rank();
  const Shape batch_shape = x.shape().slice(0, nb), row_shape = x.shape().slice(nb, nb + rows.rank()),
              column_shape = y.shape().slice(nb + inner.rank(), y.rank());
  if (inner.empty() || (rows.empty() && columns.empty() && !batch.empty())) {
    // no matrix product: every element meets one other, or every batch entry is a sum of its own
    const Tensor spread_x = reshape(x, concat(x.shape(), Dims::filled(columns.rank(), 1)));
    const Tensor spread_y =
        reshape(y, concat(batch_shape, Dims::filled(rows.rank(), 1), y.shape().slice(nb, y.rank())));
    return sum_out({spread_x * spread_y, concat(batch, rows, concat(inner, columns))}, keep);
  }
  const int64_t depth = y.shape().slice(nb, nb + inner.rank()).product();
  const Tensor product = matmul(reshape(x, concat(batch_shape, {row_shape.product(), depth})),
                                reshape(y, concat(batch_shape, {depth, column_shape.product()})));
  return {reshape(product, concat(batch_shape, row_shape, column_shape)), concat(batch, rows, columns)};
}

/// The labels of the output, in order.
Dims output_labels(const std::string& text, const Equation& equation, const std::vector<Term>& terms) {
  int count[kLastEllipsis + 1] = {};
  for (const Subscripts& s : equation.operands)
    for (int label : s.labels)
      if (label != kEllipsis) ++count[label];
  LabelSet ellipsis = 0;
  for (const Term& term : terms) ellipsis |= term.set() & ~(bit(kFirstEllipsis) - 1);
  Dims result;
  auto add_ellipsis = [&] {
    for (int label = kFirstEllipsis; label <= kLastEllipsis; ++label)
      if (ellipsis & bit(label)) result.push_back(label);
  };
  if (!equation.explicit_output) {
    add_ellipsis();
    for (int label = 0; label < kFirstEllipsis; ++label)
      if (count[label] == 1) result.push_back(label);
    return result;
  }
  for (int label : equation.output.labels) {
    if (label == kEllipsis) {
      add_ellipsis();
      continue;
    }
    if (count[label] == 0)
      fail<ValueError>("[einsum] '{}' of the output of \"{}\" is in no operand", letter(label), text);
    for (int64_t earlier : result)
      if (earlier == label)
        fail<ValueError>("[einsum] '{}' stands twice in the output of \"{}\"; once is right", letter(label), text);
    result.push_back(label);
  }
  return result;
}

/// Gives every label one size, and takes dimensions of size 1 out of operands where the label's size is another.
void unify_sizes(const std::string& text, std::vector<Term>& terms) {
  int64_t sizes[kLastEllipsis + 1];
  std::fill(std::begin(sizes), std::end(sizes), int64_t{1});
  for (const Term& term : terms)
    for (int d = 0; d < term.labels.rank(); ++d) {
      int64_t &size = sizes[term.labels[d]], own = term.tensor.shape()[d];
      if (size != own && size != 1 && own != 1)
        fail<ShapeError>(
            "[einsum] '{}' of \"{}\" has size {} in one operand and {} in another; they must be equal, or 1",
            label_name(term.labels[d]), text, size, own);
      if (own != 1) size = own;
    }
  for (Term& term : terms)
    for (int d = term.labels.rank() - 1; d >= 0; --d)
      if (term.tensor.shape()[d] == 1 && sizes[term.labels[d]] != 1) {
        term.tensor = squeeze(term.tensor, d);
        term.labels.erase(d);
      }
}

}  // namespace

Tensor einsum(const std::string& text, const Tensors& operands) {
  COTANGENT_AUTOCAST(einsum, text, operands);
  const Equation equation(text);
  if (equation.operands.size() != operands.size())
    fail<ValueError>("[einsum] \"{}\" has subscripts for {} operands, got {}", text, equation.operands.size(),
                     operands.size());
  const Dtype dtype = operands[0].dtype();
  const bool alike = std::ranges::all_of(operands, [&](const Tensor& x) { return x.dtype() == dtype; });
  if (alike && is_low_precision(dtype)) return in_float32<to>(einsum, text, operands);
  std::vector<Term> terms;
  for (size_t i = 0; i < operands.size(); ++i) terms.push_back(make_term(text, i, equation.operands[i], operands[i]));
  const Dims output = output_labels(text, equation, terms);
  unify_sizes(text, terms);
  LabelSet wanted = 0;
  for (int64_t label : output) wanted |= bit(label);
  Term result = terms[0];
  for (size_t i = 1; i < terms.size(); ++i) {
    LabelSet later = wanted;
    for (size_t j = i + 1; j < terms.size(); ++j) later |= terms[j].set();
    result = contract(result, terms[i], later);
  }
  return arrange(sum_out(result, wanted), output);
}

}  // namespace cotangent
