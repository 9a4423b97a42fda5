#include "projection.h"

namespace ig {

// Gradient of the rotation matrices (9) with respect to the unnormalised quaternions (w, x, y, z).
IG_INLINE void rotation_backward(const Projection& o, const Lanes* v, Lanes* out) {
  const Lanes w = o.q[0], x = o.q[1], y = o.q[2], z = o.q[3], i = 1.f / o.norm;
  const Lanes g[4] = {
      2 * (x * (v[7] - v[5]) + y * (v[2] - v[6]) + z * (v[3] - v[1])),
      2 * (-2 * x * (v[4] + v[8]) + y * (v[1] + v[3]) + z * (v[2] + v[6]) + w * (v[7] - v[5])),
      2 * (x * (v[1] + v[3]) - 2 * y * (v[0] + v[8]) + z * (v[5] + v[7]) + w * (v[2] - v[6])),
      2 * (x * (v[2] + v[6]) + y * (v[5] + v[7]) - 2 * z * (v[0] + v[4]) + w * (v[3] - v[1])),
  };
  const Lanes along = g[0] * w + g[1] * x + g[2] * y + g[3] * z;  // normalisation removes the part along q
  for (int j = 0; j < 4; j++) out[j] = (g[j] - along * o.q[j]) * i;
}

// Gradient of the camera-frame means through the projected means (vx, vy) and the Jacobian (vJ: entries 0 2 4 5).
IG_INLINE void mean_backward(const RasterInput& in, const Projection& o, Lanes vx, Lanes vy, const Lanes* vJ, Lanes* vp) {
  const Lanes i = 1.f / o.p[2], i2 = i * i, one = broadcast(1.f), two = broadcast(2.f);
  vp[0] = vx * in.fx * i;
  vp[1] = vy * in.fy * i;
  vp[2] = -(vx * in.fx * o.p[0] + vy * in.fy * o.p[1]) * i2 - (vJ[0] * in.fx + vJ[2] * in.fy) * i2;
  // J[2] = -fx s / z with slope s = x / z, or a constant where it was held: d/dz is then half as steep.
  vp[2] += -vJ[1] * o.J[2] * i * select(o.clamped_x, one, two) - vJ[3] * o.J[5] * i * select(o.clamped_y, one, two);
  vp[0] -= select(o.clamped_x, Lanes{}, vJ[1] * in.fx * i2);
  vp[1] -= select(o.clamped_y, Lanes{}, vJ[3] * in.fy * i2);
}

// Gradient of the covariance [[a, b], [b, c]] (three numbers, symmetric matrix) from the moments of dL/dsigma.
IG_INLINE void covariance_backward(const Projection& o, const Lanes* moments, Lanes* out, Lanes* screen) {
  const Lanes i = 1.f / (o.a * o.c - o.b * o.b), A = o.c * i, B = -o.b * i, C = o.a * i;  // inverse covariance
  screen[0] = -(A * moments[1] + B * moments[2]);
  screen[1] = -(B * moments[1] + C * moments[2]);
  const Lanes xx = 0.5f * moments[3], xy = 0.5f * moments[4], yy = 0.5f * moments[5];
  const Lanes h00 = A * xx + B * xy, h01 = A * xy + B * yy, h10 = B * xx + C * xy, h11 = B * xy + C * yy;
  out[0] = -(h00 * A + h01 * B), out[1] = -(h00 * B + h01 * C), out[2] = -(h10 * B + h11 * C);
}

void project_backward(const RasterInput& in, const SlopeLimits& limits, const uint32_t* row, int count, const Lanes* moments,
                      Lanes depth_gradient, const RasterGradients& grad) {
  Projection o;
  project(in, limits, row, o);
  const float* V = in.world_to_camera;
  Lanes opacity, S[3], screen[2], scale[3], vJB[6], vB[9], vJ[4] = {}, vp[3], vR[9], mean[3], quat[4];
  read_columns<1>(in.opacities, row, &opacity);
  opacity = -moments[0] / opacity;
  covariance_backward(o, moments, S, screen);
  for (int k = 0; k < 3; k++) {
    const Lanes u0 = 2 * (S[0] * o.U[k] + S[1] * o.U[3 + k]), u1 = 2 * (S[1] * o.U[k] + S[2] * o.U[3 + k]);
    scale[k] = o.JB[k] * u0 + o.JB[3 + k] * u1;
    vJB[k] = u0 * o.s[k];
    vJB[3 + k] = u1 * o.s[k];
    vB[k] = o.J[0] * vJB[k];
    vB[3 + k] = o.J[4] * vJB[3 + k];
    vB[6 + k] = o.J[2] * vJB[k] + o.J[5] * vJB[3 + k];
    vJ[0] += vJB[k] * o.B[k];
    vJ[1] += vJB[k] * o.B[6 + k];
    vJ[2] += vJB[3 + k] * o.B[3 + k];
    vJ[3] += vJB[3 + k] * o.B[6 + k];
  }
  mean_backward(in, o, screen[0], screen[1], vJ, vp);
  vp[2] += depth_gradient;
  for (int k = 0; k < 3; k++) mean[k] = V[k] * vp[0] + V[4 + k] * vp[1] + V[8 + k] * vp[2];
  for (int r = 0; r < 3; r++)
    for (int k = 0; k < 3; k++) vR[3 * r + k] = V[r] * vB[k] + V[4 + r] * vB[3 + k] + V[8 + r] * vB[6 + k];
  rotation_backward(o, vR, quat);
  write_columns<1>(&opacity, row, count, grad.opacities);
  write_columns<2>(screen, row, count, grad.screen);
  write_columns<3>(scale, row, count, grad.scales);
  write_columns<3>(mean, row, count, grad.means);
  write_columns<4>(quat, row, count, grad.quats);
}

}  // namespace ig
