#include <cotangent/autograd/autocast.hpp>

#include <unordered_map>

#include <cotangent/autograd/autocast_internal.hpp>
#include <cotangent/autograd/modes_internal.hpp>
#include <cotangent/autograd/node.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/tensor/format_internal.hpp>

namespace cotangent {
namespace detail {

constinit thread_local AutocastMode t_autocast{};

/// Parameters in low precision, by their leaves: these live as long as the casts, whose histories own them.
class CastCache {
 public:
  Tensor operator()(const Tensor& parameter, Dtype dtype) {
    Cast& cast = casts_[parameter.impl()->node];
    if (!cast.values.defined() || cast.values.dtype() != dtype || cast.version != parameter.version()) {
      // recorded also where that is off now, as it may be on at the next use
      struct Restore {
        Modes modes = set_modes({true, false});
        ~Restore() { set_modes(modes); }
      } restore;
      cast = {to(parameter, dtype), parameter.version()};
    }
    return cast.values;
  }

 private:
  struct Cast {
    Tensor values;
    uint32_t version;
  };
  std::unordered_map<const Node*, Cast> casts_;
};

UseAutocast::UseAutocast(AutocastMode mode) : before_(t_autocast) {
  if (mode.enabled && !mode.casts) mode.casts = new CastCache;
  t_autocast = mode;
}

UseAutocast::~UseAutocast() {
  if (t_autocast.casts != before_.casts) delete t_autocast.casts;
  t_autocast = before_;
}

Tensor autocast_operand(const Tensor& x, bool low) {
  if (!x.defined() || !x.is_floating() || x.dtype() == float64) return x;
  const Dtype dtype = low ? t_autocast.dtype : float32;
  if (x.dtype() == dtype) return x;
  const bool is_parameter = x.dtype() == float32 && x.is_leaf() && x.requires_grad();
  return is_parameter ? (*t_autocast.casts)(x, dtype) : to(x, dtype);
}

}  // namespace detail

static detail::AutocastMode checked(Dtype dtype, bool enabled) {
  if (!is_low_precision(dtype)) fail<DTypeError>("[Autocast] the dtype is {}; it must be bfloat16 or float16", dtype);
  return {enabled, dtype, detail::t_autocast.casts};
}

Autocast::Autocast(Dtype dtype, bool enabled) : use_(checked(dtype, enabled)) {}

bool autocast_enabled() noexcept { return detail::t_autocast.enabled; }
Dtype autocast_dtype() noexcept { return detail::t_autocast.dtype; }

}  // namespace cotangent
