#include <cotangent/autograd/modes.hpp>

#include <cotangent/autograd/modes_internal.hpp>

namespace cotangent {
namespace detail {

constinit thread_local Modes t_modes{};
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

}  // namespace cotangent
