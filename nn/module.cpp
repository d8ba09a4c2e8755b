#include <cotangent/nn/module.hpp>

#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>
#include <typeinfo>

#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/observer_internal.hpp>
#include <cotangent/nn/parametrization_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {

Parameter::Parameter(const Tensor& values) {
  if (!values.defined()) return;
  Tensor::operator=(values.is_leaf() && values.requires_grad() ? values : values.detach().requires_grad_());
}

// ---- the walk ----

void Members::parameter(const std::string&, Parameter&) {}
void Members::buffer(const std::string&, Buffer&) {}
void Members::module(const std::string&, Module& m) { walk(m); }
void Members::parametrized(const std::string& path, Parameter& p) { module(path, *p.parametrization()); }
void Members::walk(Module& m) { m.members(*this); }

size_t Members::enter(std::string_view name) {
  const size_t length = path_.size();
  if (length > 0 && !name.empty()) path_ += '.';
  path_ += name;
  return length;
}

void Members::listed(size_t around, Parameter& p) {
  if (!p.parametrization()) return parameter(path_, p);
  path_.insert(around > 0 ? around + 1 : 0, "parametrizations.");
  parametrized(path_, p);
}

namespace {

/// Calls f(path, tensor) for parameters and g(path, tensor) for buffers, where there are any.
template <class F, class G>
void for_each_tensor(const Module& m, F f, G g) {
  struct Walk : Members {
    F& on_parameter;
    G& on_buffer;
    Walk(F& a, G& b) : on_parameter(a), on_buffer(b) {}
    void parameter(const std::string& path, Parameter& p) override {
      if (p.defined()) on_parameter(path, p);
    }
    void buffer(const std::string& path, Buffer& b) override {
      if (b.defined()) on_buffer(path, b);
    }
  } visitor(f, g);
  const_cast<Module&>(m).members(visitor);  // parameters are handles: looking at them changes nothing
}

/// Calls before(path, module) on the way down and after(path, module) on the way up.
template <class F, class G>
void for_each_module(const Module& m, F before, G after) {
  struct Walk : Members {
    F& on_entry;
    G& on_exit;
    Walk(F& a, G& b) : on_entry(a), on_exit(b) {}
    void module(const std::string& path, Module& inner) override {
      on_entry(path, inner);
      walk(inner);
      on_exit(path, inner);
    }
  } visitor(before, after);
  const_cast<Module&>(m).members(visitor);
}

constexpr auto nothing = [](const std::string&, auto&) {};

bool seen(std::vector<const void*>& known, const Tensor& x) {
  if (std::find(known.begin(), known.end(), x.impl()) != known.end()) return true;
  known.push_back(x.impl());
  return false;
}

}  // namespace

// ---- what the list gives ----

std::vector<NamedTensor> Module::named_parameters() const {
  std::vector<NamedTensor> result;
  std::vector<const void*> known;
  for_each_tensor(
      *this,
      [&](const std::string& path, Parameter& p) {
        if (!seen(known, p)) result.push_back({path, p});
      },
      nothing);
  return result;
}

Tensors Module::parameters() const {
  Tensors result;
  for (NamedTensor& p : named_parameters()) result.push_back(std::move(p.tensor));
  return result;
}

std::vector<NamedTensor> Module::named_buffers() const {
  std::vector<NamedTensor> result;
  std::vector<const void*> known;
  for_each_tensor(*this, nothing, [&](const std::string& path, Buffer& b) {
    if (!seen(known, b)) result.push_back({path, b});
  });
  return result;
}

std::vector<NamedModule> Module::named_modules() {
  std::vector<NamedModule> result{{"", this}};
  for_each_module(
      *this,
      [&](const std::string& path, Module& m) {
        result.push_back({path, &m});
      },
      nothing);
  return result;
}

int64_t Module::parameter_count() const {
  int64_t count = 0;
  for (const NamedTensor& p : named_parameters()) count += p.tensor.numel();
  return count;
}

void Module::train(bool training) {
  training_ = training;
  for_each_module(
      *this, [=](const std::string&, Module& m) { m.training_ = training; }, nothing);
}

void Module::zero_grad() {
  for_each_tensor(
      *this,
      [](const std::string&, Parameter& p) {
        if (p.requires_grad()) p.set_grad(Tensor());
      },
      nothing);
}

void Module::requires_grad_(bool wanted) {
  for_each_tensor(
      *this, [=](const std::string&, Parameter& p) { p.requires_grad_(wanted); }, nothing);
}

void Module::apply_to(void (*f)(void*, Module&), void* function) {
  for_each_module(*this, nothing, [=](const std::string&, Module& m) { f(function, m); });
  f(function, *this);
}

