"""`python -m benchmarks.segmenter`: the geometric segmenter on real Kinect frames, image by image and as a map."""
