// Instance features of one view: pixels of a mask agree [OG eq. 1], masks differ [OG eq. 2, IG eq. 3]. Value and
// gradient in one call. Pixels are cut into PARTS shares that are summed apart and added in one order: the result is
// the same for any number of threads.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "raster.h"

namespace ig {

constexpr int PARTS = 16;
constexpr int FEW = 64;  // masks whose pairs are looked at before helpers would be awake

// Which counted mask a pixel belongs to, -1 for none, and what is known of the masks.
struct Masks {
  std::vector<int32_t> found, row_of_label;  // both by label: pixels, row
  std::vector<float> pixels;                 // of each counted mask
  int count = 0;
  void read(const FeatureLossInput& in) {
    count = 0;
    pixels.clear();
    found.assign(1, 0);
    for (int p = 0; p < in.pixels; p++) {
      const int32_t label = in.labels[p];
      if (!(in.alpha[p] > in.min_alpha) || label <= 0) continue;
      if (size_t(label) >= found.size()) found.resize(std::max(size_t(label) + 1, 2 * found.size()), 0);
      found[label]++;
    }
    row_of_label.assign(found.size(), -1);
    for (size_t label = 1; label < found.size(); label++)
      if (found[label] >= std::max(in.min_pixels, 1)) {
        row_of_label[label] = count++;
        pixels.push_back(float(found[label]));
      }
  }
  int row(const FeatureLossInput& in, int pixel) const {
    const int32_t label = in.labels[pixel];
    return in.alpha[pixel] > in.min_alpha && label > 0 ? row_of_label[label] : -1;
  }
};

// Sums of `channels` floats by row. Neighbouring pixels mostly share one: its sum stays in registers meanwhile.
template <int CHANNELS>
class RowSums {
 public:
  RowSums(float* sums, int channels) : sums_(sums), channels_(CHANNELS ? CHANNELS : channels) {}
  ~RowSums() { put_down(); }
  template <class Value>
  void add(int row, const Value& value) {
    if (CHANNELS == 0) {
      for (int c = 0; c < channels_; c++) sums_[size_t(row) * channels_ + c] += value(c);
      return;
    }
    if (row != row_) put_down(), row_ = row;
    for (int c = 0; c < CHANNELS; c++) run_[c] += value(c);
  }

