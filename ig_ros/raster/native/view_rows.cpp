// The anchors one camera sees: which they are, their rows side by side, and what a step leaves in their books.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

extern "C" {

// Mirrored by view_rows.py.
struct Frustum {
  float origin[3], rotation[9];  // of the camera in the world, m; rows of R_world_camera
  float fx, fy, cx, cy;          // in units of the image's width and height
  float near, border;            // m; share of the image
};

struct GatherTable {
  const float* from;  // (N, width)
  float* to;          // (n, width)
  int64_t width;
};

struct ViewAccount {
  const int64_t* rows;           // (n)
  const float* opacities;        // (n, k)
  const float* screen;           // (n, k, 2) gradient of the projected means per pixel, or null: nothing grows
  const uint8_t* visible;        // (n, k)
  float *opacity, *gradient_sum, *gradient_count;  // (N) (N, k) (N, k)
  int64_t count, children;
  float memory, half_width, half_height;
  int32_t threads;
};

}  // extern "C"

namespace ig {

constexpr int PARTS = 32;

static bool inside(const Frustum& f, const float* position, float edge) {
  float local[3];
  const float d[3] = {position[0] - f.origin[0], position[1] - f.origin[1], position[2] - f.origin[2]};
  for (int j = 0; j < 3; j++) local[j] = d[0] * f.rotation[j] + d[1] * f.rotation[3 + j] + d[2] * f.rotation[6 + j];
  const float depth = std::max(local[2], f.near), reach = 2 * edge / depth;
  const float u = local[0] / depth * f.fx, v = local[1] / depth * f.fy;
  const float u_reach = reach * f.fx + f.border, v_reach = reach * f.fy + f.border;
  return local[2] > f.near - 2 * edge && u > -f.cx - u_reach && u < 1 - f.cx + u_reach && v > -f.cy - v_reach &&
         v < 1 - f.cy + v_reach;
}

}  // namespace ig

extern "C" {

// Ascending rows of the anchors (N, 3), edges (N), inside the frustum or within twice their edge of it; `rows` has room
// for N, `count` tells how many. Returns 0.
int ig_rows_in_view(const float* position, const float* edge, int64_t anchors, const Frustum* frustum, int32_t threads,
                    int64_t* rows, int64_t* count) {
  int64_t found[ig::PARTS];
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int part = 0; part < ig::PARTS; part++) {
    const int64_t begin = anchors * part / ig::PARTS, end = anchors * (part + 1) / ig::PARTS;
    int64_t* next = rows + begin;
    for (int64_t i = begin; i < end; i++) {
      *next = i;
      next += ig::inside(*frustum, position + 3 * i, edge[i]);
    }
    found[part] = next - (rows + begin);
  }
  *count = 0;
  for (int part = 0; part < ig::PARTS; part++) {
    std::memmove(rows + *count, rows + anchors * part / ig::PARTS, found[part] * sizeof(int64_t));
    *count += found[part];
  }
  return 0;
}

// to[i] = from[rows[i]] for every table. Returns 0.
int ig_gather_rows(const GatherTable* tables, int64_t table_count, const int64_t* rows, int64_t count,
                   int32_t threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int64_t i = 0; i < count; i++)
    for (int64_t t = 0; t < table_count; t++) {
      const GatherTable& table = tables[t];
      const float* from = table.from + rows[i] * table.width;
      std::copy(from, from + table.width, table.to + i * table.width);
    }
  return 0;
}

// Running mean of the summed opacity, and the positional gradients of the visible children in units of half an image.
int ig_account_view(const ViewAccount* a) {
#pragma omp parallel for num_threads(a->threads) schedule(static)
  for (int64_t i = 0; i < a->count; i++) {
    const int64_t row = a->rows[i], k = a->children;
    float sum = 0.f;
    for (int64_t c = 0; c < k; c++) sum += a->opacities[i * k + c];
    a->opacity[row] = sum + a->memory * (a->opacity[row] - sum);
    for (int64_t c = 0; c < k && a->screen; c++) {
      if (!a->visible[i * k + c]) continue;
      const float x = a->screen[2 * (i * k + c)] * a->half_width, y = a->screen[2 * (i * k + c) + 1] * a->half_height;
      a->gradient_sum[row * k + c] += std::sqrt(x * x + y * y);
      a->gradient_count[row * k + c] += 1.f;
    }
  }
  return 0;
}

}  // extern "C"
