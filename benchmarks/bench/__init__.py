"""How fast everything is, as ratios taken side by side in one run."""
