// What PyTorch gives for the ops of the table, by reference/make_ops.py, and that every op is in some file there.
#include <catch2/catch.hpp>

#include <cmath>
#include <filesystem>
#include <map>
#include <set>

#include <cotangent/cotangent.hpp>
#include <cotangent/tests/autograd/op_samples.hpp>
#include <cotangent/tests/json.hpp>

using namespace cotangent;

namespace {

Tensor tensor_of(const Json& packed) {
  if (packed.is_null()) return {};
  const Tensor x = unpacked(packed);
  if (packed.size() == 2) return x;
  const std::string type = packed[2];
  return to(x, type == "int64" ? int64 : type == "bool" ? boolean : float32);
}
Tensors tensors_of(const Json& list) {
  Tensors xs;
  for (const Json& packed : list) xs.push_back(tensor_of(packed));
  return xs;
}

/// The inputs of a call, and its options under PyTorch's names.
struct Case {
  Tensors x;
  Json options;

  const Tensor& operator[](size_t i) const { return x[i]; }
  /// An input that may be left out.
  Tensor maybe(size_t i) const { return i < x.size() ? x[i] : Tensor(); }
  bool has(const char* name) const { return options.contains(name); }
  bool flag(const char* name) const { return options.value(name, false); }
  double number(const char* name, double otherwise = 0) const { return options.value(name, otherwise); }
  int64_t integer(const char* name, int64_t otherwise = 0) const { return options.value(name, otherwise); }
  Dims dims(const char* name = "dim") const { return has(name) ? dims_of(options[name]) : Dims(); }
  int64_t dim() const { return integer("dim", -1); }
  bool keepdim() const { return flag("keepdim"); }
  fft::Norm norm() const {
    const std::string name = options.value<std::string>("norm", "backward");
    return name == "ortho" ? fft::Norm::ortho : name == "forward" ? fft::Norm::forward : fft::Norm::backward;
  }
  Reduction reduction() const {
    const std::string name = options.value<std::string>("reduction", "mean");
    return name == "mean" ? Reduction::mean : name == "sum" ? Reduction::sum : Reduction::none;
  }
};
using C = const Case&;
using Call = Results (*)(C);

/// With a tensor or a number as the second operand.
template <Tensor (*Pair)(const Tensor&, const Tensor&), Tensor (*Number)(const Tensor&, const Scalar&)>
Results binary(C c) {
  return c.has("scalar") ? Number(c[0], c.number("scalar")) : Pair(c[0], c[1]);
}
template <Tensor (*F)(const Tensor&, const Tensor&)>
Results two(C c) {
  return F(c[0], c[1]);
}
template <Tensor (*F)(const Tensor&)>
Results one(C c) {
  return F(c[0]);
}
template <Tensor (*F)(const Tensor&, int64_t)>
Results along(C c) {
  return F(c[0], c.dim());
}
template <Tensor (*F)(const Tensor&, const DimList&, bool)>
Results reduced(C c) {
  return F(c[0], c.dims(), c.keepdim());
}
template <Tensor (*F)(const Tensor&, const DimList&, const VarOptions&)>
Results spread(C c) {
  return F(c[0], c.dims(), {.correction = c.number("correction", 1), .keepdim = c.keepdim()});
}
template <Tensor (*All)(const Tensor&), Extreme (*F)(const Tensor&, int64_t, bool)>
Results extreme(C c) {
  if (!c.has("dim")) return All(c[0]);
  const Extreme e = F(c[0], c.dim(), c.keepdim());
  return Tensors{e.values, e.indices};
}
template <Tensor (*All)(const Tensor&), Tensor (*F)(const Tensor&, int64_t, bool)>
Results place(C c) {
  return c.has("dim") ? F(c[0], c.dim(), c.keepdim()) : All(c[0]);
}
template <class Both>
Results both(const Both& found) {
  return Tensors{found.values, found.indices};
}

std::vector<Index> indices(C c, size_t first) {
  std::vector<Index> at;
  for (size_t i = first; i < c.x.size(); ++i) at.emplace_back(c[i]);
  return at;
}

/// An enum by PyTorch's word for it.
template <class E>
E named(C c, const char* option, const std::map<std::string, E>& words, const char* otherwise) {
  return words.at(c.options.value<std::string>(option, otherwise));
}
const std::map<std::string, PadMode> pad_modes = {{"constant", PadMode::constant},
                                                  {"reflect", PadMode::reflect},
                                                  {"replicate", PadMode::replicate},
                                                  {"circular", PadMode::circular}};
const std::map<std::string, ScatterReduce> scatter_reductions = {{"sum", ScatterReduce::sum},
                                                                 {"prod", ScatterReduce::prod},
                                                                 {"mean", ScatterReduce::mean},
                                                                 {"amax", ScatterReduce::amax},
                                                                 {"amin", ScatterReduce::amin}};

const std::map<std::string, Call>& calls() {
  static const std::map<std::string, Call> table = {
      // elementwise
      {"add", binary<add, add>},
      {"sub", binary<sub, sub>},
      {"mul", binary<mul, mul>},
      {"div", binary<div, div>},
      {"pow", binary<pow, pow>},
      {"remainder", binary<remainder, remainder>},
      {"fmod", binary<fmod, fmod>},
      {"floor_divide", binary<floor_divide, floor_divide>},
      {"eq", binary<eq, eq>},
      {"ne", binary<ne, ne>},
      {"lt", binary<lt, lt>},
      {"le", binary<le, le>},
      {"gt", binary<gt, gt>},
      {"ge", binary<ge, ge>},
      {"minimum", two<minimum>},
      {"maximum", two<maximum>},
      {"where",
       [](C c) -> Results { return c.has("value") ? where(c[0], c[1], c.number("value")) : where(c[0], c[1], c[2]); }},
      {"masked_fill", [](C c) -> Results { return masked_fill(c[0], c[1], c.number("value")); }},
      {"clamp", [](C c) -> Results { return clamp(c[0], c.number("low", -INFINITY), c.number("high", INFINITY)); }},
      {"neg", one<neg>},
      {"logical_and", two<logical_and>},
      {"logical_or", two<logical_or>},
      {"logical_xor", two<logical_xor>},
      {"logical_not", one<logical_not>},
      {"isnan", [](C c) -> Results { return isnan(c[0] / c[1]); }},
      {"isfinite", [](C c) -> Results { return isfinite(c[0] / c[1]); }},
      // math
      {"exp", one<exp>},
      {"expm1", one<expm1>},
      {"log", one<log>},
      {"log1p", one<log1p>},
      {"sqrt", one<sqrt>},
      {"rsqrt", one<rsqrt>},
      {"reciprocal", one<reciprocal>},
      {"square", one<square>},
      {"sin", one<sin>},
      {"cos", one<cos>},
      {"tanh", one<tanh>},
      {"sigmoid", one<sigmoid>},
      {"erf", one<erf>},
      {"abs", one<abs>},
      {"sign", one<sign>},
      {"floor", one<floor>},
      {"ceil", one<ceil>},
      {"round", one<round>},
      {"trunc", one<trunc>},
      // activation, gated
      {"heaviside", [](C c) -> Results { return heaviside(c[0], c.number("value")); }},
      {"squareplus", [](C c) -> Results { return squareplus(c[0], c.number("b")); }},
      {"swish", [](C c) -> Results { return swish(c[0], c[1]); }},
      {"glu", along<glu>},
      {"bilinear_glu", along<bilinear_glu>},
      {"reglu", along<reglu>},
      {"geglu", [](C c) -> Results { return geglu(c[0], c.dim(), c.has("approximate") ? Gelu::tanh : Gelu::erf); }},
      {"swiglu", along<swiglu>},
      {"maxout", [](C c) -> Results { return maxout(c[0], c.integer("pieces"), c.dim()); }},
      // reduce, statistics, scan, softmax
      {"sum", reduced<sum>},
      {"mean", reduced<mean>},
      {"prod", reduced<prod>},
      {"amax", reduced<amax>},
      {"amin", reduced<amin>},
      {"sum_to", [](C c) -> Results { return sum_to(c[0], c.dims("shape")); }},
      {"max", extreme<max, max>},
      {"min", extreme<min, min>},
      {"argmax", place<argmax, argmax>},
      {"argmin", place<argmin, argmin>},
      {"all", reduced<all>},
      {"any", reduced<any>},
      {"var", spread<var>},
      {"std", spread<cotangent::std>},
      {"logsumexp", reduced<logsumexp>},
      {"norm",
       [](C c) -> Results {
         const bool text = c.has("p") && c.options["p"].is_string();
         return norm(c[0], text ? std::stod(c.options["p"].get<std::string>()) : c.number("p", 2), c.dims(),
                     c.keepdim());
       }},
      {"cumsum", along<cumsum>},
      {"cumprod", along<cumprod>},
      {"logcumsumexp", along<logcumsumexp>},
      {"cummax", [](C c) -> Results { return both(cummax(c[0], c.dim())); }},
      {"cummin", [](C c) -> Results { return both(cummin(c[0], c.dim())); }},
      {"linear_scan", [](C c) -> Results { return linear_scan(c[0], c[1], c.dim(), c.maybe(2), c.flag("reverse")); }},
      // complex
      {"complex::from_parts", two<complex::from_parts>},
      {"complex::polar", two<complex::polar>},
      {"complex::real", one<complex::real>},
      {"complex::imag", one<complex::imag>},
      {"complex::conj", one<complex::conj>},
      {"complex::mul", two<complex::mul>},
      {"complex::div", two<complex::div>},
      {"complex::exp", one<complex::exp>},
      {"complex::abs", one<complex::abs>},
      {"complex::angle", one<complex::angle>},
      {"complex::linear_scan",
       [](C c) -> Results { return complex::linear_scan(c[0], c[1], c.dim(), c.maybe(2), c.flag("reverse")); }},
      {"softmax", along<softmax>},
      {"log_softmax", along<log_softmax>},
      {"softmin", along<softmin>},
      // view
      {"expand", [](C c) -> Results { return expand(c[0], c.dims("shape")); }},
      {"broadcast_to", [](C c) -> Results { return broadcast_to(c[0], c.dims("shape")); }},
      {"permute", [](C c) -> Results { return permute(c[0], c.dims("dims")); }},
      {"transpose", [](C c) -> Results { return transpose(c[0], c.integer("dim0"), c.integer("dim1")); }},
      {"t", one<t>},
      {"squeeze", [](C c) -> Results { return c.has("dim") ? squeeze(c[0], c.dim()) : squeeze(c[0]); }},
      {"unsqueeze", along<unsqueeze>},
      {"reshape", [](C c) -> Results { return reshape(c[0], c.dims("shape")); }},
      {"view", [](C c) -> Results { return view(c[0], c.dims("shape")); }},
      {"flatten", [](C c) -> Results { return flatten(c[0], c.integer("start_dim")); }},
      {"unflatten", [](C c) -> Results { return unflatten(c[0], c.dim(), c.dims("sizes")); }},
      {"select", [](C c) -> Results { return select(c[0], c.dim(), c.integer("index")); }},
      {"slice",
       [](C c) -> Results { return slice(c[0], c.dim(), c.integer("start"), c.integer("stop"), c.integer("step")); }},
      {"narrow", [](C c) -> Results { return narrow(c[0], c.dim(), c.integer("start"), c.integer("length")); }},
      {"diagonal",
       [](C c) -> Results { return diagonal(c[0], c.integer("offset"), c.integer("dim1", 0), c.integer("dim2", 1)); }},
      {"unfold", [](C c) -> Results { return unfold(c[0], c.dim(), c.integer("size"), c.integer("step")); }},
      {"as_strided",
       [](C c) -> Results { return as_strided(c[0], c.dims("shape"), c.dims("strides"), c.integer("offset")); }},
      // join
      {"cat", [](C c) -> Results { return cat(c.x, c.dim()); }},
      {"stack", [](C c) -> Results { return stack(c.x, c.dim()); }},
      {"split",
       [](C c) -> Results {
         return c.options["size"].is_array() ? split(c[0], c.dims("size"), c.dim())
                                             : split(c[0], c.integer("size"), c.dim());
       }},
      {"chunk", [](C c) -> Results { return chunk(c[0], c.integer("chunks"), c.dim()); }},
      {"unbind", [](C c) -> Results { return unbind(c[0], c.dim()); }},
      {"flip", [](C c) -> Results { return flip(c[0], c.dims("dims")); }},
      // linalg, einsum
      {"matmul", two<matmul>},
      {"linear", [](C c) -> Results { return linear(c[0], c[1], c.maybe(2)); }},
      {"addmm", [](C c) -> Results { return addmm(c[0], c[1], c[2], c.number("beta", 1), c.number("alpha", 1)); }},
      {"outer", two<outer>},
      {"solve", [](C c) -> Results { return linalg::solve(c[0], c[1], c.options.value("left", true)); }},
      {"solve_triangular",
       [](C c) -> Results {
         return linalg::solve_triangular(c[0], c[1],
                                         {.upper = c.flag("upper"),
                                          .left = c.options.value("left", true),
                                          .unitriangular = c.flag("unitriangular")});
       }},
      {"inv", one<linalg::inv>},
      {"det", one<linalg::det>},
      {"slogdet",
       [](C c) -> Results {
         const auto [sign, logabsdet] = linalg::slogdet(c[0]);
         return Tensors{sign, logabsdet};
       }},
      {"logdet", one<linalg::logdet>},
      {"cholesky", one<linalg::cholesky>},
      {"matrix_power", [](C c) -> Results { return linalg::matrix_power(c[0], c.integer("n")); }},
      {"matrix_exp", one<linalg::matrix_exp>},
      {"qr",
       [](C c) -> Results {
         const auto [q, r] = linalg::qr(c[0], c.flag("complete"));
         return Tensors{q, r};
       }},
      {"eigh",
       [](C c) -> Results {
         const auto [values, vectors] = linalg::eigh(c[0]);
         return Tensors{values, abs(vectors)};
       }},
      {"eigvalsh", one<linalg::eigvalsh>},
      {"svd",
       [](C c) -> Results {
         const auto [u, s, vh] = linalg::svd(c[0], false);
         return Tensors{abs(u), s, abs(vh)};
       }},
      {"svdvals", one<linalg::svdvals>},
      {"pinv", [](C c) -> Results { return linalg::pinv(c[0]); }},
      {"lstsq", two<linalg::lstsq>},
      {"einsum", [](C c) -> Results { return einsum(c.options["equation"], c.x); }},
      // index, indexing
      {"index_select", [](C c) -> Results { return index_select(c[0], c.dim(), c[1]); }},
      {"index_add", [](C c) -> Results { return index_add(c[0], c.dim(), c[1], c[2]); }},
      {"gather", [](C c) -> Results { return gather(c[0], c.dim(), c[1]); }},
      {"scatter_add", [](C c) -> Results { return scatter_add(c[0], c.dim(), c[1], c[2]); }},
      {"take_along_dim", [](C c) -> Results { return take_along_dim(c[0], c[1], c.dim()); }},
      {"nonzero", one<nonzero>},
      // arrange, scatter
      {"pad",
       [](C c) -> Results {
         return pad(c[0], c.dims("sizes"), named(c, "mode", pad_modes, "constant"), c.number("value"));
       }},
      {"roll",
       [](C c) -> Results {
         return c.has("dims") ? roll(c[0], c.dims("shifts"), c.dims("dims")) : roll(c[0], c.integer("shifts"));
       }},
      {"repeat", [](C c) -> Results { return repeat(c[0], c.dims("repeats")); }},
      {"tile", [](C c) -> Results { return tile(c[0], c.dims("repeats")); }},
      {"repeat_interleave",
       [](C c) -> Results {
         const std::optional<int64_t> dim = c.has("dim") ? std::optional(c.dim()) : std::nullopt;
         return c.x.size() > 1 ? repeat_interleave(c[0], c[1], dim)
                               : repeat_interleave(c[0], c.integer("repeats"), dim);
       }},
      {"scatter",
       [](C c) -> Results {
         return c.has("value") ? scatter(c[0], c.dim(), c[1], c.number("value")) : scatter(c[0], c.dim(), c[1], c[2]);
       }},
      {"scatter_reduce",
       [](C c) -> Results {
         return scatter_reduce(c[0], c.dim(), c[1], c[2], named(c, "reduce", scatter_reductions, "sum"),
                               c.options.value("include_self", true));
       }},
      {"embedding",
       [](C c) -> Results {
         return c.has("padding_idx") ? embedding(c[1], c[0], c.integer("padding_idx")) : embedding(c[1], c[0]);
       }},
      {"one_hot", [](C c) -> Results { return one_hot(c[0], c.integer("classes", -1)); }},
      {"tril", [](C c) -> Results { return tril(c[0], c.integer("diagonal")); }},
      {"triu", [](C c) -> Results { return triu(c[0], c.integer("diagonal")); }},
      {"index", [](C c) -> Results { return c[0].index(indices(c, 1)); }},
      {"index_put_",
       [](C c) -> Results {
         Tensor y = clone(c[0]);
         y.index_put_(indices(c, 2), c[1]);
         return y;
       }},
      // loss
      {"mse_loss", [](C c) -> Results { return mse_loss(c[0], c[1], {.reduction = c.reduction()}); }},
      {"cross_entropy",
       [](C c) -> Results {
         return cross_entropy(c[0], c[1],
                              {.weight = c.maybe(2),
                               .ignore_index = c.integer("ignore_index", -100),
                               .reduction = c.reduction(),
                               .label_smoothing = c.number("label_smoothing")});
       }},
      {"nll_loss",
       [](C c) -> Results {
         return nll_loss(
             c[0], c[1],
             {.weight = c.maybe(2), .ignore_index = c.integer("ignore_index", -100), .reduction = c.reduction()});
       }},
      {"binary_cross_entropy_with_logits",
       [](C c) -> Results {
         return binary_cross_entropy_with_logits(
             c[0], c[1], {.weight = c.maybe(2), .pos_weight = c.maybe(3), .reduction = c.reduction()});
       }},
      // sort, convert, attention, rope, fft, random
      {"sort", [](C c) -> Results { return both(sort(c[0], c.dim(), c.flag("descending"))); }},
      {"argsort", [](C c) -> Results { return argsort(c[0], c.dim(), c.flag("descending")); }},
      {"topk",
       [](C c) -> Results { return both(topk(c[0], c.integer("k"), c.dim(), c.options.value("largest", true))); }},
      {"to",
       [](C c) -> Results {
         const std::string type = c.options["dtype"];
         return to(c[0], type == "int64" ? int64 : type == "bool" ? boolean : float32);
       }},
      {"clone", one<clone>},
      {"identity", one<identity>},
      {"contiguous", [](C c) -> Results { return contiguous(t(c[0])); }},
      {"scaled_dot_product_attention",
       [](C c) -> Results {
         return scaled_dot_product_attention(
             c[0], c[1], c[2],
             {.mask = c.maybe(3), .causal = c.flag("causal"), .scale = c.number("scale"), .distance_bias = c.maybe(4)});
       }},
      {"rope",
       [](C c) -> Results {
         return rope(c[0], c.integer("start"),
                     {.layout = c.flag("half_split") ? RopeLayout::half_split : RopeLayout::interleaved,
                      .width = c.integer("width"),
                      .base = c.number("base", 1e4)});
       }},
      {"rfft", [](C c) -> Results { return fft::rfft(c[0], c.integer("n"), c.dim(), c.norm()); }},
      {"irfft", [](C c) -> Results { return fft::irfft(c[0], c.integer("n"), c.dim(), c.norm()); }},
      {"fft", [](C c) -> Results { return fft::fft(c[0], c.integer("n"), c.dim(), c.norm()); }},
      {"ifft", [](C c) -> Results { return fft::ifft(c[0], c.integer("n"), c.dim(), c.norm()); }},
      {"fftfreq", [](C c) -> Results { return fft::fftfreq(c.integer("n"), c.number("d", 1), float64); }},
      {"rfftfreq", [](C c) -> Results { return fft::rfftfreq(c.integer("n"), c.number("d", 1), float64); }},
      {"fft_conv1d",
       [](C c) -> Results { return fft_conv1d(c[0], c[1], c.flag("full") ? FftConv::full : FftConv::causal); }},
      {"dropout", [](C c) -> Results { return dropout(c[0], c.number("p"), c.flag("training")); }},
      {"alpha_dropout", [](C c) -> Results { return alpha_dropout(c[0], c.number("p"), c.flag("training")); }},
  };
  return table;
}

std::vector<std::string> op_files() {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(COTANGENT_SOURCE_DIR "/tests/reference/ops"))
    files.push_back("ops/" + entry.path().filename().string());
  return files;
}

