#include <cotangent/autograd/modes.hpp>

#include <cotangent/autograd/modes_internal.hpp>
#include <cotangent/autograd/node.hpp>

namespace cotangent {
namespace detail {

constinit thread_local Modes t_modes{};
constinit thread_local bool t_detect_anomaly = false;
constinit thread_local bool t_recomputing = false;

Modes set_modes(Modes modes) noexcept {
  const Modes before = t_modes;
  t_modes = modes;
  t_inference = modes.inference;
  return before;
}

}  // namespace detail

bool grad_enabled() noexcept { return detail::t_modes.grad; }
bool inference_enabled() noexcept { return detail::t_modes.inference; }
bool recomputing() noexcept { return detail::t_recomputing; }

DetectAnomaly::DetectAnomaly() : before_(detail::t_detect_anomaly) { detail::t_detect_anomaly = true; }
DetectAnomaly::~DetectAnomaly() { detail::t_detect_anomaly = before_; }

}  // namespace cotangent
