#include <cotangent/nn/peft/adapter.hpp>

#include <cmath>

#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/nn/init.hpp>
#include <cotangent/nn/sequence/sequence.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent::nn {

Bottleneck::Bottleneck(int64_t width, int64_t bottleneck, Activation f, double std, Dtype dtype)
    : down(width, bottleneck, {.dtype = dtype}), up(bottleneck, width, {.dtype = dtype}), activation(f) {
  for (const Linear* layer : {&down, &up}) {
    if (std > 0)
      init::trunc_normal_(layer->weight, 0, std, -2 * std, 2 * std);
    else
      init::zeros_(layer->weight);
    init::zeros_(layer->bias);
  }
}

Tensor Bottleneck::forward(const Tensor& h) { return h + up(activate(activation, down(h))); }

Adapter::Adapter(Module& base, const AdapterOptions& o) {
  if (o.bottleneck < 1) fail<ValueError>("[Adapter] a bottleneck of {}; it must be 1 at least", o.bottleneck);
  if (!(o.std >= 0 && std::isfinite(o.std)))
    fail<ValueError>("[Adapter] a standard deviation of {}; it must be finite, and not negative", o.std);
  if (is_gated(o.activation)) fail<ValueError>("[Adapter] a gated activation halves the bottleneck; take another");
  for (const NamedModule& m : detail::find_modules("Adapter", base, o.targets)) {
    const auto* linear = dynamic_cast<Linear*>(m.module);
    const auto* layer = dynamic_cast<SequenceLayer*>(m.module);
    if (!linear && !layer)
      fail<ValueError>("[Adapter] {} is a {}, whose width is not known; take linear layers or layers of sequences",
                       m.name, m.module->type_name());
    const Tensors inside = m.module->parameters();
    targets.push_back(m.name);
    bottlenecks.emplace_back(linear ? linear->weight.size(0) : layer->width(), o.bottleneck, o.activation, o.std,
                             inside.empty() ? default_dtype() : inside[0].dtype());
  }
}

void Adapter::members(Members& visitor) {
  for (size_t i = 0; i < targets.size(); ++i)
    visitor.add(targets[i].empty() ? "adapter" : targets[i] + ".adapter", bottlenecks[i]);
}

void Adapter::enter(detail::Tuning& call) {
  for (size_t i = 0; i < targets.size(); ++i)
    call.after(
        targets[i], [](void* b, const Tensor& y) { return (*static_cast<Bottleneck*>(b))(y); }, &bottlenecks[i]);
}

}  // namespace cotangent::nn
