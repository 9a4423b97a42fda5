// Small dense matrix products in registers, for the decoding MLPs: a tile of rows times short vectors of columns.
#pragma once
#include <cstddef>

#include "simd.h"

namespace ig {

typedef float LooseLanes __attribute__((vector_size(LANES * 4), aligned(4)));

IG_INLINE Lanes load(const float* p) { return *reinterpret_cast<const LooseLanes*>(p); }
IG_INLINE void store(float* p, Lanes x) { *reinterpret_cast<LooseLanes*>(p) = x; }

// The left factor: element (m, k) lies at data[m * row + k * step], so it may be read transposed.
struct Left {
  const float* data;
  size_t row, step;
};

// Right factor (depth, columns), result and what the sum starts from, rows `pitch` floats apart. The start is null for
// zero, a bias with pitch 0, or the result itself to add to it.
struct Right {
  const float* data;
  size_t pitch;
};
struct Result {
  float* data;
  size_t pitch;
};

constexpr int ROWS = LANES == 16 ? 8 : 4;  // of a tile: what the registers of the target hold

template <int M, int V>
IG_INLINE void product_tile(Left a, Right b, Right start, Result c, int depth) {
  Lanes sum[M][V];
#pragma GCC unroll 8
  for (int m = 0; m < M; m++)
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) sum[m][v] = start.data ? load(start.data + m * start.pitch + v * LANES) : Lanes{};
  for (int k = 0; k < depth; k++) {
    Lanes right[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) right[v] = load(b.data + k * b.pitch + v * LANES);
#pragma GCC unroll 8
    for (int m = 0; m < M; m++) {
      const Lanes left = broadcast(a.data[m * a.row + k * a.step]);
#pragma GCC unroll 4
      for (int v = 0; v < V; v++) sum[m][v] += left * right[v];
    }
  }
#pragma GCC unroll 8
  for (int m = 0; m < M; m++)
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) store(c.data + m * c.pitch + v * LANES, sum[m][v]);
}

template <int M, int V>
static void product_rows(Left a, Right b, Right start, Result c, int rows, int depth) {
  for (; rows >= M; rows -= M) {
    product_tile<M, V>(a, b, start, c, depth);
    a.data += M * a.row, c.data += M * c.pitch;
    if (start.data) start.data += M * start.pitch;
  }
  if constexpr (M > 1)
    if (rows) product_rows<M / 2, V>(a, b, start, c, rows, depth);
}

// c (rows, columns) = start + a (rows, depth) b (depth, columns); columns is a multiple of LANES. Every element is
// summed in the order of k, whatever the tiling.
static inline void product(Left a, Right b, Right start, Result c, int rows, int columns, int depth) {
  for (int left = columns / LANES; left > 0;) {
    const int width = LANES == 16 && left == 3 ? 3 : left == 1 ? 1 : 2;
    if (width == 3) product_rows<ROWS, 3>(a, b, start, c, rows, depth);
    if (width == 2) product_rows<ROWS, 2>(a, b, start, c, rows, depth);
    if (width == 1) product_rows<ROWS, 1>(a, b, start, c, rows, depth);
    left -= width, b.data += width * LANES, c.data += width * LANES;
    if (start.data) start.data += width * LANES;
  }
}

}  // namespace ig
