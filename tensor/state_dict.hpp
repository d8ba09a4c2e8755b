#pragma once
#include <cstddef>
#include <string_view>

#include <cotangent/tensor/tensor.hpp>

namespace cotangent {

struct NamedTensor {
  std::string name;
  Tensor tensor;
};

/// Tensors by name, in order: what is saved of a model or an optimizer. The tensors share the memory of what they were
/// taken from; clone() gives a snapshot.
///
///     for (const auto& [name, tensor] : model.state_dict()) ...
class StateDict {
 public:
  StateDict() = default;
  /// A ValueError when a name occurs twice.
  StateDict(std::initializer_list<NamedTensor> entries);

  /// A ValueError when the name is there already.
  void add(std::string name, Tensor tensor);
  bool contains(std::string_view name) const { return find(name) != nullptr; }
  /// An undefined tensor when there is none of that name.
  const Tensor& get(std::string_view name) const;
  /// An IndexError, with the nearest name, when there is none.
  const Tensor& operator[](std::string_view name) const;
  const Tensor& operator[](std::nullptr_t) const = delete;  // state[0] would be a name at address 0
  size_t size() const { return entries_.size(); }
  bool empty() const { return entries_.empty(); }
  std::vector<NamedTensor>::const_iterator begin() const { return entries_.begin(); }
  std::vector<NamedTensor>::const_iterator end() const { return entries_.end(); }
  /// The same with memory of its own.
  StateDict clone() const;

 private:
  const NamedTensor* find(std::string_view name) const;
  size_t slot_of(std::string_view name) const;

  std::vector<NamedTensor> entries_;
  std::vector<uint32_t> slots_;  // a hash table of the names: the number of an entry, counted from 1, or 0
};

namespace nn {  // where users know them from
using cotangent::NamedTensor;
using cotangent::StateDict;
}  // namespace nn

}  // namespace cotangent
