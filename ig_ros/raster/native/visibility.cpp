// Which pixel of a view shows each point: projection and comparison with the surface the view measured, in one pass.
#include <cmath>
#include <cstdint>

extern "C" {

// pixel[i] = row * width + col of point i (x, y, z in the world), or -1 where it is outside the image, nearer than
// `nearest`, of unknown depth (0), or further than `relative` * z + `absolute` from the surface. Returns 0.
int ig_visible_pixels(const float* points, int64_t count, const float* world_to_camera, const float* intrinsics,
                      const float* depth, int32_t width, int32_t height, float nearest, float relative, float absolute,
                      int32_t* pixel, int32_t threads) {
  const float* T = world_to_camera;  // 3 x 4, by rows
  const float fx = intrinsics[0], fy = intrinsics[1], cx = intrinsics[2], cy = intrinsics[3];
  const float right = static_cast<float>(width), bottom = static_cast<float>(height);
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int64_t i = 0; i < count; i++) {
    const float x = points[3 * i], y = points[3 * i + 1], z = points[3 * i + 2];
    pixel[i] = -1;
    const float depth_of_point = T[8] * x + T[9] * y + T[10] * z + T[11];
    if (!(depth_of_point > nearest)) continue;
    const float u = (T[0] * x + T[1] * y + T[2] * z + T[3]) / depth_of_point * fx + cx;
    const float v = (T[4] * x + T[5] * y + T[6] * z + T[7]) / depth_of_point * fy + cy;
    if (!(u >= 0.0f && v >= 0.0f && u < right && v < bottom)) continue;
    const int32_t at = static_cast<int32_t>(v) * width + static_cast<int32_t>(u);
    const float surface = depth[at];
    if (surface > 0.0f && std::fabs(depth_of_point - surface) <= relative * depth_of_point + absolute) pixel[i] = at;
  }
  return 0;
}
}