namespace {
/// Replaces each tensor by make(tensor), and a tensor that occurs twice by one new tensor.
template <class Make>
void replace_tensors(Module& m, Make make) {
  NoGrad guard;
  std::vector<std::pair<Tensor, Tensor>> made;  // the old ones are kept: an address must not be used again meanwhile
  auto replace = [&](auto& member) {
    auto it =
        std::find_if(made.begin(), made.end(), [&](const auto& pair) { return pair.first.impl() == member.impl(); });
    if (it == made.end()) {
      Tensor fresh = make(member);
      if (member.requires_grad()) fresh.requires_grad_();
      made.emplace_back(member, fresh);
      it = made.end() - 1;
    }
    static_cast<Tensor&>(member) = it->second;
  };
  for_each_tensor(
      m, [&](const std::string&, Parameter& p) { replace(p); }, [&](const std::string&, Buffer& b) { replace(b); });
}
}  // namespace

void Module::to(Dtype dtype) {
  if (!is_floating(dtype))
    fail<DTypeError>("[to] a module can't be {}; take float32, float64, bfloat16 or float16", dtype);
  replace_tensors(*this,
                  [&](const Tensor& x) { return x.is_floating() && x.dtype() != dtype ? raw::cast(x, dtype) : x; });
}

void detail::unshare(Module& m) {
  m.apply([](Module& inner) { inner.found_ = false; });
  replace_tensors(m, [](const Tensor& x) { return raw::clone(x); });
}

// ---- saving and loading ----

StateDict Module::state_dict() const {
  StateDict state;
  for_each_tensor(
      *this, [&](const std::string& path, Parameter& p) { state.add(path, p.detach()); },
      [&](const std::string& path, Buffer& b) { state.add(path, b.detach()); });
  return state;
}

namespace {
[[noreturn]] void report_mismatch(const LoadReport& report, const StateDict& own, const StateDict& state) {
  std::string lines;
  auto add = [&lines](const char* kind, const std::string& text) { lines += fmt::format("\n  {:<12}{}", kind, text); };
  for (const std::string& name : report.missing) {
    const std::string nearest = nearest_name(name, report.unexpected);
    add("missing",
        fmt::format("{} {}{}", name, own[name].shape(),
                    nearest.empty() ? "" : fmt::format("; did you mean {} {}?", nearest, state[nearest].shape())));
  }
  for (const std::string& name : report.unexpected) add("unexpected", fmt::format("{} {}", name, state[name].shape()));
  for (const std::string& name : report.wrong_shape)
    add("wrong shape",
        fmt::format("{} is {} in the model and {} in the state", name, own[name].shape(), state[name].shape()));
  fail<ValueError>(
      "[load_state_dict] {} of the model's {} entries match; nothing was loaded. Pass strict = false to load those "
      "that do.{}",
      report.matched.size(), own.size(), lines);
}
}  // namespace

LoadReport Module::load_state_dict(const StateDict& state, bool strict) {
  const StateDict own = state_dict();
  LoadReport report;
  for (const auto& [name, tensor] : own) {
    const Tensor& values = state.get(name);
    if (!values.defined())
      report.missing.push_back(name);
    else if (values.shape() != tensor.shape())
      report.wrong_shape.push_back(name);
    else
      report.matched.push_back(name);
  }
  for (const auto& [name, tensor] : state)
    if (!own.contains(name)) report.unexpected.push_back(name);
  if (strict && !(report.missing.empty() && report.unexpected.empty() && report.wrong_shape.empty()))
    report_mismatch(report, own, state);
  NoGrad guard;
  for (const std::string& name : report.matched) Tensor(own[name]).copy_(state[name].to(own[name].dtype()));
  return report;
}

// ---- printing ----

std::string Module::type_name() const {
  int status = 0;
  char* readable = abi::__cxa_demangle(typeid(*this).name(), nullptr, nullptr, &status);
  std::string name = status == 0 ? readable : typeid(*this).name();
  std::free(readable);
  // without namespaces and template arguments; MaxPoolNd<2> is MaxPool2d
  const size_t open = std::min(name.find('<'), name.size());
  const bool dims = std::string_view(name).substr(0, open).ends_with("Nd") && open < name.size();
  name = dims ? name.substr(0, open - 2) + name[open + 1] + "d" : name.substr(0, open);
  const size_t colon = name.rfind("::");
  return colon == std::string::npos ? name : name.substr(colon + 2);
}

namespace {
std::string with_commas(int64_t value) {
  std::string digits = std::to_string(value);
  for (int64_t i = static_cast<int64_t>(digits.size()) - 3; i > 0; i -= 3) digits.insert(static_cast<size_t>(i), ",");
  return digits;
}
}  // namespace

