"""Other ways to find objects, behind one interface: what a user would pick instead, on the same maps."""

from benchmarks.baselines.base import Material, Method, Prediction, material_of

__all__ = ["Material", "Method", "Prediction", "material_of"]