 private:
  void put_down() {
    for (int c = 0; c < CHANNELS; c++) {
      if (row_ >= 0) sums_[size_t(row_) * CHANNELS + c] += run_[c];
      run_[c] = 0.f;
    }
  }
  float* sums_;
  int channels_, row_ = -1;
  float run_[CHANNELS ? CHANNELS : 1] = {};
};

template <class Visit>
static void for_each_part(const FeatureLossInput& in, const Visit& visit) {
#pragma omp parallel for num_threads(in.threads) schedule(dynamic)
  for (int part = 0; part < PARTS; part++)
    visit(part, int(int64_t(in.pixels) * part / PARTS), int(int64_t(in.pixels) * (part + 1) / PARTS));
}

// Not a region of one thread: that would make OpenMP build its team anew.
template <class Visit>
static void for_each_mask(const FeatureLossInput& in, int count, const Visit& visit) {
  if (count < FEW) {
    for (int i = 0; i < count; i++) visit(i);
    return;
  }
#pragma omp parallel for num_threads(in.threads) schedule(dynamic, 8)
  for (int i = 0; i < count; i++) visit(i);
}

// parts[0] += the others, in order.
static void add_parts(std::vector<float>& parts, size_t size) {
  for (int part = 1; part < PARTS; part++)
    for (size_t i = 0; i < size; i++) parts[i] += parts[part * size + i];
}

// Kept by the calling thread from call to call: nothing is allocated while sizes stay. Tables of (mask, channel) have
// room for PARTS of them, tables of (mask, mask) are of pairs.
struct FeatureMemory {
  Masks masks;
  std::vector<int32_t> row_of_pixel;
  std::vector<float> slope;  // of each pixel: its distance's share of the loss by the distance
  std::vector<float> means, pull, means_gradient, square, weight, share;
  std::vector<double> losses;
};

// CHANNELS is their number where it is known to the compiler, else 0: the usual six unroll.
template <int CHANNELS>
static void mask_means(const FeatureLossInput& in, FeatureMemory& memory) {
  const int channels = CHANNELS ? CHANNELS : in.channels;
  const Masks& masks = memory.masks;
  const size_t size = size_t(masks.count) * channels;
  std::vector<float>& means = memory.means;
  means.assign(PARTS * size, 0.f);
  memory.row_of_pixel.resize(in.pixels);
  for_each_part(in, [&](int part, int begin, int end) {
    RowSums<CHANNELS> sums(means.data() + part * size, channels);
    for (int p = begin; p < end; p++) {
      const int row = memory.row_of_pixel[p] = masks.row(in, p);
      const float* feature = in.feature + size_t(p) * in.stride;
      if (row >= 0) sums.add(row, [&](int c) { return feature[c]; });
    }
  });
  add_parts(means, size);
  means.resize(size);
  for (size_t i = 0; i < size; i++) means[i] /= masks.pixels[i / channels];
}

// Mean over masks of the mean distance of a mask's pixels to its mean. Leaves each pixel's slope, and what pulls at the
// means in `means_gradient`.
template <int CHANNELS>
static double smoothness(const FeatureLossInput& in, FeatureMemory& memory) {
  const int channels = CHANNELS ? CHANNELS : in.channels;
  const Masks& masks = memory.masks;
  const std::vector<float>& means = memory.means;
  const size_t size = means.size();
  std::vector<float>&pull = memory.pull, &means_gradient = memory.means_gradient;
  pull.assign(PARTS * size, 0.f);
  means_gradient.assign(size, 0.f);
  memory.slope.resize(in.pixels);
  memory.share.resize(masks.count);
  for (int row = 0; row < masks.count; row++)
    memory.share[row] = in.smooth_weight / (masks.count * masks.pixels[row]);
  double losses[PARTS] = {};
  for_each_part(in, [&](int part, int begin, int end) {
    double loss = 0;
    RowSums<CHANNELS> sums(pull.data() + part * size, channels);
    for (int p = begin; p < end; p++) {
      const int row = memory.row_of_pixel[p];
      if (row < 0) continue;
      const float *feature = in.feature + size_t(p) * in.stride, *mean = &means[size_t(row) * channels];
      float square = 1e-12f;
      for (int c = 0; c < channels; c++) square += (feature[c] - mean[c]) * (feature[c] - mean[c]);
      const float distance = std::sqrt(square), share = memory.share[row], slope = share / distance;
      memory.slope[p] = slope;
      sums.add(row, [&](int c) { return slope * (feature[c] - mean[c]); });
      loss += share * distance;
    }
    losses[part] = loss;
  });
  add_parts(pull, size);
  for (size_t i = 0; i < size; i++) means_gradient[i] -= pull[i];
  double loss = 0;
  for (double part : losses) loss += part;
  return loss;
}

// Weight of mask i's pair with every other: 1 .. 0.1 by closeness rank, 0 beyond the truncation. Keys are the bits of
// the non-negative squares, so that even NaN has its place.
static void rank_weights(const FeatureLossInput& in, int i, int count, const float* square, float* weight) {
  static thread_local std::vector<uint64_t> order;
  order.clear();
  for (int j = 0; j < count; j++) {
    uint32_t bits;
    std::memcpy(&bits, square + j, sizeof bits);
    if (j != i) order.push_back(uint64_t(bits) << 32 | uint32_t(j));
  }
  std::sort(order.begin(), order.end());
  weight[i] = 0.f;
  for (int rank = 0; rank < count - 1; rank++) {
    const uint32_t j = uint32_t(order[rank]);
    const bool far = in.truncation >= 0.f && square[j] > in.truncation * in.truncation;
    weight[j] = far ? 0.f : 1.f - 0.9f * rank / std::max(count - 2, 1);
  }
}

// Mean over pairs of w_ij / (|M_i - M_j|^2 + 1); adds to the gradient of the means.
static double contrast(const FeatureLossInput& in, FeatureMemory& memory) {
  const int channels = in.channels, count = memory.masks.count;
  const double scale = in.contrast_weight / (double(count) * (count - 1));
  const std::vector<float>& means = memory.means;
  std::vector<float>&square = memory.square, &weight = memory.weight, &means_gradient = memory.means_gradient;
  std::vector<double>& losses = memory.losses;
  square.resize(size_t(count) * count);
  weight.resize(size_t(count) * count);
  losses.assign(count, 0.0);
  for_each_mask(in, count, [&](int i) {
    float* row = &square[size_t(i) * count];
    for (int j = 0; j < count; j++) {
      row[j] = 0.f;
      for (int c = 0; c < channels; c++) {
        const float apart = means[size_t(i) * channels + c] - means[size_t(j) * channels + c];
        row[j] += apart * apart;
      }
    }
    rank_weights(in, i, count, row, &weight[size_t(i) * count]);
    for (int j = 0; j < count; j++) losses[i] += weight[size_t(i) * count + j] / (row[j] + 1.f);
  });
  for_each_mask(in, count, [&](int i) {
    for (int j = 0; j < count; j++) {
      const size_t to = size_t(i) * count + j, from = size_t(j) * count + i;
      const float fall = 1.f / (square[to] + 1.f);
      const float slope = float(-2 * scale) * (weight[to] + weight[from]) * fall * fall;
      for (int c = 0; c < channels; c++)
        means_gradient[size_t(i) * channels + c] +=
            slope * (means[size_t(i) * channels + c] - means[size_t(j) * channels + c]);
    }
  });
  double loss = 0;
  for (double row : losses) loss += row;
  return scale * loss;
}

// The gradient of every pixel: towards its mask's mean, and what the mean hands down.
template <int CHANNELS>
static void write_gradient(const FeatureLossInput& in, FeatureMemory& memory) {
  const int channels = CHANNELS ? CHANNELS : in.channels;
  std::vector<float>& handed_down = memory.means_gradient;
  for (size_t i = 0; i < handed_down.size(); i++) handed_down[i] /= memory.masks.pixels[i / channels];
  for_each_part(in, [&](int, int begin, int end) {
    for (int p = begin; p < end; p++) {
      float* __restrict gradient = in.gradient + size_t(p) * in.gradient_stride;
      const int row = memory.row_of_pixel[p];
      if (row < 0) {
        std::memset(gradient, 0, channels * sizeof(float));
        continue;
      }
      const float *feature = in.feature + size_t(p) * in.stride, *mean = &memory.means[size_t(row) * channels],
                  *more = &handed_down[size_t(row) * channels];
      for (int c = 0; c < channels; c++) gradient[c] = memory.slope[p] * (feature[c] - mean[c]) + more[c];
    }
  });
}

template <int CHANNELS>
static double feature_loss(const FeatureLossInput& in) {
  static thread_local FeatureMemory kept;
  FeatureMemory& memory = kept;  // a parallel region's other threads have a `kept` of their own
  memory.masks.read(in);
  mask_means<CHANNELS>(in, memory);
  double loss = smoothness<CHANNELS>(in, memory);
  if (memory.masks.count >= 2) loss += contrast(in, memory);
  write_gradient<CHANNELS>(in, memory);
  return loss;
}

}  // namespace ig

extern "C" int ig_feature_loss(const FeatureLossInput* in, double* loss) try {
  *loss = in->channels == 6 ? ig::feature_loss<6>(*in) : ig::feature_loss<0>(*in);
  return 0;
} catch (const std::bad_alloc&) {
  return 1;
}
