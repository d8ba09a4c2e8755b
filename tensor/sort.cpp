// A number becomes an unsigned key that orders alike, and key and index one integer. Those are sorted, by their digits
// when there are many: equal values then keep their order by themselves.
#include <cotangent/tensor/sort.hpp>

#include <algorithm>
#include <bit>
#include <cmath>

#include <cotangent/tensor/axis_internal.hpp>
#include <cotangent/tensor/dispatch_internal.hpp>
#include <cotangent/tensor/elementwise.hpp>
#include <cotangent/tensor/parallel.hpp>

namespace cotangent::raw {
namespace {

using detail::make_tensor;

__extension__ typedef unsigned __int128 uint128;

template <class T>
constexpr bool is_wide = sizeof(T) == 8;
template <class T>
using key_t = std::conditional_t<is_wide<T>, uint64_t, uint32_t>;

// a < b exactly if key(a) < key(b); NaN has the largest key of all.
template <class T>
key_t<T> key_of(T x) {
  using Key = key_t<T>;
  constexpr Key sign = Key(1) << (8 * sizeof(Key) - 1);
  if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double>) {
    const Key bits = std::bit_cast<Key>(x + T(0));  // -0 + 0 is 0
    const Key turned = bits ^ ((bits & sign ? ~Key(0) : Key(0)) | sign);
    return std::isnan(x) ? ~Key(0) : turned;
  } else if constexpr (is_low_precision(dtype_of<T>)) {
    return key_of(static_cast<float>(x));
  } else if constexpr (std::is_signed_v<T>) {
    return static_cast<Key>(x) ^ sign;
  } else {
    return static_cast<Key>(x);
  }
}

// The key in the upper half, the index in the lower one.
template <class Entry>
constexpr int kIndexBits = static_cast<int>(sizeof(Entry)) * 4;
template <class Entry>
int64_t index_of(Entry e) {
  if constexpr (sizeof(Entry) == 16)
    return static_cast<int64_t>(static_cast<uint64_t>(e));
  else
    return static_cast<int64_t>(static_cast<uint32_t>(e));
}

/// Reads a line of x as entries; with `reverse` the largest key becomes the smallest.
template <class Entry, class T>
struct Reader {
  const T* x;
  int64_t stride;
  bool reverse;
  Entry operator()(int64_t i) const {
    key_t<T> key = key_of(x[i * stride]);
    if (reverse) key = ~key;
    return static_cast<Entry>(key) << kIndexBits<Entry> | static_cast<Entry>(i);
  }
};

constexpr int64_t kShort = 128;  // entries that a comparison sort orders faster

// By the 8-bit digits of the keys from the lowest on, skipping those that all keys share. Returns where the result is.
template <class Entry>
Entry* sort_by_digits(Entry* a, Entry* spare, int64_t n) {
  constexpr int digits = static_cast<int>(sizeof(Entry)) / 2;
  int64_t counts[digits][256] = {};
  for (int64_t i = 0; i < n; ++i)
    for (int d = 0; d < digits; ++d) ++counts[d][static_cast<uint8_t>(a[i] >> (kIndexBits<Entry> + 8 * d))];
  for (int d = 0; d < digits; ++d) {
    const int shift = kIndexBits<Entry> + 8 * d;
    if (counts[d][static_cast<uint8_t>(a[0] >> shift)] == n) continue;
    int64_t start[256], sum = 0;
    for (int v = 0; v < 256; ++v) start[v] = sum, sum += counts[d][v];
    for (int64_t i = 0; i < n; ++i) spare[start[static_cast<uint8_t>(a[i] >> shift)]++] = a[i];
    std::swap(a, spare);
  }
  return a;
}

template <class Entry>
Entry* sort_entries(Entry* a, Entry* spare, int64_t n) {
  if (n > kShort) return sort_by_digits(a, spare, n);
  std::sort(a, a + n);
  return a;
}

// The k smallest entries of a line, in a.
template <class Entry, class Read>
void select_entries(const Read& read, int64_t n, Entry* a, int64_t k) {
  if (k > n / 8) {
    for (int64_t i = 0; i < n; ++i) a[i] = read(i);
    if (k < n) std::nth_element(a, a + k, a + n);
    return;
  }
  // a heap of the best so far, with the worst of them on top
  for (int64_t i = 0; i < k; ++i) a[i] = read(i);
  std::make_heap(a, a + k);
  for (int64_t i = k; i < n; ++i) {
    const Entry e = read(i);
    if (!(e < a[0])) continue;
    std::pop_heap(a, a + k);
    a[k - 1] = e;
    std::push_heap(a, a + k);
  }
}

/// Orders each line of x along the axis: order(reader, scratch of 2n entries) gives the first `kept` of them.
template <class Entry, class T, class Order>
void for_lines(const Tensor& x, Axis axis, int64_t kept, bool reverse, const Ordered& y, Order order) {
  const int64_t lines = axis.outer * axis.inner, n = axis.size;
  const int64_t tasks =
      std::max<int64_t>(1, detail::task_count(lines, std::max<int64_t>(1, 2048 / std::max<int64_t>(n, 1))));
  const Tensor scratch = make_tensor({tasks, 2 * n, static_cast<int64_t>(sizeof(Entry))}, uint8);
  parallel_chunks(tasks, [&](int64_t t) {
    Entry* space = static_cast<Entry*>(scratch.raw_data()) + t * 2 * n;
    for (int64_t line = lines * t / tasks; line < lines * (t + 1) / tasks; ++line) {
      const int64_t o = line / axis.inner, j = line % axis.inner;
      const T* from = x.data<T>() + o * n * axis.inner + j;
      const Entry* entries = order(Reader<Entry, T>{from, axis.inner, reverse}, space);
      T* values = y.values.data<T>() + o * kept * axis.inner + j;
      int64_t* indices = y.indices.data<int64_t>() + o * kept * axis.inner + j;
      for (int64_t i = 0; i < kept; ++i) {
        const int64_t index = index_of(entries[i]);
        values[i * axis.inner] = from[index * axis.inner];
        indices[i * axis.inner] = index;
      }
    }
  });
}

/// Calls f<Entry, T>() with an entry that holds the keys of the dtype and the indices of a line of n.
template <class F>
void dispatch_entry(Dtype dtype, int64_t n, F&& f) {
  dispatch(dtype, [&]<class T> {
    if constexpr (is_wide<T>) {
      f.template operator()<uint128, T>();
    } else {
      if (n > int64_t{0xffffffff})
        f.template operator()<uint128, T>();
      else
        f.template operator()<uint64_t, T>();
    }
  });
}

}  // namespace

