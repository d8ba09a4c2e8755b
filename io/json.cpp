#include <cotangent/io/json_internal.hpp>

#include <nlohmann/json.hpp>

namespace cotangent::io {
namespace {

using nlohmann::json;

struct Forward final : nlohmann::json_sax<json> {
  JsonListener& to;
  explicit Forward(JsonListener& listener) : to(listener) {}

  bool start_object(size_t) override { return to.start_object(), true; }
  bool key(std::string& name) override { return to.key(name), true; }
  bool end_object() override { return to.end_object(), true; }
  bool start_array(size_t) override { return to.start_array(), true; }
  bool end_array() override { return to.end_array(), true; }
  bool string(std::string& text) override { return to.string(text), true; }
  bool number_unsigned(uint64_t value) override { return to.number(value), true; }
  bool number_integer(int64_t) override { return to.other("a negative number"), true; }
  bool number_float(double, const std::string&) override { return to.other("a fraction"), true; }
  bool boolean(bool) override { return to.other("a boolean"), true; }
  bool null() override { return to.other("null"), true; }
  bool binary(json::binary_t&) override { return to.other("bytes"), true; }
  bool parse_error(size_t byte, const std::string&, const json::exception&) override { return to.error(byte), false; }
};

}  // namespace

void read_json(const std::string& text, JsonListener& listener) {
  Forward forward(listener);
  json::sax_parse(text, &forward);
}

std::string json_string(const std::string& text) {
  try {
    return json(text).dump();
  } catch (const json::exception&) {
    return {};
  }
}

}  // namespace cotangent::io
