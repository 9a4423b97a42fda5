// EWA projection of one 3D Gaussian and its gradient (Zwicker et al. 2002, eq. 24-31; Kerbl et al. 2023, eq. 5).
#pragma once
#include <algorithm>
#include <cmath>

#include "raster.h"
#include "simd.h"

namespace ig {

// Every intermediate the gradient needs. Matrices are row-major.
struct Projection {
  float p[3];           // mean in the camera frame
  float R[9], norm;     // rotation of the Gaussian, norm of its quaternion
  float B[9];           // R_camera_world R
  float J[6];           // Jacobian of the pinhole projection at the mean, its ray held near the field of view
  float JB[6], U[6];    // J B, and J B diag(scale): covariance = U U^T + BLUR I
  float a, b, c;        // covariance [[a, b], [b, c]], px^2
  bool clamped_x, clamped_y;
  float x, y;           // projected mean, px
};

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

IG_INLINE void rotation_of(const float* q, float* R, float& norm) {
  norm = std::sqrt(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3]);
  float i = 1.f / norm, w = q[0] * i, x = q[1] * i, y = q[2] * i, z = q[3] * i;
  R[0] = 1 - 2 * (y * y + z * z), R[1] = 2 * (x * y - w * z), R[2] = 2 * (x * z + w * y);
  R[3] = 2 * (x * y + w * z), R[4] = 1 - 2 * (x * x + z * z), R[5] = 2 * (y * z - w * x);
  R[6] = 2 * (x * z - w * y), R[7] = 2 * (y * z + w * x), R[8] = 1 - 2 * (x * x + y * y);
}

IG_INLINE void to_camera(const float* V, const float* m, float* p) {
  for (int i = 0; i < 3; i++) p[i] = V[4 * i] * m[0] + V[4 * i + 1] * m[1] + V[4 * i + 2] * m[2] + V[4 * i + 3];
}

// The mean must lie in front of the camera.
IG_INLINE void project(const RasterInput& in, const SlopeLimits& limits, size_t i, Projection& o) {
  const float *V = in.world_to_camera, *s = in.scales + 3 * i;
  to_camera(V, in.means + 3 * i, o.p);
  float inverse_z = 1.f / o.p[2], slope_x = o.p[0] * inverse_z, slope_y = o.p[1] * inverse_z;
  o.x = in.fx * slope_x + in.cx;
  o.y = in.fy * slope_y + in.cy;
  o.clamped_x = !(slope_x > limits.x_low && slope_x < limits.x_high);
  o.clamped_y = !(slope_y > limits.y_low && slope_y < limits.y_high);
  slope_x = std::min(limits.x_high, std::max(limits.x_low, slope_x));
  slope_y = std::min(limits.y_high, std::max(limits.y_low, slope_y));
  rotation_of(in.quats + 4 * i, o.R, o.norm);
  for (int r = 0; r < 3; r++)
    for (int k = 0; k < 3; k++)
      o.B[3 * r + k] = V[4 * r] * o.R[k] + V[4 * r + 1] * o.R[3 + k] + V[4 * r + 2] * o.R[6 + k];
  o.J[0] = in.fx * inverse_z, o.J[1] = 0.f, o.J[2] = -in.fx * slope_x * inverse_z;
  o.J[3] = 0.f, o.J[4] = in.fy * inverse_z, o.J[5] = -in.fy * slope_y * inverse_z;
  for (int k = 0; k < 3; k++) {
    o.JB[k] = o.J[0] * o.B[k] + o.J[2] * o.B[6 + k];
    o.JB[3 + k] = o.J[4] * o.B[3 + k] + o.J[5] * o.B[6 + k];
    o.U[k] = o.JB[k] * s[k];
    o.U[3 + k] = o.JB[3 + k] * s[k];
  }
  o.a = o.U[0] * o.U[0] + o.U[1] * o.U[1] + o.U[2] * o.U[2] + BLUR;
  o.b = o.U[0] * o.U[3] + o.U[1] * o.U[4] + o.U[2] * o.U[5];
  o.c = o.U[3] * o.U[3] + o.U[4] * o.U[4] + o.U[5] * o.U[5] + BLUR;
}

void project_backward(const RasterInput& in, const SlopeLimits& limits, size_t i, const Moments& v, float depth_gradient,
                      const RasterGradients& grad);

}  // namespace ig
