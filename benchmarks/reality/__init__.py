"""Real and perturbed scenes: what is left of the map where poses, depth and images are not the simulator's."""
