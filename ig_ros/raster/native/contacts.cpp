// Where neighbouring points belong to different groups, and how surely the surface goes on from one to the other.
#include <algorithm>
#include <cmath>
#include <cstdint>

extern "C" {

// N points and k neighbours of each. Mirrored by contacts.py.
struct ContactPoints {
  const float *position, *normal, *color;  // (N, 3) m; unit or zero; in [0, 1]
  const float* reach;                      // (N) m
  const int32_t* owner;                    // (N) group
  const int32_t* neighbor;                 // (N, k)
  int64_t count, neighbors;
  float crease, crease_sharpness, step, step_sharpness;  // of the two sigmoids
};

}  // extern "C"

namespace {

struct Vector {
  float x, y, z;
  explicit Vector(const float* v) : x(v[0]), y(v[1]), z(v[2]) {}
  Vector(float x, float y, float z) : x(x), y(y), z(z) {}
  Vector operator-(const Vector& o) const { return {x - o.x, y - o.y, z - o.z}; }
  float dot(const Vector& o) const { return x * o.x + y * o.y + z * o.z; }
};

float no_edge(float value, float limit, float sharpness) { return 1 / (1 + std::exp(sharpness * (value - limit))); }

// Belief in [0, 1] that the surface goes on from i to j: no concave crease, no step of colour. Below 0 = no contact.
float contact(const ContactPoints& at, int64_t i, int64_t j) {
  if (at.owner[i] == at.owner[j]) return -1;
  const Vector way = Vector(at.position + 3 * j) - Vector(at.position + 3 * i);
  const float square = way.dot(way), reach = std::max(at.reach[i], at.reach[j]);
  if (!(square <= reach * reach)) return -1;
  const Vector turn = Vector(at.normal + 3 * i) - Vector(at.normal + 3 * j);
  const Vector step = Vector(at.color + 3 * i) - Vector(at.color + 3 * j);
  const float concavity = turn.dot(way) / std::max(std::sqrt(square), 1e-6f);
  return no_edge(concavity, at.crease, at.crease_sharpness) *
         no_edge(std::sqrt(step.dot(step)), at.step, at.step_sharpness);
}

}  // namespace

extern "C" {

// smooth[i, n] = belief that the surface goes on from point i to its nth neighbour, below 0 where they are of one group
// or out of reach. Returns 0.
int ig_contacts(const ContactPoints* at, float* smooth, int32_t threads) {
#pragma omp parallel for schedule(static) num_threads(threads)
  for (int64_t i = 0; i < at->count; i++)
    for (int64_t n = i * at->neighbors; n < (i + 1) * at->neighbors; n++)
      smooth[n] = contact(*at, i, at->neighbor[n]);
  return 0;
}

}  // extern "C"