void check_case(const Json& test) {
  Case c{tensors_of(test["x"]), test["options"]};
  const Tensors expected = tensors_of(test["y"]), cotangents = tensors_of(test["dy"]), dx = tensors_of(test["dx"]);
  Tensors wanted, gradients, roots, dy;
  for (size_t i = 0; i < dx.size(); ++i)
    if (dx[i].defined()) wanted.push_back(c.x[i].requires_grad_()), gradients.push_back(dx[i]);
  const Results y = calls().at(test["op"])(c);
  CHECK(difference(y, expected, 1e-10) == "");
  for (size_t i = 0; i < cotangents.size() && i < y.size(); ++i)
    if (cotangents[i].defined()) roots.push_back(y[i]), dy.push_back(cotangents[i]);
  if (roots.empty()) return;
  for (const bool create_graph : {false, true}) {
    INFO("create_graph " << create_graph);
    Tensors got = grad(roots, wanted,
                       {.gradients = dy, .retain_graph = true, .create_graph = create_graph, .allow_unused = true});
    for (size_t i = 0; i < got.size(); ++i)
      if (!got[i].defined()) got[i] = zeros_like(wanted[i]);
    CHECK(difference(got, gradients, 1e-10) == "");
  }
}

}  // namespace

TEST_CASE("ops give what PyTorch gives, with their gradients") {
  int cases = 0;
  for (const std::string& file : op_files())
    for (const Json& test : Json(file)) {
      INFO(file << ": " << test);
      CHECK_NOTHROW(check_case(test));
      ++cases;
    }
  std::printf("reference: %d cases of ops\n", cases);
}