std::string to_string(const Module& module) {
  struct Line {
    std::string text, count;
  };
  std::vector<Line> lines;
  std::vector<size_t> parents{0};  // lengths of the paths around the line
  auto add = [&lines](size_t depth, const std::string& label, const Module& m) {
    const std::string settings = m.settings();
    const int64_t count = m.parameter_count();
    lines.push_back(
        {std::string(2 * depth, ' ') + label + m.type_name() + (settings.empty() ? "" : "(" + settings + ")"),
         count > 0 ? with_commas(count) : ""});
  };
  add(0, "", module);
  for_each_module(
      module,
      [&](const std::string& path, Module& m) {
        const std::string name = path.size() > parents.back() ? path.substr(parents.back() + (parents.back() > 0)) : "";
        add(parents.size(), name.empty() ? "" : name + ": ", m);
        parents.push_back(path.size());
      },
      [&](const std::string&, Module&) { parents.pop_back(); });
  size_t width = 0, digits = 0;
  for (const Line& line : lines)
    width = std::max(width, line.text.size()), digits = std::max(digits, line.count.size());
  std::string result;
  for (const Line& line : lines) {
    result += line.count.empty() ? line.text : fmt::format("{:<{}}  {:>{}}", line.text, width, line.count, digits);
    result += &line == lines.data() && !line.count.empty() ? " parameters\n" : "\n";
  }
  return result;
}

// ---- calls ----

namespace {
constinit thread_local const detail::Call* t_innermost = nullptr;
constinit thread_local detail::Listener* t_listener = nullptr;
}  // namespace

detail::Listener::Listener() : around_(t_listener) { t_listener = this; }
detail::Listener::~Listener() { t_listener = around_; }

bool detail::is_heard() { return t_listener != nullptr; }

Tensor detail::heard(const Tensor& weight, int64_t first, const Tensor& x, Tensor y) {
  for (Listener* l = t_listener; l; l = l->around_) l->mapped(weight, first, x, y);
  return y;
}

Tensor detail::Call::result(Tensor y) const {
  if (around_ && &around_->module_ == &module_) return y;  // a module that calls itself has one result
  for (Listener* l = t_listener; l; l = l->around_) l->called(module_, y);
  return y;
}

detail::Call::Call(Module& m, const Call* around) : module_(m), around_(around) {
  if (around_ && !__atomic_load_n(&m.found_, __ATOMIC_RELAXED)) check_listed();
  t_innermost = this;
}

// Through the other constructor, so that the destructor runs when a parametrization throws.
detail::Call::Call(Module& m) : Call(m, t_innermost) {
  const bool by_itself = around_ && &around_->module_ == &m;  // a call of another of its own functions
  if (Parametrized::exist() && !by_itself) Parametrized::compute(m);
}

detail::Call::~Call() { t_innermost = around_; }

void detail::Call::check_listed() const {
  if (!grad_enabled()) return;
  std::vector<const void*> sought;
  for_each_tensor(
      module_,
      [&](const std::string&, Parameter& p) {
        if (p.requires_grad()) sought.push_back(p.impl());
      },
      nothing);
  // All modules around it are asked, as one further out may list what both share.
  for (const Call* call = around_; call && !sought.empty(); call = call->around_)
    for_each_tensor(
        call->module_, [&](const std::string&, Parameter& p) { std::erase(sought, p.impl()); }, nothing);
  if (!sought.empty())
    fail<ValueError>(
        "[{0}] calls a {1}({2}) whose parameters it does not have, so that nobody would train them; name it in "
        "{0}'s COTANGENT_MODULE, or say {1}::trained_elsewhere() or requires_grad_(false) if that is meant",
        around_->module_.type_name(), module_.type_name(), module_.settings());
  __atomic_store_n(&module_.found_, true, __ATOMIC_RELAXED);
}

void detail::const_in_training(const Module& m) {
  fail<ValueError>(
      "[{}] is called as a const module in training mode, where a call may change it; call eval() first, or call it "
      "where it is not const (a forward() const makes all members so)",
      m.type_name());
}

// ---- what errors and graphs are told ----

namespace {
/// The path of `inner` in m; empty if it is not there.
std::string path_in(Module& m, const void* inner) {
  std::string name;
  for_each_module(
      m,
      [&](const std::string& path, Module& found) {
        if (&found == inner) name = path;
      },
      nothing);
  return name;
}
}  // namespace

void detail::leave(Module& m, Error& error) { error.leave(&m, path_in(m, error.module())); }

namespace detail {
/// Tells the tape, which knows no modules, in which of them it records.
struct Told {
  static std::string modules() { return t_innermost ? path_of(*t_innermost) : std::string(); }
  static std::string path_of(const Call& call) {
    const std::string type = call.module_.type_name();
    if (!call.around_) return type;
    const std::string name = path_in(call.around_->module_, &call.module_);
    return path_of(*call.around_) + '/' + (name.empty() ? type : name) + ':' + type;
  }
  static std::string parameter(const Node* leaf) {
    std::string name;
    const Call* outermost = t_innermost;
    while (outermost && outermost->around_) outermost = outermost->around_;
    if (outermost)
      for_each_tensor(
          outermost->module_,
          [&](const std::string& path, Parameter& p) {
            if (p.impl()->node == leaf && name.empty()) name = path;
          },
          nothing);
    return name;
  }
};
}  // namespace detail

namespace {
[[maybe_unused]] const bool g_told = [] {
  cotangent::detail::g_surroundings.modules = detail::Told::modules;
  cotangent::detail::g_surroundings.parameter = detail::Told::parameter;
  return true;
}();
}  // namespace

}  // namespace cotangent::nn
