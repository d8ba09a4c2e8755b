#pragma once
// Complex numbers as pairs (re, im) in the last dimension, of size 2: z (.., 2). The names are those of real functions,
// which would take a pair for two numbers: so they are called with that of the namespace.
//
//     Tensor y = complex::mul(complex::exp(z), w);
//     Tensor power = square(complex::abs(y));              // (..)
//
// The gradient of a real loss is that of the two real parts, dz = dL/dre + i dL/dim, as PyTorch has it; for functions
// with a complex derivative f' that is dz = dy conj(f'(z)). A ShapeError unless the last dimension has size 2, a
// DTypeError unless the numbers are floating. Low-precision floats compute in float32.
#include <cotangent/tensor/tensor.hpp>

namespace cotangent::complex {

/// re + i im.   re, im (..), which broadcast -> (.., 2);   dre = Re(dy), dim = Im(dy)
Tensor from_parts(const Tensor& re, const Tensor& im);
/// r (cos angle + i sin angle).   r, angle (..), which broadcast -> (.., 2);   dr = Re(dy conj(y) / r), dangle = Im(dy
/// conj(y))
Tensor polar(const Tensor& r, const Tensor& angle);
/// The parts, as views: (.., 2) -> (..)
Tensor real(const Tensor& z);
Tensor imag(const Tensor& z);
/// re - i im.   dz = conj(dy)
Tensor conj(const Tensor& z);

/// a b. Broadcasts.   da = dy conj(b), db = dy conj(a)
Tensor mul(const Tensor& a, const Tensor& b);
/// a / b, which does not overflow where the quotient does not (Smith 1962). Broadcasts.   da = dy / conj(b), db = -da
/// conj(a / b)
Tensor div(const Tensor& a, const Tensor& b);
/// e^re (cos im + i sin im).   dz = dy conj(e^z)
Tensor exp(const Tensor& z);
/// |z|, which neither overflows nor vanishes where the parts do not.   (.., 2) -> (..);   dz = dy z / |z|, and 0 at 0
Tensor abs(const Tensor& z);
/// The angle of z in (-pi, pi], 0 of 0.   (.., 2) -> (..);   dz = dy i z / |z|^2, and 0 at 0
Tensor angle(const Tensor& z);

/// The linear recurrence h_t = a_t h_(t-1) + b_t along `dim`, as linear_scan in autograd/ops/scan.hpp has it; `dim`
/// counts the last dimension, and is another.
///   r_t = dh_t + conj(a_(t+1)) r_(t+1);   db = r, da_t = r_t conj(h_(t-1)), dinitial = conj(a_0) r_0
Tensor linear_scan(const Tensor& a, const Tensor& b, int64_t dim, const Tensor& initial = {}, bool reverse = false);

}  // namespace cotangent::complex
