// Private: the ops that indexing and sorting are made of, and their names in the history.
#pragma once
#include <cotangent/tensor/index.hpp>

namespace cotangent::detail {

/// raw::pick with its rule, for an index that raw::checked_index has passed. `skip` gets no gradient.
Tensor pick(const char* op, const Tensor& x, raw::IndexedDims at, const Tensor& index, const Shape& index_shape,
            int64_t skip = -1);
/// Its adjoint, recorded as "index_sum": zeros of `shape` with g added at the indices.
Tensor pick_sum(const Tensor& g, const Shape& shape, raw::IndexedDims at, const Tensor& index, const Shape& index_shape,
                int64_t skip = -1);
/// The adjoint of gather, recorded as "scatter_sum": zeros of `shape` with g added at the index along dim.
Tensor scatter_sum(const Tensor& g, const Shape& shape, int dim, const Tensor& index);

/// The dimension that an index with one entry an element goes along; a ShapeError names `op` where it does not fit x.
int checked_elements(const char* op, const Tensor& x, int64_t dim, const Tensor& index);
/// The part of src that such an index is for; errors where it is smaller than the index, or of another dtype than x.
Tensor indexed_part(const char* op, const Tensor& x, const Tensor& index, const Tensor& src);

}  // namespace cotangent::detail
