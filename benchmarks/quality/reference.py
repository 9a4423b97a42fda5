"""What the papers report, on other data and hardware: for orientation, never compared by a program."""

from __future__ import annotations

# ScanNet, 10 scenes, one RTX 3090 [IG, Tables 1-5]. mIoU / mAcc of instances; mIoU / mAcc of 19 classes.
SCANNET_TABLE = (
    ("GaussianGrouping", "22.55 / 30.54", "-", "-"),
    ("LangSplat", "-", "3.78 / 9.11", "1153 s"),
    ("LEGaussians", "-", "3.84 / 10.87", "1011 s"),
    ("OpenGaussian", "27.32 / 52.44", "24.73 / 41.54", "1378 s"),
    ("InstanceGaussian", "50.27 / 80.22", "40.66 / 54.01", "1847 s"),
    ("MaskClustering (uses depth)", "54.17 / 80.95", "34.59 / 54.32", "-"),
)
SCANNET_HEAD = ("", "instances mIoU / mA25", "19 classes mIoU / mAcc", "training")
ABLATION_TABLE = (
    ("joint representation or joint training alone (two rows)", "30.71 / 47.40 and 33.15 / 49.57"),
    ("both", "40.66 / 50.27"),
    ("aggregation on colour + space", "21.75 / 27.50"),
    ("aggregation on feature only", "28.98 / 43.41"),
    ("aggregation on feature + voxel", "40.66 / 50.27"),
    ("HDBSCAN on features", "31.84 / 44.76"),
)
ABLATION_HEAD = ("", "semantic mIoU / instance mIoU")

# Row order of the paper's Table 1 with the rows it does not have after it, and whom each row of ours stands for.
STANDS_FOR = {
    "tracking association": "GaussianGrouping",
    "per-Gaussian language": "LangSplat, LEGaussians",
    "two-level codebook": "OpenGaussian",
    "feature + voxel aggregation": "InstanceGaussian's own aggregation",
    "mask graph clustering": "MaskClustering",
    "HDBSCAN on features": "IG Table 5",
    "HDBSCAN on features + position": "IG Table 5, helped by position",
    "colour + space aggregation": "IG Table 5",
    "voxel-only aggregation": "IG Table 5",
    "feature-only aggregation": "IG Table 5",
    "plain mask fusion": "overlap and votes",
    "mask fusion": "ConceptGraphs, DualMap (geometry)",
    "mask fusion + words": "ConceptGraphs, DualMap",
    "training-free consensus": "steps 4a-4e of docs/method.md",
    "ours": "this project",
}
TABLE_5 = (
    "HDBSCAN on features",
    "colour + space aggregation",
    "voxel-only aggregation",
    "feature-only aggregation",
    "feature + voxel aggregation",
    "ours",
)


def ordered(names: list[str]) -> list[str]:
    """Names in the order of the tables; unknown ones before the last row, which is ours."""
    order = {name: i for i, name in enumerate(STANDS_FOR)}
    return sorted(names, key=lambda n: order.get(n, len(order) - 1.5))
