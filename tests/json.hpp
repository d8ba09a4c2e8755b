#pragma once
// The reference values, tests/reference/NAME.json. The JSON library is seen by json.cpp alone: each test that included
// it took two seconds longer to compile.
#include <iosfwd>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <cotangent/tensor/create.hpp>

namespace cotangent {

/// A value of a JSON file, which stays in memory. What is not there, or of another type, is an exception.
class Json {
 public:
  struct Node;  // the library's value

  /// tests/reference/NAME
  explicit Json(const std::string& name);
  /// A document of this text.
  static Json parse(const std::string& text);

  Json operator[](std::string_view key) const;
  Json operator[](const char* key) const { return (*this)[std::string_view(key)]; }
  Json operator[](size_t i) const;
  Json operator[](int i) const { return (*this)[static_cast<size_t>(i)]; }
  Json back() const { return (*this)[size() - 1]; }
  size_t size() const;
  bool empty() const { return size() == 0; }
  bool contains(std::string_view key) const;
  bool is_null() const;
  bool is_array() const;
  bool is_boolean() const;
  bool is_integer() const;
  bool is_string() const;

  template <class T>
  T get() const;
  template <class T>
  operator T() const {
    return get<T>();
  }
  /// What stands under the key, or else this.
  template <class T>
  T value(std::string_view key, T otherwise) const {
    return contains(key) ? (*this)[key].template get<T>() : otherwise;
  }
  std::vector<std::pair<std::string, Json>> items() const;
  friend bool operator==(const Json& a, std::string_view text) { return a.is_string() && a.get<std::string>() == text; }
  friend std::ostream& operator<<(std::ostream& out, const Json& value);

  struct Iterator {
    const Json& list;
    size_t i;
    Json operator*() const { return list[i]; }
    void operator++() { ++i; }
    bool operator!=(const Iterator& other) const { return i != other.i; }
  };
  Iterator begin() const { return {*this, 0}; }
  Iterator end() const { return {*this, size()}; }

 private:
  explicit Json(const Node* node) : node_(node) {}
  const Node* node_;
};

inline Dims dims_of(const Json& numbers) { return Dims(std::span<const int64_t>(numbers.get<std::vector<int64_t>>())); }

/// [shape, values] as a tensor of float64 or int64; null as an undefined one.
template <class T = double>
Tensor unpacked(const Json& packed) {
  return packed.is_null() ? Tensor() : from_vector(packed[1].get<std::vector<T>>(), dims_of(packed[0]));
}

}  // namespace cotangent
