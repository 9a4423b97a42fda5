// Which pixel of a view shows each point: projection and comparison with the surface the view measured, in one pass.
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "abi.h"

namespace {

constexpr int32_t LOOSE = -2;  // minus the mask (0 = none) on which a view shows a point, but not closely

// Pixel row * width + col that shows a point, -1 = none, and how far the surface is off, as a share of the tolerance.
struct Shown {
  int32_t pixel;
  float off;
};

inline Shown shown_at(const DepthView& view, const float* point) {
  const float *T = view.world_to_camera, x = point[0], y = point[1], z = point[2];
  const float depth = T[8] * x + T[9] * y + T[10] * z + T[11];
  if (!(depth > view.nearest)) return {-1, 0.0f};
  const float u = (T[0] * x + T[1] * y + T[2] * z + T[3]) / depth * view.intrinsics[0] + view.intrinsics[2];
  const float v = (T[4] * x + T[5] * y + T[6] * z + T[7]) / depth * view.intrinsics[1] + view.intrinsics[3];
  if (!(u >= 0.0f && v >= 0.0f && u < float(view.width) && v < float(view.height))) return {-1, 0.0f};
  const int32_t at = static_cast<int32_t>(v) * view.width + static_cast<int32_t>(u);
  const float surface = view.depth[at];
  const float tolerance = std::min(view.relative * depth, std::max(view.quadratic * depth * depth, view.least)) + view.absolute;
  const float off = std::fabs(depth - surface);
  return {surface > 0.0f && off <= tolerance ? at : -1, off / tolerance};
}

inline void look(const ViewProjection& at, int64_t row, const PointVisibility& known) {
  const auto [pixel, off] = shown_at(at.view, known.points + 3 * row);
  if (pixel < 0) return;
  const bool close = off <= known.close;
  const int32_t mask = at.place[pixel] ? at.place[pixel] + at.before : 0;
  at.mask[row] = close ? mask : LOOSE - mask;
  for (int c = 0; c < 3; c++) known.total[3 * row + c] += at.normal[3 * int64_t(pixel) + c];
  if (close) known.closely[row]++;
}

}  // namespace

extern "C" {

int ig_visible_pixels(const DepthView* view, const float* points, int64_t count, int32_t* pixel, int32_t threads) {
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int64_t i = 0; i < count; i++) pixel[i] = shown_at(*view, points + 3 * i).pixel;
  return 0;
}

// A task owns a share of the points in all views; shares are few, so that a view's images are not read too often.
int ig_look(const ViewProjection* views, int64_t many, const PointVisibility* known, int32_t threads) {
  const int64_t size = known->size;
  const int64_t shares = 2 * threads;
#pragma omp parallel for schedule(dynamic) num_threads(threads)
  for (int64_t share = 0; share < shares; share++)
    for (int64_t k = 0; k < many; k++) {
      const int64_t last = size * (share + 1) / shares;
      for (int64_t row = size * share / shares; row < last; row++) look(views[k], row, *known);
    }
  return 0;
}

int ig_believe_loose(int32_t* mask, int64_t views, int64_t points, const int64_t* rows, int64_t count, int32_t threads) {
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int64_t k = 0; k < views; k++) {
    int32_t* row = mask + k * points;
    for (int64_t i = 0; i < count; i++)
      if (row[rows[i]] <= LOOSE) row[rows[i]] = LOOSE - row[rows[i]];
  }
  return 0;
}

}  // extern "C"
