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
  if (at.mask) {
    const int32_t mask = at.place[pixel] ? at.place[pixel] + at.before : 0;
    at.mask[row] = close ? mask : LOOSE - mask;
  }
  for (int c = 0; c < 3; c++) known.total[3 * row + c] += at.sign * at.normal[3 * int64_t(pixel) + c];
  if (close) known.closely[row] += at.sign;
  known.steady[row] = 0;
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
      const ViewProjection& at = views[k];
      const int64_t* end = at.rows + at.count;
      const int64_t* row = std::lower_bound(at.rows, end, size * share / shares);
      for (const int64_t last = size * (share + 1) / shares; row < end && *row < last; row++)
        look(at, *row, *known);
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

int ig_carry(const int32_t* earlier, int64_t earlier_points, const int64_t* view, const int32_t* shift, int64_t views,
             const int32_t* row, int64_t points, int32_t hidden, int32_t* mask, int32_t threads) {
  constexpr int64_t BLOCK = 4096;  // rows that stay in cache from view to view
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int64_t begin = 0; begin < points; begin += BLOCK) {
    const int64_t end = std::min(points, begin + BLOCK);
    for (int64_t k = 0; k < views; k++) {
      int32_t* now = mask + k * points;
      if (view[k] < 0) {
        std::fill(now + begin, now + end, hidden);
        continue;
      }
      const int32_t *then = earlier + view[k] * earlier_points, more = shift[k];
      for (int64_t i = begin, next; i < end; i = next) {  // most points kept their neighbours in the table: whole runs
        for (next = i + 1; next < end && row[next] == (row[i] < 0 ? row[i] : row[next - 1] + 1);) next++;
        if (row[i] < 0) {
          std::fill(now + i, now + next, hidden);
          continue;
        }
        const int32_t* from = then + row[i];
        for (int64_t n = 0; n < next - i; n++)
          now[i + n] = from[n] + (from[n] > 0 ? more : from[n] < LOOSE ? -more : 0);
      }
    }
  }
  return 0;
}

}  // extern "C"
