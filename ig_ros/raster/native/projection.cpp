#include "projection.h"

namespace ig {

// Gradient of a rotation matrix (9) with respect to the unnormalised quaternion q (w, x, y, z).
static void rotation_backward(const float* q, float norm, const float* v, float* out) {
  float i = 1.f / norm, w = q[0] * i, x = q[1] * i, y = q[2] * i, z = q[3] * i;
  float g[4] = {
      2 * (x * (v[7] - v[5]) + y * (v[2] - v[6]) + z * (v[3] - v[1])),
      2 * (-2 * x * (v[4] + v[8]) + y * (v[1] + v[3]) + z * (v[2] + v[6]) + w * (v[7] - v[5])),
      2 * (x * (v[1] + v[3]) - 2 * y * (v[0] + v[8]) + z * (v[5] + v[7]) + w * (v[2] - v[6])),
      2 * (x * (v[2] + v[6]) + y * (v[5] + v[7]) - 2 * z * (v[0] + v[4]) + w * (v[3] - v[1])),
  };
  float along = g[0] * w + g[1] * x + g[2] * y + g[3] * z;  // normalisation removes the part along q
  out[0] = (g[0] - along * w) * i, out[1] = (g[1] - along * x) * i;
  out[2] = (g[2] - along * y) * i, out[3] = (g[3] - along * z) * i;
}

// Gradient of the camera-frame mean through the projected mean (vx, vy) and through the Jacobian (vJ: entries 0 2 4 5).
static void mean_backward(const RasterInput& in, const Projection& o, float vx, float vy, const float* vJ, float* vp) {
  float i = 1.f / o.p[2], i2 = i * i;
  vp[0] = vx * in.fx * i;
  vp[1] = vy * in.fy * i;
  vp[2] = -(vx * in.fx * o.p[0] + vy * in.fy * o.p[1]) * i2 - (vJ[0] * in.fx + vJ[2] * in.fy) * i2;
  // J[2] = -fx s / z with slope s = x / z, or a constant where it was held: d/dz is then half as steep.
  float held_x = o.clamped_x ? 1.f : 2.f, held_y = o.clamped_y ? 1.f : 2.f;
  vp[2] += -vJ[1] * o.J[2] * i * held_x - vJ[3] * o.J[5] * i * held_y;
  if (!o.clamped_x) vp[0] -= vJ[1] * in.fx * i2;
  if (!o.clamped_y) vp[1] -= vJ[3] * in.fy * i2;
}

// Gradient of the covariance [[a, b], [b, c]] (three numbers, symmetric matrix) from the moments of dL/dsigma.
static void covariance_backward(const Projection& o, const Moments& v, float* out, float& vx, float& vy) {
  float i = 1.f / (o.a * o.c - o.b * o.b), A = o.c * i, B = -o.b * i, C = o.a * i;  // inverse covariance
  vx = -(A * v.x + B * v.y);
  vy = -(B * v.x + C * v.y);
  float xx = 0.5f * v.xx, xy = 0.5f * v.xy, yy = 0.5f * v.yy;
  float h00 = A * xx + B * xy, h01 = A * xy + B * yy, h10 = B * xx + C * xy, h11 = B * xy + C * yy;
  out[0] = -(h00 * A + h01 * B), out[1] = -(h00 * B + h01 * C), out[2] = -(h10 * B + h11 * C);
}

void project_backward(const RasterInput& in, const SlopeLimits& limits, size_t i, const Moments& v, float depth_gradient,
                      const RasterGradients& grad) {
  Projection o;
  project(in, limits, i, o);
  const float *V = in.world_to_camera, *s = in.scales + 3 * i;
  grad.opacities[i] = -v.one / in.opacities[i];
  float S[3], vx, vy;
  covariance_backward(o, v, S, vx, vy);
  grad.screen[2 * i] = vx;
  grad.screen[2 * i + 1] = vy;
  float vJB[6], vB[9], vJ[4] = {0.f, 0.f, 0.f, 0.f};
  for (int k = 0; k < 3; k++) {
    float u0 = 2 * (S[0] * o.U[k] + S[1] * o.U[3 + k]), u1 = 2 * (S[1] * o.U[k] + S[2] * o.U[3 + k]);
    grad.scales[3 * i + k] = o.JB[k] * u0 + o.JB[3 + k] * u1;
    vJB[k] = u0 * s[k];
    vJB[3 + k] = u1 * s[k];
    vB[k] = o.J[0] * vJB[k];
    vB[3 + k] = o.J[4] * vJB[3 + k];
    vB[6 + k] = o.J[2] * vJB[k] + o.J[5] * vJB[3 + k];
    vJ[0] += vJB[k] * o.B[k];
    vJ[1] += vJB[k] * o.B[6 + k];
    vJ[2] += vJB[3 + k] * o.B[3 + k];
    vJ[3] += vJB[3 + k] * o.B[6 + k];
  }
  float vp[3], vR[9];
  mean_backward(in, o, vx, vy, vJ, vp);
  vp[2] += depth_gradient;
  for (int k = 0; k < 3; k++) grad.means[3 * i + k] = V[k] * vp[0] + V[4 + k] * vp[1] + V[8 + k] * vp[2];
  for (int r = 0; r < 3; r++)
    for (int k = 0; k < 3; k++) vR[3 * r + k] = V[r] * vB[k] + V[4 + r] * vB[3 + k] + V[8 + r] * vB[6 + k];
  rotation_backward(in.quats + 4 * i, o.norm, vR, grad.quats + 4 * i);
}

}  // namespace ig
