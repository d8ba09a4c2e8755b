#include <cotangent/nn/peft/prefix.hpp>

#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/index.hpp>
#include <cotangent/autograd/ops/join.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/nn/attention/multihead.hpp>
#include <cotangent/nn/embedding.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {
namespace {

/// How many numbers the keys and values of one place are.
int64_t prefix_width(const MultiHeadAttention& a) { return 2 * a.kv_heads * (a.width() / a.heads); }

void check_length(const char* tuner, int64_t length) {
  if (length < 1) fail<ValueError>("[{}] a length of {}; it must be 1 at least", tuner, length);
}

}  // namespace

Prefix::Prefix(Module& base, const PrefixOptions& o) {
  check_length("Prefix", o.length);
  if (o.hidden < 0) fail<ValueError>("[Prefix] a hidden width of {}; it must not be negative", o.hidden);
  const std::vector<NamedModule> found = detail::find_modules("Prefix", base, o.targets);
  int64_t count = 0, width = 0;
  Dtype dtype = default_dtype();
  for (const NamedModule& m : found) {
    const auto* a = dynamic_cast<MultiHeadAttention*>(m.module);
    if (!a)
      fail<ValueError>("[Prefix] {} is a {}; a prefix goes before the keys of a MultiHeadAttention", m.name,
                       m.module->type_name());
    if (targets.empty()) width = a->width(), dtype = a->in_proj_weight.dtype();
    count += prefix_width(*a);
    targets.push_back(m.name);
  }
  if (o.hidden == 0) {
    values = init::normal_(empty({o.length, count}, dtype), 0, 0.02);
    return;
  }
  tokens = init::normal_(empty({o.length, width}, dtype));
  down.emplace(width, o.hidden, LinearOptions{.dtype = dtype});
  up.emplace(o.hidden, count, LinearOptions{.dtype = dtype});
}

void Prefix::members(Members& visitor) {
  visitor.add("prefix.tokens", tokens);
  visitor.add("prefix.down", down);
  visitor.add("prefix.up", up);
  visitor.add("prefix.values", values);
}

Tensor Prefix::made() { return up ? (*up)(tanh((*down)(tokens))) : Tensor(values); }

void Prefix::enter(detail::Tuning& call) {
  const Tensor all = made();
  int64_t first = 0;
  for (const std::string& name : targets) {
    auto& attention = dynamic_cast<MultiHeadAttention&>(call.module(name));
    const int64_t n = prefix_width(attention), heads = attention.kv_heads;
    const Tensor own = transpose(unflatten(narrow(all, 1, first, n), 1, {2 * heads, n / 2 / heads}), 0, 1);
    call.put(attention.prefix_keys, narrow(own, 0, 0, heads));
    call.put(attention.prefix_values, narrow(own, 0, heads, heads));
    first += n;
  }
}

void Prefix::fold() {
  if (!up) fail<ValueError>("[fold] the prefix has no network");
  {
    const NoGrad guard;
    values = made();
  }
  tokens = Parameter();
  down.reset();
  up.reset();
}

Prompt::Prompt(Module& base, const PromptOptions& o) {
  check_length("Prompt", o.length);
  const std::vector<NamedModule> found = detail::find_modules("Prompt", base, {o.embedding});
  const auto* table = dynamic_cast<Embedding*>(found[0].module);
  if (found.size() > 1 || !table)
    fail<ValueError>("[Prompt] {} stands for {} modules, the first a {}; it must be one Embedding", o.embedding,
                     found.size(), found[0].module->type_name());
  embedding = found[0].name;
  weight = index_select(table->weight.detach(), 0, randint(0, table->weight.size(0), {o.length}));
}

void Prompt::members(Members& visitor) { visitor.add("prompt.weight", weight); }

void Prompt::enter(detail::Tuning& call) {
  call.after(
      embedding,
      [](void* p, const Tensor& y) {
        const Tensor& prompt = static_cast<Prompt*>(p)->weight;
        if (y.rank() != 3) fail<ShapeError>("[Prompt] embeddings of {}; they must be (B, T, d)", y.shape());
        return cat({expand(unsqueeze(prompt, 0), {y.size(0), prompt.size(0), prompt.size(1)}), y}, 1);
      },
      this);
}

Tensor Prompt::finish(const Tensor& y) const {
  const int64_t l = weight.size(0);
  if (y.rank() < 2 || y.size(1) < l)
    fail<ShapeError>("[Prompt] the model gives {}; it must be (B, {} + T, ..)", y.shape(), l);
  return narrow(y, 1, l, y.size(1) - l);
}

}  // namespace cotangent::nn