Ordered sort(const Tensor& x, int dim, bool descending) {
  const Tensor dense = contiguous(x);
  const Axis axis(x.shape(), dim);
  const Ordered y{make_tensor(x.shape(), x.dtype()), make_tensor(x.shape(), int64)};
  if (x.numel() == 0) return y;
  dispatch_entry(x.dtype(), axis.size, [&]<class Entry, class T> {
    for_lines<Entry, T>(dense, axis, axis.size, descending, y, [&](const auto& read, Entry* space) {
      for (int64_t i = 0; i < axis.size; ++i) space[i] = read(i);
      return sort_entries(space, space + axis.size, axis.size);
    });
  });
  return y;
}

Ordered topk(const Tensor& x, int64_t k, int dim, bool largest, bool sorted) {
  const Tensor dense = contiguous(x);
  const Axis axis(x.shape(), dim);
  Shape shape = x.shape();
  if (x.rank() > 0) shape[dim] = k;
  const Ordered y{make_tensor(shape, x.dtype()), make_tensor(shape, int64)};
  if (y.values.numel() == 0) return y;
  dispatch_entry(x.dtype(), axis.size, [&]<class Entry, class T> {
    for_lines<Entry, T>(dense, axis, k, largest, y, [&](const auto& read, Entry* space) -> Entry* {
      select_entries(read, axis.size, space, k);
      if (sorted && k == axis.size) return sort_entries(space, space + axis.size, k);
      if (sorted) std::sort(space, space + k);  // by their digits they would keep the order of the heap
      return space;
    });
  });
  return y;
}

}  // namespace cotangent::raw
