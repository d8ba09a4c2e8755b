#pragma once
// JSON. The library that reads and writes it is seen by json.cpp alone, as it takes seconds to compile.
#include <cstddef>
#include <cstdint>
#include <string>

namespace cotangent::io {

/// Is told what a JSON text holds, in its order. No tree is built, so that a hostile text costs no more than its
/// length.
class JsonListener {
 public:
  virtual ~JsonListener() = default;
  virtual void start_object() = 0;
  virtual void key(const std::string& name) = 0;
  virtual void end_object() = 0;
  virtual void start_array() = 0;
  virtual void end_array() = 0;
  virtual void string(const std::string& text) = 0;
  virtual void number(uint64_t value) = 0;
  /// Any other value: "null", "a boolean", "a negative number", "a fraction".
  virtual void other(const char* what) = 0;
  /// At this byte, counted from 1, the text stops being JSON. It is told last.
  virtual void error(size_t byte) = 0;
};

/// The listener may throw, which ends the reading.
void read_json(const std::string& text, JsonListener& listener);

/// The text as a JSON string, in quotes; empty when it is no UTF-8.
std::string json_string(const std::string& text);

}  // namespace cotangent::io
