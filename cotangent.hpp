#pragma once
// The whole library. `namespace ct = cotangent;` is the usual alias.
#include <cotangent/autograd/engine.hpp>
#include <cotangent/autograd/gradcheck/gradcheck.hpp>
#include <cotangent/autograd/modes.hpp>
#include <cotangent/autograd/ops/activation.hpp>
#include <cotangent/autograd/ops/convert.hpp>
#include <cotangent/autograd/ops/elementwise.hpp>
#include <cotangent/autograd/ops/math.hpp>
#include <cotangent/autograd/ops/random.hpp>
#include <cotangent/autograd/ops/reduce.hpp>
#include <cotangent/autograd/ops/view.hpp>
#include <cotangent/tensor/allocator.hpp>
#include <cotangent/tensor/create.hpp>
#include <cotangent/tensor/indexing.hpp>
#include <cotangent/tensor/parallel.hpp>
#include <cotangent/tensor/random.hpp>
#include <cotangent/tensor/tensor.hpp>
