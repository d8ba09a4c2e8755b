// Layers whose state decays, or is corrected by the delta rule, at a batch of 8, 2048 tokens, and a width of 256.
// torch_decay.py holds the same for PyTorch, chunk by chunk where that is faster there than token by token.
#include "bench.hpp"

namespace bench {
namespace {

using Sizes = std::vector<int64_t>;

}  // namespace

std::vector<Workload> decay() {
  namespace nn = ct::nn;
  std::vector<Workload> to;
  const auto add = [&](const char* name, Step (*make)(const Sizes&)) {
    to.push_back({name, make});
    to.push_back({std::string(name) + "_compiled", make});  // by torch.compile
  };
  add("retention", [](const Sizes&) { return of_layer(nn::Retention(kWidth, 4)); });
  add("gated_linear_attention", [](const Sizes&) { return of_layer(nn::GatedLinearAttention(kWidth, 4)); });
  add("mamba2", [](const Sizes&) { return of_layer(nn::Mamba2(kWidth)); });
  add("mlstm", [](const Sizes&) { return of_layer(nn::MLSTM(kWidth, 4)); });
  add("rwkv_channel_mix", [](const Sizes&) { return of_layer(nn::RwkvChannelMix(kWidth)); });
  add("delta_net", [](const Sizes&) { return of_layer(nn::DeltaNet(kWidth, 4)); });
  add("gated_delta_net", [](const Sizes&) { return of_layer(nn::GatedDeltaNet(kWidth, 4)); });
  add("rwkv7_time_mix", [](const Sizes&) { return of_layer(nn::Rwkv7TimeMix(kWidth, 4)); });
  to.push_back({"rwkv_time_mix", [](const Sizes&) { return of_layer(nn::RwkvTimeMix(kWidth)); }});
  to.push_back({"rwkv_time_mix_compiled", [](const Sizes&) { return of_layer(nn::RwkvTimeMix(kWidth)); }});
  to.push_back({"mamba", [](const Sizes&) { return of_layer(nn::Mamba(kWidth)); }});
  to.push_back({"mamba_by_doubling", [](const Sizes&) { return of_layer(nn::Mamba(kWidth)); }});
  to.push_back({"mamba_compiled", [](const Sizes&) { return of_layer(nn::Mamba(kWidth)); }});
  return to;
}

}  // namespace bench