TEST_CASE("every op of the table is compared with PyTorch, or has no counterpart there") {
  // in files whose tests name the functions otherwise: rnn.json, fold.json
  std::set<std::string> compared = {"rnn", "gru", "lstm", "im2col", "col2im"};
  for (const char* file : {"activation.json", "conv.json", "norm.json", "pool.json", "resize.json"})
    for (const auto& [key, value] : Json(file).items()) {
      compared.insert(key);
      if (key == "cases")
        for (const Json& test : value) compared.insert(test["op"].get<std::string>());
      else if (value.contains("op"))
        compared.insert(value["op"].get<std::string>());
    }
  for (const std::string& file : op_files())
    for (const Json& test : Json(file)) compared.insert(test["op"].get<std::string>());
  // the values of a max pool with its places: pool.json has both
  for (const std::string& op : std::set<std::string>(compared))
    if (op.find("max_pool") != std::string::npos) compared.insert(op + "_with_indices");

  const std::map<std::string, const char*> without = {
      {"random_projection", "draws its own random numbers"},
      {"favor_features", "no such function: compared with the definition in favor_test.cpp"},
      {"favor_attention", "no such function: compared with softmax attention in favor_test.cpp"},
      {"feature_map", "no such function: its maps are elu, relu and others that are compared"},
      {"cosformer_features", "no such function: compared with the definition in the op table"},
      {"fft_kernel", "no such function: the rfft of a kernel"},
      {"resolvent_sums", "no such function: compared with complex sums in the op table"},
      {"causal_product", "no such function: compared with the masked product in the op table"},
      {"linear_attention", "no such function: compared with the quadratic form in the op table"},
      {"gated_linear_attention", "no such function: compared with its recurrence and with the matrix of its weights"},
      {"mlstm", "no such function: compared with the weights of its definition in the op table"},
      {"selective_scan", "no such function: compared with its matrix form in the op table"},
      {"wkv", "no such function: compared with the sums of its definition in the op table"},
      {"efficient_attention", "no such function: compared with the quadratic form in the op table"},
      {"iterative_pseudo_inverse", "no such function: compared with the paper's formula in the op table"},
      {"nystrom_attention", "no such function: compared with the formula in the op table and in attention.json"},
      {"delta_rule", "no such function: compared with a loop in the op table"},
      {"generalized_delta_rule", "no such function: compared with a loop in the op table"},
      {"lsh_buckets", "no such function: compared with the definition in the op table"},
      {"lsh_attention", "no such function: compared with a loop over pairs in the op table"},
      {"squared_relu_attention", "no such function: compared with the definition in the op table"},
      {"gather_by_distance", "no such function: compared with a loop in the op table"},
      {"relative_attention", "no such function: nn's positions by distance are compared with positions.json"},
      {"sum_by_distance", "no such function: compared with a loop in the op table"},
      {"toeplitz", "no such function: compared with a loop in the op table"},
      {"mixed_chunk_attention", "no such function: compared with masked products in the op table"},
      {"sparse_mask", "no such function: compared with a loop in the op table"},
      {"sparse_attention", "no such function: compared with masked attention in the op table"},
  };
  std::string missing;
  for (const OpInfo& op : op_table()) {
    const bool has = compared.count(op.name), excused = without.count(op.name);
    if (!has && !excused) missing += std::string(" ") + op.name;
    if (has && excused) FAIL_CHECK(op.name << " is compared with PyTorch: it needs no excuse");
  }
  if (!missing.empty()) FAIL_CHECK("in no file of tests/reference:" << missing);
}
