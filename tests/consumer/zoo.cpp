// A program that takes a model from the zoo.
#include <cotangent/zoo.hpp>

#include <cotangent/tensor/create.hpp>

int main() {
  namespace ct = cotangent;
  ct::zoo::GPT model(10, {.width = 16, .layers = 1});
  return model(ct::zeros({1, 4}, ct::int64)).shape() != ct::Shape{1, 4, 10};
}
