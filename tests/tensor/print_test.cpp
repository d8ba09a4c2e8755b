#include <cotangent/tensor/print.hpp>

#include <limits>
#include <sstream>

#include <catch2/catch.hpp>

#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/elementwise.hpp>

#include "../json.hpp"

using namespace cotangent;

TEST_CASE("tensors print as in NumPy") {
  const Json cases("print.json");
  REQUIRE(cases.size() > 90);
  for (const Json& c : cases) {
    const std::string dtype_name = c["dtype"];
    Dtype dtype = float32;
    for (Dtype d : {float32, float64, float16, int64, uint8, boolean})
      if (dtype_name == name(d)) dtype = d;
    std::vector<double> values;
    std::vector<int64_t> integers;
    for (const Json& v : c["values"]) {
      values.push_back(v == "nan"    ? std::numeric_limits<double>::quiet_NaN()
                       : v == "inf"  ? std::numeric_limits<double>::infinity()
                       : v == "-inf" ? -std::numeric_limits<double>::infinity()
                                     : v.get<double>());
      integers.push_back(v.is_integer() ? v.get<int64_t>() : 0);
    }
    const Shape shape = dims_of(c["shape"]);
    for (int64_t i = 0; c["values"].empty() && i < shape.product(); ++i)  // as in make_print.py
      values.push_back(double(i * 7919 % 2003 - 1000) / 7);
    const Tensor x = is_floating(dtype) ? from_vector(values, shape) : from_vector(integers, shape);
    INFO(dtype_name << " " << to_string(shape));
    CHECK(to_string(raw::cast(x, dtype)) == c["text"].get<std::string>());
  }
}

TEST_CASE("what NumPy has no word for prints too") {
  CHECK(to_string(full({}, 0.25)) == "0.25");
  CHECK(to_string(full({}, 2)) == "2.");
  CHECK(to_string(full({}, 7, int32)) == "7");
  CHECK(to_string(full({}, true, boolean)) == "True");
  CHECK(to_string(tensor({0.1, 0.2, 300.0}, bfloat16)) == "[1.e-01 2.e-01 3.e+02]");
  CHECK(to_string(tensor({0.1, 1.5, 3.14159}, bfloat16)) == "[0.1  1.5  3.14]");
  CHECK(to_string(zeros({0})) == "[]");
  CHECK(to_string(zeros({2, 0})) == "[], shape (2, 0)");
  CHECK(to_string(Tensor()) == "undefined");
  CHECK(to_string(tensor({{1, 2, 3}, {4, 5, 6}}).t()) == "[[1 4]\n [2 5]\n [3 6]]");
  CHECK(to_string(full({}, std::numeric_limits<double>::max(), float64)) == "1.7977e+308");
  CHECK(to_string(full({1}, std::numeric_limits<float>::denorm_min())) == "[1.e-45]");
  std::ostringstream out;
  out << tensor({1, 2});
  CHECK(out.str() == "[1 2]");
}
