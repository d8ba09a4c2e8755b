#include <cotangent/tensor/spatial.hpp>

#include <cotangent/tensor/format_internal.hpp>

namespace cotangent {

Dims Spatial::over(const char* op, const char* what, int dims, int64_t least) const {
  if (values_.rank() != 1 && values_.rank() != dims)
    fail<ShapeError>("[{}] {} {} has {} numbers; give 1 or {}", op, what, values_, values_.rank(), dims);
  Dims all;
  for (int d = 0; d < dims; ++d) all.push_back(values_[values_.rank() == 1 ? 0 : d]);
  for (int64_t value : all)
    if (value < least || value > INT32_MAX)
      fail<ValueError>("[{}] {} {}; it must be at least {}, and below 2^31", op, what, all, least);
  return all;
}

}  // namespace cotangent
