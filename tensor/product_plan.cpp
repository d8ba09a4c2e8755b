#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string>
#include <string_view>

#include <cotangent/tensor/format_internal.hpp>
#include <cotangent/tensor/processor_internal.hpp>
#include <cotangent/tensor/product_plan_internal.hpp>

namespace cotangent::raw {
namespace {

using kernels::GemmLoops;
using kernels::GemmTile;

constexpr int64_t kGroupRows = 32;  // of the first operand, which the first cache keeps while panels pass

struct Asked {
  int64_t strip = 0, vectors = 0, run = 0;
  std::string_view packing;

  /// False for what has no meaning.
  bool read(std::string_view text) {
    const auto number = [&](int64_t& to, char end) {
      const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), to);
      if (error != std::errc() || to < 1) return false;
      text.remove_prefix(static_cast<size_t>(rest - text.data()));
      if (!text.empty() && text.front() != end) return false;
      text.remove_prefix(std::min<size_t>(text.size(), 1));
      return true;
    };
    if (!number(strip, 'x') || !number(vectors, ':')) return false;
    if (!text.empty() && (!number(run, ':') || run > (1 << 20))) return false;
    packing = text;
    return packing.empty() || packing == "near" || packing == "packed";
  }
};

template <class T>
ProductPlan<T> choose() {
  const GemmLoops<T>& loops = kernels::kernels().gemm.of<T>();
  const Processor& cpu = processor();
  constexpr int64_t size = sizeof(T);
  const bool wide = loops.lanes * size == 64;
  const GemmTile<T>* tile = &loops.tiles[wide && !cpu.reads_near ? 1 : 0];
  Asked asked;
  const char* text = std::getenv("COTANGENT_PRODUCTS");
  const bool blas = text && std::string_view(text) == "openblas";
  if (text && *text && !blas) {
    const GemmTile<T>* found = nullptr;
    std::string known;
    const bool read = asked.read(text);
    for (const GemmTile<T>& t : loops.tiles)
      if (t.multiply) {
        known += fmt::format("{}{}x{}", known.empty() ? "" : ", ", t.strip, t.vectors);
        if (read && t.strip == asked.strip && t.vectors == asked.vectors) found = &t;
      }
    if (!found)
      fail<ValueError>(
          "[COTANGENT_PRODUCTS] {}; it is ROWSxVECTORS[:RUN[:near|:packed]] or openblas, and the tiles of this "
          "processor are {}",
          text, known);
    tile = found;
  }
  const bool near = wide && cpu.reads_near && tile == &loops.tiles[0];
  ProductPlan<T> plan{.strip = tile->strip,
                      .panel = tile->vectors * loops.lanes,
                      .longest_run = near ? 1024 : cpu.first_cache / (kGroupRows * size),
                      .near = near,
                      .blas = blas,
                      .multiply = tile->multiply};
  if (asked.run > 0) plan.longest_run = asked.run;
  if (!asked.packing.empty()) plan.near = asked.packing == "near";
  plan.longest_run = std::clamp<int64_t>(plan.longest_run, 1, kMostPacked<T> / plan.panel);
  return plan;
}

}  // namespace

template <class T>
int64_t ProductPlan<T>::run_of(int64_t k) const {
  if (k <= longest_run) return std::min(longest_run, (k + 7) / 8 * 8);  // small products would feel the divisions
  const int64_t parts = ceil_div(k, longest_run);
  return std::min(longest_run, (ceil_div(k, parts) + 7) / 8 * 8);
}

template <class T>
const ProductPlan<T>& product_plan() {
  static const ProductPlan<T> plan = choose<T>();
  return plan;
}

const char* product_plan_name() {
  static const std::string name = [] {
    const ProductPlan<float>& plan = product_plan<float>();
    if (plan.blas) return std::string("openblas");
    return fmt::format("{}x{}:{}:{}", plan.strip, plan.panel / kernels::kernels().gemm.of<float>().lanes,
                       plan.longest_run, plan.near ? "near" : "packed");
  }();
  return name.c_str();
}

template struct ProductPlan<float>;
template struct ProductPlan<double>;
template const ProductPlan<float>& product_plan<float>();
template const ProductPlan<double>& product_plan<double>();

}  // namespace cotangent::raw
