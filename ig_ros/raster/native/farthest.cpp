// Farthest point sampling [Eldar et al. 1997] of many sets of points at once.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <new>
#include <vector>

extern "C" {

// Sets of points, one after another. Mirrored by farthest.py.
struct PointSets {
  const float* points;          // (N, D)
  const int64_t *first, *seed;  // (S + 1) first point, and first seed, of each set
  int64_t sets, dims;
};

}  // extern "C"

namespace {

constexpr int64_t BLOCK = 64;  // points whose distances are found together

// One set: how far each of n points is from the nearest seed, squared. Coordinates lie by dimension, in whole blocks.
class Cover {
 public:
  Cover(const float* points, int64_t n, int64_t dims)
      : blocks_((n + BLOCK - 1) / BLOCK),
        dims_(dims),
        at_(blocks_ * BLOCK * dims),
        nearest_(blocks_ * BLOCK, -1),
        top_(blocks_) {
    for (int64_t i = 0; i < n; i++)
      for (int64_t d = 0; d < dims; d++) at(i / BLOCK, d)[i % BLOCK] = points[i * dims + d];
    std::fill_n(nearest_.begin(), n, std::numeric_limits<float>::infinity());
  }

  void add(const float* seed) {
    for (int64_t b = 0; b < blocks_; b++) {
      float square[BLOCK] = {};
      for (int64_t d = 0; d < dims_; d++) {
        const float *axis = at(b, d), from = seed[d];
#pragma omp simd
        for (int64_t i = 0; i < BLOCK; i++) square[i] += (axis[i] - from) * (axis[i] - from);
      }
      float *nearest = nearest_.data() + b * BLOCK, top = -1;
#pragma omp simd reduction(max : top)
      for (int64_t i = 0; i < BLOCK; i++) {
        nearest[i] = std::min(nearest[i], square[i]);
        top = std::max(top, nearest[i]);
      }
      top_[b] = top;
    }
  }

  // The first of the points that are farthest from all seeds.
  int64_t farthest() const {
    const int64_t block = std::max_element(top_.begin(), top_.end()) - top_.begin();
    const auto begin = nearest_.begin() + block * BLOCK;
    return std::find(begin, begin + BLOCK, top_[block]) - nearest_.begin();
  }

  float radius(int64_t point) const { return std::sqrt(nearest_[point]); }

 private:
  float* at(int64_t block, int64_t d) { return at_.data() + (block * dims_ + d) * BLOCK; }

  int64_t blocks_, dims_;
  std::vector<float> at_, nearest_, top_;  // what fills up the last block stays at -1: never the farthest
};

void sample(const float* points, int64_t n, int64_t dims, int64_t count, int64_t* seed, float* radius) {
  Cover cover(points, n, dims);
  for (int64_t s = 0, next = 0; s < count; s++) {
    seed[s] = next;
    radius[s] = cover.radius(next);
    cover.add(points + next * dims);
    next = cover.farthest();
  }
}

}  // namespace

extern "C" {

// seed[s], radius[s] = row within its set, and distance to the set's earlier seeds, of the seeds first[k] .. of set k.
// Returns 1 when memory is short, else 0.
int ig_farthest(const PointSets* in, int64_t* seed, float* radius, int32_t threads) {
  int failed = 0;
#pragma omp parallel for schedule(dynamic) num_threads(threads) reduction(| : failed)
  for (int64_t k = 0; k < in->sets; k++) try {
      const int64_t begin = in->seed[k];
      sample(in->points + in->first[k] * in->dims, in->first[k + 1] - in->first[k], in->dims, in->seed[k + 1] - begin,
             seed + begin, radius + begin);
    } catch (const std::bad_alloc&) {
      failed = 1;
    }
  return failed;
}

}  // extern "C"
