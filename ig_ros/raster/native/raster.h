// Types shared by the stages of the rasteriser.
#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <new>
#include <vector>

#include "abi.h"

namespace ig {

constexpr int TILE = 16;
constexpr float MIN_ALPHA = 1.f / 255.f;         // fainter contributions are skipped
constexpr float LOG2_INVERSE_MIN_ALPHA = 7.9943534f;
constexpr float MIN_TRANSMITTANCE = 1e-4f;       // a pixel this dark is finished
constexpr float BLUR = 0.3f;                     // px^2, added to the projected covariance (EWA low-pass)
constexpr float LOG2E = 1.4426950408889634f;

// Stages of the two passes, as ig_raster_seconds() reports them.
enum Stage { PROJECT, SORT, LIST, BLEND, BLEND_BACKWARD, PROJECT_BACKWARD, STAGES };

// Measures a stage from its construction to its destruction.
class Stopwatch {
 public:
  explicit Stopwatch(double& seconds) : seconds_(seconds), begin_(std::chrono::steady_clock::now()) {}
  ~Stopwatch() { seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(); }

 private:
  double& seconds_;
  std::chrono::steady_clock::time_point begin_;
};

// Growing scratch memory: grows by half, never shrinks, content is lost on growth, 64-byte aligned.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { std::free(data_); }
  T* require(size_t n) {
    if (n > capacity_) {
      std::free(data_);
      capacity_ = n + n / 2;
      data_ = static_cast<T*>(std::aligned_alloc(64, (capacity_ * sizeof(T) + 63) & ~size_t(63)));
      if (!data_) {
        capacity_ = 0;
        throw std::bad_alloc();
      }
    }
    return data_;
  }
  T* data() { return data_; }
  const T* data() const { return data_; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }
  size_t capacity() const { return capacity_; }

 private:
  T* data_ = nullptr;
  size_t capacity_ = 0;
};

// A projected Gaussian. alpha(dx, dy) = 2^(log2_opacity + xx dx^2 + xy dx dy + yy dy^2).
struct Splat {
  float x, y, xx, xy, yy, log2_opacity, extent_x, extent_y;  // extents of the ellipse alpha = MIN_ALPHA, px
  float depth;                                              // m along z
};
static_assert(sizeof(Splat) == 9 * sizeof(float), "written as rows of a table");

// One (Gaussian, tile) pair in its tile's list.
struct Entry {
  uint32_t rank;   // of the Gaussian by depth
  uint32_t index;  // among all entries ordered by (rank, tile): where its gradients go
  uint64_t cells;  // bit set: the ellipse may touch that cell of the tile
};

// What one thread found in its contiguous share of the depth order, before the shares are merged.
struct Share {
  std::vector<Entry> found;  // by (rank, tile); `index` holds the tile meanwhile
  Buffer<int32_t> next;      // per tile: count, then the next free place in the tile's list
  size_t first = 0;          // index of the share's first entry
};

// Geometry gradients of one Gaussian as moments of dL/dsigma over its pixels (sigma = -ln(alpha / opacity)).
struct Moments {
  float one, x, y, xx, xy, yy;
};

// Where a channel lives in an (H, W, ...) image.
struct Plane {
  int32_t offset, stride;
  bool is_depth;
};

struct Workspace {
  // Record of the Gaussian of each rank: x, y, xx, xy, yy, log2_opacity, gate, unused, then the channels.
  static constexpr int HEADER = 8;
  Buffer<float> records;
  int record_size = 0;
  std::vector<Plane> channels;  // in record order: ungated features, depth, gated features
  int ungated = 0;              // how many of them come first
  Buffer<Splat> splats;         // by Gaussian
  Buffer<uint32_t> keys, keys_swap, order, order_swap;  // order: rank -> Gaussian
  Buffer<uint32_t> digits;                              // how often each digit of the keys occurs
  Buffer<uint32_t> entry_begin;                         // rank -> first entry index, one more at the end
  Buffer<int32_t> tile_begin;                           // tile -> first place in `entries`, one more at the end
  Buffer<Entry> entries;
  std::deque<Share> shares;  // a deque: shares cannot move
  Buffer<float> entry_gradients;
  Buffer<Moments> moments;       // by rank
  Buffer<float> depth_gradient;  // by rank
  Buffer<int32_t> rank_of;       // Gaussian -> rank, -1 where it reaches no tile; filled by the backward pass
  double seconds[STAGES] = {};   // what each stage of the last passes took
  int visible = 0;               // Gaussians in depth order
  size_t entry_count = 0;
  int tiles_x = 0, tiles_y = 0;
};

// bin.cpp: project, cull, sort by depth, list per tile.
void bin(Workspace& w, const RasterInput& in, uint8_t* visible);
// forward.cpp
void blend_forward(const Workspace& w, const RasterInput& in, const RasterOutput& out);
// top.cpp
void top_contributor(const Workspace& w, const RasterInput& in, int32_t* top);
// backward.cpp
void blend_backward(Workspace& w, const RasterInput& in, const RasterOutput& out, const RasterGradients& grad);

}  // namespace ig
