// Adam on the rows of tables that were in view: one pass over memory instead of a dozen, nothing for the others.
#include <cmath>
#include <cstdint>

#include "abi.h"

namespace {

struct AdamStep {
  float beta1, beta2, step, correct2, epsilon;
};

void adam_row(float* __restrict p, float* __restrict m, float* __restrict v, const float* __restrict g, int64_t width,
              AdamStep s) {
  for (int64_t c = 0; c < width; c++) {
    m[c] = s.beta1 * m[c] + (1.0f - s.beta1) * g[c];
    v[c] = s.beta2 * v[c] + (1.0f - s.beta2) * g[c] * g[c];
    p[c] -= s.step * m[c] / (std::sqrt(v[c] * s.correct2) + s.epsilon);
  }
}

}  // namespace

extern "C" int ig_adam_rows(const AdamTable* tables, int64_t many, const int64_t* rows, int64_t count, float beta1,
                            float beta2, float epsilon, int32_t threads) {
#pragma omp parallel num_threads(threads)
  for (int64_t t = 0; t < many; t++) {
    const AdamTable at = tables[t];
    float known = 0.f, correct1 = 0.f, correct2 = 0.f;  // anchors of one age stand together: powers are dear
#pragma omp for schedule(static) nowait
    for (int64_t i = 0; i < count; i++) {
      const int64_t row = rows[i], here = row * at.width;
      const float own = at.rate[at.one_rate ? 0 : i];
      const float age = static_cast<float>(at.visits[row] > 0 ? at.visits[row] : 1);
      if (own < 0.f) continue;
      if (age != known) {
        correct1 = 1.0f / (1.0f - std::pow(beta1, age));
        correct2 = 1.0f / (1.0f - std::pow(beta2, age));
        known = age;
      }
      adam_row(at.parameter + here, at.first + here, at.second + here, at.gradient + i * at.width, at.width,
               {beta1, beta2, own * correct1, correct2, epsilon});
    }
  }
  return 0;
}
