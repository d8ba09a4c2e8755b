// must not compile: there_is_no_such_tensor
#include <cotangent/autograd/record.hpp>

#ifdef CONTROL
constexpr cotangent::Keep keep = cotangent::Keep::input(47);
#else
constexpr cotangent::Keep keep = cotangent::Keep::input(50);
#endif
