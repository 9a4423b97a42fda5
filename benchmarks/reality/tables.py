"""The geometric segmenter on real tabletops, see benchmarks/tabletops.py."""
