// Anchors to Gaussians, the decoder of Scaffold-GS [SG 4.1]: types shared by its two passes.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "product.h"
#include "raster.h"

namespace ig {

constexpr int MLPS = 3, ANCHORS = 64;  // anchors of a block: its matrices stay in cache
enum { OPACITY, COVARIANCE, COLOR };

static inline int padded(int n) { return (n + 15) & ~15; }

// Sizes of the matrices. A row of MLP inputs is: embedding, 1 (takes the bias), viewing direction.
struct Sizes {
  int hidden, inputs, embedding, outputs[MLPS], wide[MLPS];
  explicit Sizes(const DecodeInput& in)
      : hidden(padded(in.hidden)), inputs(in.embedding_size + 4), embedding(padded(in.embedding_size)) {
    const int per_child[MLPS] = {1, 7, 3};
    for (int m = 0; m < MLPS; m++) outputs[m] = per_child[m] * in.children, wide[m] = padded(outputs[m]);
  }
  int inputs_of(const DecodeInput& in, int m) const { return in.embedding_size + (in.directed[m] ? 4 : 1); }
  size_t activations() const { return size_t(MLPS) * hidden; }
};

IG_INLINE void quat_product(const float* a, const float* b, float* o) {
  o[0] = a[0] * b[0] - a[1] * b[1] - a[2] * b[2] - a[3] * b[3];
  o[1] = a[0] * b[1] + a[1] * b[0] + a[2] * b[3] - a[3] * b[2];
  o[2] = a[0] * b[2] - a[1] * b[3] + a[2] * b[0] + a[3] * b[1];
  o[3] = a[0] * b[3] + a[1] * b[2] - a[2] * b[1] + a[3] * b[0];
}

// e^x for any x: relative error < 3e-7; NaN stays NaN.
IG_INLINE Lanes exp_lanes(Lanes x) {
  const Lanes magic = broadcast(12582912.f);
  x = select(x < broadcast(-87.f), broadcast(-87.f), x);
  x = select(x > broadcast(88.f), broadcast(88.f), x);
  const Lanes shifted = x * broadcast(1.44269504f) + magic, whole = shifted - magic;
  const Lanes rest = x - whole * broadcast(0.693359375f) + whole * broadcast(2.12194440e-4f);
  Lanes p = broadcast(1.9875691500e-4f);
  p = p * rest + broadcast(1.3981999507e-3f);
  p = p * rest + broadcast(8.3334519073e-3f);
  p = p * rest + broadcast(4.1665795894e-2f);
  p = p * rest + broadcast(1.6666665459e-1f);
  p = p * rest + broadcast(5.0000001201e-1f);
  p = p * rest * rest + rest + broadcast(1.f);
  return (Lanes)((LaneMask)p + ((LaneMask)shifted << 23)) + (x - x);
}

// e^log_scale of one anchor: 3 for the offsets, 3 for the children's extent.
struct Scales {
  float value[16] = {};
  explicit Scales(const float* log_scale) {
    std::copy(log_scale, log_scale + 6, value);
    for (int j = 0; j < 6; j += LANES) store(value + j, exp_lanes(load(value + j)));
  }
  float operator[](int j) const { return value[j]; }
};

// v turned by the unit quaternion (w, sign * xyz): sign -1 undoes it.
IG_INLINE void turn_vector(const float* q, float sign, float* v) {
  const float x = sign * q[1], y = sign * q[2], z = sign * q[3];
  const float a = 2 * (y * v[2] - z * v[1]), b = 2 * (z * v[0] - x * v[2]), c = 2 * (x * v[1] - y * v[0]);
  v[0] += q[0] * a + y * c - z * b;
  v[1] += q[0] * b + z * a - x * c;
  v[2] += q[0] * c + x * b - y * a;
}

// Rows of MLP inputs of `count` anchors from `first` on.
void decode_inputs(const DecodeInput& in, const Sizes& size, int first, int count, float* rows);

}  // namespace ig
