// Short vectors by the compiler's vector extension: 16, 8 or 4 lanes, whatever the target has. No intrinsics, so the
// same source serves x86-64-v2, -v3, -v4 and aarch64.
#pragma once
#include <cstdint>

namespace ig {

#if defined(__AVX512F__)
constexpr int LANES = 16, CELL_WIDTH = 4, CELL_HEIGHT = 4;
#elif defined(__AVX__)
constexpr int LANES = 8, CELL_WIDTH = 4, CELL_HEIGHT = 2;
#else
constexpr int LANES = 4, CELL_WIDTH = 4, CELL_HEIGHT = 1;
#endif

typedef float Lanes __attribute__((vector_size(LANES * 4)));
typedef int32_t LaneMask __attribute__((vector_size(LANES * 4)));  // -1 or 0 per lane
typedef float Quad __attribute__((vector_size(16)));
typedef int32_t QuadIndex __attribute__((vector_size(16)));

#define IG_INLINE static inline __attribute__((always_inline))

IG_INLINE Lanes broadcast(float x) { return x - (Lanes){}; }
IG_INLINE Lanes select(LaneMask m, Lanes a, Lanes b) { return m ? a : b; }

IG_INLINE bool any(LaneMask m) {
  int32_t found = 0;
  for (int k = 0; k < LANES; k++) found |= m[k];
  return found != 0;
}

// 2^q for q in [-30, 1], relative error < 4e-6: round to the nearest integer by adding 1.5 * 2^23, evaluate a polynomial
// of degree 5 on the rest, put the integer into the exponent bits.
IG_INLINE Lanes exp2_small(Lanes q) {
  const Lanes magic = broadcast(12582912.f);
  Lanes shifted = q + magic;
  Lanes rest = q - (shifted - magic);
  Lanes p = broadcast(1.33952145e-3f);
  p = p * rest + broadcast(9.61844828e-3f);
  p = p * rest + broadcast(5.55032813e-2f);
  p = p * rest + broadcast(2.40226462e-1f);
  p = p * rest + broadcast(6.93147182e-1f);
  p = p * rest + broadcast(1.f);
  return (Lanes)((LaneMask)p + ((LaneMask)shifted << 23));
}

// Adds the lanes of a in groups of four.
IG_INLINE Quad fold(Lanes a) {
  union {
    Lanes whole;
    Quad quad[LANES / 4];
  } u;
  u.whole = a;
  Quad sum = u.quad[0];
#pragma GCC unroll 4
  for (int i = 1; i < LANES / 4; i++) sum += u.quad[i];
  return sum;
}

// {sum of a, sum of b, sum of c, sum of d}.
IG_INLINE Quad horizontal_sums(Quad a, Quad b, Quad c, Quad d) {
  Quad ab = __builtin_shuffle(a, b, (QuadIndex){0, 4, 1, 5}) + __builtin_shuffle(a, b, (QuadIndex){2, 6, 3, 7});
  Quad cd = __builtin_shuffle(c, d, (QuadIndex){0, 4, 1, 5}) + __builtin_shuffle(c, d, (QuadIndex){2, 6, 3, 7});
  return __builtin_shuffle(ab, cd, (QuadIndex){0, 1, 4, 5}) + __builtin_shuffle(ab, cd, (QuadIndex){2, 3, 6, 7});
}

}  // namespace ig
