// (1 - w) L1 + w (1 - SSIM) of two RGB images and its gradient [Wang et al. 2004; Kerbl et al. 2023, eq. 7].
// Gaussian 11 x 11 window, sigma 1.5, zero padding; blurs are separable and done band by band so that they stay in cache.
#include <omp.h>

#include <algorithm>
#include <cmath>

#include "raster.h"

namespace ig {

constexpr int RADIUS = 5, BAND = 40, CHANNELS = 3;
constexpr int MOMENTS = 4;  // blurred for SSIM: x, y, xx + yy, xy
constexpr int MARGIN = 8;  // zeros on either side of a row, >= RADIUS
constexpr float C1 = 0.01f * 0.01f, C2 = 0.03f * 0.03f;

struct Window {
  float tap[RADIUS + 1];
  Window() {
    double sum = 0, raw[RADIUS + 1];
    for (int k = 0; k <= RADIUS; k++) {
      raw[k] = std::exp(-k * k / (2 * 1.5 * 1.5));
      sum += k ? 2 * raw[k] : raw[k];
    }
    for (int k = 0; k <= RADIUS; k++) tap[k] = static_cast<float>(raw[k] / sum);
  }
};

struct Image {
  const float* data;  // (H, W, >= 3), rows without gaps
  int stride;         // floats between pixels
};

struct LossInput {
  Image rendered, target;
  const uint8_t* target_bytes;  // the target as (H, W, 3) of 0 .. 255 instead
  int gradient_stride;          // floats between pixels of the gradient
  const float* mask;  // (H, W) or null
  int height, width, threads;
  float ssim_weight, scale;  // scale: 1 / (3 sum of mask)
  int row() const { return (width + 2 * MARGIN + 15) & ~15; }
  size_t plane() const { return size_t(row()) * height; }
  int bands() const { return (height + BAND - 1) / BAND; }
};

// Memory of one call: planar copies of both images, and the three maps whose blurs make the gradient.
struct LossMemory {
  Buffer<float> planes, maps, scratch;
  std::vector<double> sums;
};

// out[0..width) = window * in, where in has MARGIN readable values before and behind.
static void blur_row(const Window& window, const float* __restrict in, float* __restrict out, int width) {
  const float *t = window.tap;
  for (int x = 0; x < width; x++)
    out[x] = t[0] * in[x] + t[1] * (in[x - 1] + in[x + 1]) + t[2] * (in[x - 2] + in[x + 2]) +
             t[3] * (in[x - 3] + in[x + 3]) + t[4] * (in[x - 4] + in[x + 4]) + t[5] * (in[x - 5] + in[x + 5]);
}

// out[0..width) = window applied down the rows of `in` around its row 0; rows are `pitch` floats apart.
static void blur_column(const Window& window, const float* __restrict in, size_t pitch, float* __restrict out, int width) {
  const float *t = window.tap, *a = in - 5 * pitch, *b = in - 4 * pitch, *c = in - 3 * pitch, *d = in - 2 * pitch,
              *e = in - pitch, *g = in + pitch, *h = in + 2 * pitch, *i = in + 3 * pitch, *j = in + 4 * pitch,
              *k = in + 5 * pitch;
  for (int x = 0; x < width; x++)
    out[x] = t[0] * in[x] + t[1] * (e[x] + g[x]) + t[2] * (d[x] + h[x]) + t[3] * (c[x] + i[x]) + t[4] * (b[x] + j[x]) +
             t[5] * (a[x] + k[x]);
}

static void split_planes(const LossInput& in, float* planes) {
  const int row = in.row();
#pragma omp parallel for num_threads(in.threads) schedule(static)
  for (int y = 0; y < in.height; y++)
    for (int image = 0; image < 2; image++) {
      const bool bytes = image && in.target_bytes;
      const Image& source = image ? in.target : in.rendered;
      const float* from = bytes ? nullptr : source.data + size_t(y) * in.width * source.stride;
      const uint8_t* from_bytes = bytes ? in.target_bytes + size_t(y) * in.width * CHANNELS : nullptr;
      for (int c = 0; c < CHANNELS; c++) {
        float* to = planes + (image * CHANNELS + c) * in.plane() + size_t(y) * row;
        std::fill_n(to, MARGIN, 0.f);
        if (bytes)
          for (int x = 0; x < in.width; x++) to[MARGIN + x] = float(from_bytes[size_t(x) * CHANNELS + c]) / 255.f;
        else
          for (int x = 0; x < in.width; x++) to[MARGIN + x] = from[size_t(x) * source.stride + c];
        std::fill(to + MARGIN + in.width, to + row, 0.f);
      }
    }
}

// SSIM of one row from its blurred moments, times the mask; returns the sum and turns the moments into the gradient maps
// d/d(mean x), d/d(xx), d/d(xy), each times `slope`.
static double ssim_row(const float* const m[MOMENTS], const float* mask, float slope, float* const map[3], int width) {
  double total = 0;
  for (int begin = 0; begin < width; begin += 64) {
    float sum = 0;
    for (int x = begin; x < std::min(width, begin + 64); x++) {
      float mx = m[0][x], my = m[1][x], weight = mask ? mask[x] : 1.f;
      float a1 = 2 * mx * my + C1, a2 = 2 * (m[3][x] - mx * my) + C2;
      float squares = mx * mx + my * my, b1 = squares + C1, b2 = m[2][x] - squares + C2;
      float ib1 = 1.f / b1, ib2 = 1.f / b2, both = ib1 * ib2, value = a1 * a2 * both, v = slope * weight;
      sum += weight * value;
      map[0][x] = v * (2 * my * (a2 - a1) * both - 2 * mx * value * (ib1 - ib2));
      map[1][x] = -v * value * ib2;
      map[2][x] = 2 * v * a1 * both;
    }
    total += sum;
  }
  return total;
}

static double l1_row(const float* x, const float* y, const float* mask, int width) {
  float sum = 0;
  for (int i = 0; i < width; i++) sum += (mask ? mask[i] : 1.f) * std::abs(x[i] - y[i]);
  return sum;
}

// Loss of one band of one channel, leaving the gradient maps of its rows.
static double loss_band(const LossInput& in, const Window& window, const float* planes, float* maps, float* scratch, int channel,
                        int band) {
  const int row = in.row(), first = band * BAND, last = std::min(in.height, first + BAND);
  const float *x = planes + channel * in.plane(), *y = planes + (CHANNELS + channel) * in.plane();
  const size_t lane = size_t(BAND + 2 * RADIUS) * row;  // one blurred moment of the band with its halo
  float* products = scratch + MOMENTS * lane;
  std::fill_n(products, 2 * row, 0.f);
  for (int r = first - RADIUS; r < last + RADIUS; r++) {
    float* out = scratch + size_t(r - first + RADIUS) * row;
    if (r < 0 || r >= in.height) {
      for (int k = 0; k < MOMENTS; k++) std::fill_n(out + k * lane, row, 0.f);
      continue;
    }
    const float *xr = x + size_t(r) * row + MARGIN, *yr = y + size_t(r) * row + MARGIN;
    float *squares = products + MARGIN, *xy = squares + row;
    for (int i = 0; i < in.width; i++) squares[i] = xr[i] * xr[i] + yr[i] * yr[i], xy[i] = xr[i] * yr[i];
    const float* source[MOMENTS] = {xr, yr, squares, xy};
    for (int k = 0; k < MOMENTS; k++) blur_row(window, source[k], out + k * lane, in.width);
  }
  float* moments = products + 2 * row;
  const float* m[MOMENTS] = {moments, moments + row, moments + 2 * row, moments + 3 * row};
  double l1 = 0, ssim = 0, weight = 0;
  for (int r = first; r < last; r++) {
    const float* mask = in.mask ? in.mask + size_t(r) * in.width : nullptr;
    for (int k = 0; k < MOMENTS; k++)
      blur_column(window, scratch + k * lane + size_t(r - first + RADIUS) * row, row, moments + k * row, in.width);
    float* map[3];
    for (int k = 0; k < 3; k++) {
      float* whole = maps + (k * CHANNELS + channel) * in.plane() + size_t(r) * row;
      std::fill_n(whole, MARGIN, 0.f);
      std::fill(whole + MARGIN + in.width, whole + row, 0.f);
      map[k] = whole + MARGIN;
    }
    ssim += ssim_row(m, mask, -in.ssim_weight * in.scale, map, in.width);
    l1 += l1_row(x + size_t(r) * row + MARGIN, y + size_t(r) * row + MARGIN, mask, in.width);
    for (int i = 0; i < in.width; i++) weight += mask ? mask[i] : 1.f;
  }
  return in.scale * ((1 - in.ssim_weight) * l1 + in.ssim_weight * (weight - ssim));
}

// Gradient with respect to the rendered image, one band of one channel.
static void gradient_band(const LossInput& in, const Window& window, const float* planes, const float* maps, float* scratch,
                          int channel, int band, float* gradient) {
  const int row = in.row(), first = band * BAND, last = std::min(in.height, first + BAND);
  const size_t lane = size_t(BAND + 2 * RADIUS) * row;
  for (int r = first - RADIUS; r < last + RADIUS; r++)
    for (int k = 0; k < 3; k++) {
      float* out = scratch + k * lane + size_t(r - first + RADIUS) * row;
      const float* map = maps + (k * CHANNELS + channel) * in.plane();
      if (r < 0 || r >= in.height) std::fill_n(out, row, 0.f);
      else blur_row(window, map + size_t(r) * row + MARGIN, out, in.width);
    }
  float* blurred = scratch + 3 * lane;
  for (int r = first; r < last; r++) {
    for (int k = 0; k < 3; k++)
      blur_column(window, scratch + k * lane + size_t(r - first + RADIUS) * row, row, blurred + k * row, in.width);
    const float* x = planes + channel * in.plane() + size_t(r) * row + MARGIN;
    const float *y = x + CHANNELS * in.plane(), *mask = in.mask ? in.mask + size_t(r) * in.width : nullptr;
    float* out = gradient + size_t(r) * in.width * in.gradient_stride + channel;
    for (int i = 0; i < in.width; i++) {
      float l1 = (1 - in.ssim_weight) * in.scale * (mask ? mask[i] : 1.f) * float((x[i] > y[i]) - (x[i] < y[i]));
      out[size_t(i) * in.gradient_stride] = l1 + blurred[i] + 2 * x[i] * blurred[row + i] + y[i] * blurred[2 * row + i];
    }
  }
}

static double image_loss(const LossInput& in, float* gradient) {
  static thread_local LossMemory memory;
  static const Window window;
  const size_t scratch_size = size_t(in.row()) * (MOMENTS * (BAND + 2 * RADIUS) + MOMENTS + 2);
  const int tasks = CHANNELS * in.bands();
  float *planes = memory.planes.require(2 * CHANNELS * in.plane()), *maps = memory.maps.require(3 * CHANNELS * in.plane());
  float* scratch = memory.scratch.require(scratch_size * in.threads);
  memory.sums.assign(tasks, 0.0);
  double* sums = memory.sums.data();
  split_planes(in, planes);
#pragma omp parallel for num_threads(in.threads) schedule(dynamic)
  for (int task = 0; task < tasks; task++)
    sums[task] = loss_band(in, window, planes, maps, scratch + scratch_size * omp_get_thread_num(), task / in.bands(),
                           task % in.bands());
  if (gradient)
#pragma omp parallel for num_threads(in.threads) schedule(dynamic)
    for (int task = 0; task < tasks; task++)
      gradient_band(in, window, planes, maps, scratch + scratch_size * omp_get_thread_num(), task / in.bands(),
                    task % in.bands(), gradient);
  double loss = 0;
  for (int task = 0; task < tasks; task++) loss += sums[task];  // in one order: the same for any number of threads
  return loss;
}

}  // namespace ig

extern "C" {

int ig_image_loss(const ImageLossInput* in, float* gradient, double* loss) try {
  *loss = ig::image_loss({{in->rendered, in->rendered_stride},
                          {in->target, in->target_stride},
                          in->target_bytes,
                          in->gradient_stride,
                          in->mask,
                          in->height,
                          in->width,
                          in->threads,
                          in->ssim_weight,
                          in->scale},
                         gradient);
  return 0;
} catch (const std::bad_alloc&) {
  return 1;
}

}  // extern "C"
