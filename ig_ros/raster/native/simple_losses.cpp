// Losses that look at one pixel or one Gaussian at a time, each with its gradient. Sums go share by share, added in one
// order: the result is the same for any number of threads.
#include <cmath>
#include <cstdint>

namespace ig {

constexpr int PARTS = 32;

template <class Visit>
static double sum_parts(int64_t items, int threads, const Visit& visit) {
  double parts[PARTS], whole = 0;
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int part = 0; part < PARTS; part++) parts[part] = visit(items * part / PARTS, items * (part + 1) / PARTS);
  for (double part : parts) whole += part;
  return whole;
}

}  // namespace ig

extern "C" {

// Mean over the measured pixels of weight * min(|depth - alpha measured| / measured, limit); pixels of measured <= 0
// are none. Writes the gradients of depth and alpha (P each). Returns 0.
int ig_depth_loss(const float* depth, const float* alpha, const float* measured, int64_t pixels, float weight,
                  float limit, int32_t threads, float* depth_gradient, float* alpha_gradient, double* loss) {
  int64_t valid = 0;  // counted before a helper would be awake
  for (int64_t p = 0; p < pixels; p++) valid += measured[p] > 0.f;
  const float slope = valid ? weight / float(valid) : 0.f;
  const double total = ig::sum_parts(pixels, threads, [&](int64_t begin, int64_t end) {
    double sum = 0;
    for (int64_t p = begin; p < end; p++) {
      const float z = measured[p], off = depth[p] - alpha[p] * z, error = std::abs(off) / z;
      const bool counts = z > 0.f;
      const float pull = !counts || error > limit ? 0.f : slope * float((off > 0.f) - (off < 0.f));
      depth_gradient[p] = counts ? pull / z : 0.f;
      alpha_gradient[p] = -pull;
      sum += !counts ? 0.f : error > limit ? limit : error;
    }
    return sum;
  });
  *loss = double(slope) * total;
  return 0;
}

// weight * mean of the volumes prod(scale) [SG eq. 8] of `count` * `children` Gaussians, in units of edge^3 of their
// anchor if edge is not null. Writes the gradient of scales (count * children, 3). Returns 0.
int ig_scale_loss(const float* scales, const float* edge, int64_t count, int64_t children, float weight,
                  int32_t threads, float* gradient, double* loss) {
  const float share = weight / (float(count) * float(children));
  const double total = ig::sum_parts(count, threads, [&](int64_t begin, int64_t end) {
    double sum = 0;
    for (int64_t anchor = begin; anchor < end; anchor++) {
      const float unit = edge ? 1.f / edge[anchor] : 1.f, cube = unit * unit * unit * share;
      float volumes = 0.f;
      for (int64_t i = anchor * children; i < (anchor + 1) * children; i++) {
        const float x = scales[3 * i], y = scales[3 * i + 1], z = scales[3 * i + 2];
        gradient[3 * i] = y * z * cube, gradient[3 * i + 1] = x * z * cube, gradient[3 * i + 2] = x * y * cube;
        volumes += x * y * z * cube;
      }
      sum += volumes;
    }
    return sum;
  });
  *loss = total;
  return 0;
}

}  // extern "C"
