// The machine's own limit, for benchmarks: fused multiply-adds between registers, on every thread.
#include <chrono>

#include "simd.h"

namespace ig {

constexpr int CHAINS = 12;  // independent sums: more than latency times ports of any processor at hand

static Lanes multiply_add(int64_t rounds, float factor) {
  Lanes sum[CHAINS], a = broadcast(factor), b = broadcast(1e-3f);
  for (int k = 0; k < CHAINS; k++) sum[k] = broadcast(float(k));
  for (int64_t r = 0; r < rounds; r++) {
#pragma GCC unroll 12
    for (int k = 0; k < CHAINS; k++) sum[k] = sum[k] * a + b;
  }
  for (int k = 1; k < CHAINS; k++) sum[0] += sum[k];
  return sum[0];
}

}  // namespace ig

// Floating point operations a second of `threads` threads, each doing `rounds` rounds (an FMA counts two a lane).
extern "C" double ig_multiply_add_rate(int32_t threads, int64_t rounds) {
  volatile float factor = 0.999f;  // unknown to the compiler
  float kept = 0.f;
  const auto begin = std::chrono::steady_clock::now();
#pragma omp parallel for num_threads(threads) schedule(static, 1) reduction(+ : kept)
  for (int32_t thread = 0; thread < threads; thread++) kept += ig::multiply_add(rounds, factor)[0];
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  factor = kept;
  return 2.0 * ig::LANES * ig::CHAINS * double(rounds) * threads / seconds;
}
