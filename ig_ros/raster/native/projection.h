// EWA projection of LANES 3D Gaussians and its gradient (Zwicker et al. 2002, eq. 24-31; Kerbl et al. 2023, eq. 5).
#pragma once
#include <algorithm>
#include <cmath>

#include "raster.h"
#include "simd.h"

namespace ig {

// Largest |ray slope| at which the Jacobian is still evaluated: 30 % of the half field of view beyond the border.
struct SlopeLimits {
  float x_low, x_high, y_low, y_high;
  explicit SlopeLimits(const RasterInput& in) {
    float margin_x = 0.15f * in.width / in.fx, margin_y = 0.15f * in.height / in.fy;
    x_low = -in.cx / in.fx - margin_x;
    x_high = (in.width - in.cx) / in.fx + margin_x;
    y_low = -in.cy / in.fy - margin_y;
    y_high = (in.height - in.cy) / in.fy + margin_y;
  }
};

// Columns of LANES rows of a table, and back: a Gaussian's numbers lie together, a lane's do not.
template <int WIDTH>
IG_INLINE void read_columns(const float* table, const uint32_t* row, Lanes* column) {
  alignas(64) float value[WIDTH][LANES];
  for (int k = 0; k < LANES; k++)
    for (int j = 0; j < WIDTH; j++) value[j][k] = table[size_t(row[k]) * WIDTH + j];
  for (int j = 0; j < WIDTH; j++) column[j] = *(const Lanes*)value[j];
}
template <int WIDTH>
IG_INLINE void write_columns(const Lanes* column, const uint32_t* row, int count, float* table) {
  alignas(64) float value[WIDTH][LANES];
  for (int j = 0; j < WIDTH; j++) *(Lanes*)value[j] = column[j];
  for (int k = 0; k < count; k++)
    for (int j = 0; j < WIDTH; j++) table[size_t(row[k]) * WIDTH + j] = value[j][k];
}

IG_INLINE Lanes square_root(Lanes x) {
  for (int k = 0; k < LANES; k++) x[k] = std::sqrt(x[k]);
  return x;
}

// Numbers of LANES Gaussians and every intermediate the gradient needs. Matrices are row-major.
struct Projection {
  Lanes q[4], s[3];  // quaternions, normalised, and scales
  Lanes p[3];        // means in the camera frame
  Lanes norm;        // of the quaternions as given
  Lanes B[9];        // R_camera_world R, with R the rotation of the Gaussian
  Lanes J[6];        // Jacobian of the pinhole projection at the mean, its ray held near the field of view
  Lanes JB[6], U[6];  // J B, and J B diag(scale): covariance = U U^T + BLUR I
  Lanes a, b, c;      // covariance [[a, b], [b, c]], px^2
  LaneMask clamped_x, clamped_y;
  Lanes x, y;  // projected means, px
};

IG_INLINE void rotation_of(const Lanes* q, Lanes* R) {
  const Lanes w = q[0], x = q[1], y = q[2], z = q[3];
  R[0] = 1 - 2 * (y * y + z * z), R[1] = 2 * (x * y - w * z), R[2] = 2 * (x * z + w * y);
  R[3] = 2 * (x * y + w * z), R[4] = 1 - 2 * (x * x + z * z), R[5] = 2 * (y * z - w * x);
  R[6] = 2 * (x * z - w * y), R[7] = 2 * (y * z + w * x), R[8] = 1 - 2 * (x * x + y * y);
}

IG_INLINE void to_camera(const float* V, const Lanes* m, Lanes* p) {
  for (int i = 0; i < 3; i++) p[i] = V[4 * i] * m[0] + V[4 * i + 1] * m[1] + V[4 * i + 2] * m[2] + V[4 * i + 3];
}

IG_INLINE Lanes held(Lanes slope, float low, float high) {
  slope = select(slope > broadcast(low), slope, broadcast(low));  // NaN becomes low
  return select(slope < broadcast(high), slope, broadcast(high));
}

// Of the Gaussians in LANES rows; the means must lie in front of the camera.
IG_INLINE void project(const RasterInput& in, const SlopeLimits& limits, const uint32_t* row, Projection& o) {
  const float* V = in.world_to_camera;
  Lanes mean[3];
  read_columns<3>(in.means, row, mean);
  read_columns<4>(in.quats, row, o.q);
  read_columns<3>(in.scales, row, o.s);
  to_camera(V, mean, o.p);
  const Lanes inverse_z = 1.f / o.p[2];
  Lanes slope_x = o.p[0] * inverse_z, slope_y = o.p[1] * inverse_z;
  o.x = in.fx * slope_x + in.cx;
  o.y = in.fy * slope_y + in.cy;
  o.clamped_x = ~((slope_x > broadcast(limits.x_low)) & (slope_x < broadcast(limits.x_high)));
  o.clamped_y = ~((slope_y > broadcast(limits.y_low)) & (slope_y < broadcast(limits.y_high)));
  slope_x = held(slope_x, limits.x_low, limits.x_high);
  slope_y = held(slope_y, limits.y_low, limits.y_high);
  o.norm = square_root(o.q[0] * o.q[0] + o.q[1] * o.q[1] + o.q[2] * o.q[2] + o.q[3] * o.q[3]);
  const Lanes inverse_norm = 1.f / o.norm;
  for (int j = 0; j < 4; j++) o.q[j] *= inverse_norm;
  Lanes R[9];
  rotation_of(o.q, R);
  for (int r = 0; r < 3; r++)
    for (int k = 0; k < 3; k++) o.B[3 * r + k] = V[4 * r] * R[k] + V[4 * r + 1] * R[3 + k] + V[4 * r + 2] * R[6 + k];
  o.J[0] = in.fx * inverse_z, o.J[1] = Lanes{}, o.J[2] = -in.fx * slope_x * inverse_z;
  o.J[3] = Lanes{}, o.J[4] = in.fy * inverse_z, o.J[5] = -in.fy * slope_y * inverse_z;
  for (int k = 0; k < 3; k++) {
    o.JB[k] = o.J[0] * o.B[k] + o.J[2] * o.B[6 + k];
    o.JB[3 + k] = o.J[4] * o.B[3 + k] + o.J[5] * o.B[6 + k];
    o.U[k] = o.JB[k] * o.s[k];
    o.U[3 + k] = o.JB[3 + k] * o.s[k];
  }
  o.a = o.U[0] * o.U[0] + o.U[1] * o.U[1] + o.U[2] * o.U[2] + BLUR;
  o.b = o.U[0] * o.U[3] + o.U[1] * o.U[4] + o.U[2] * o.U[5];
  o.c = o.U[3] * o.U[3] + o.U[4] * o.U[4] + o.U[5] * o.U[5] + BLUR;
}

// Writes the gradients of the first `count` of LANES Gaussians; moments (6) and depth gradient come lane by lane.
void project_backward(const RasterInput& in, const SlopeLimits& limits, const uint32_t* row, int count, const Lanes* moments,
                      Lanes depth_gradient, const RasterGradients& grad);

}  // namespace ig
