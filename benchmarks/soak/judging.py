"""What a soak must show: the targets, and which of them its figures miss."""

from __future__ import annotations

from typing import Any

KILLS = 30
GROWTH = 0.05  # of the memory after the warm-up
MIOU = 2.0  # points, between the disturbed and the undisturbed run
IDS = 0.95  # share kept, or as many as without any fault: an object on the edge of what is seen may come and go


def failures(figures: dict[str, Any]) -> list[str]:
    """The targets missed, in words; of a quick run faults and kills alone count, its map is not full yet."""
    missed = [f"{name}: {trouble}" for name, trouble in figures["faults"].items() if trouble]
    if not figures["faults_injected"] or figures["faults_survived_share"] < 1.0:
        missed.append(f"{figures['faults_survived_share']:.0%} of {figures['faults_injected']} faults were survived")
    if figures["kills_survived"] != KILLS:
        missed.append(f"{figures['kills_survived']} of {KILLS} kills were survived")
    if figures["quick"]:
        return missed
    if not figures["rss_growth"] < GROWTH:
        missed.append(f"memory has grown by {figures['rss_growth']:.1%}, less than {GROWTH:.0%} is allowed")
    if not abs(figures["miou_delta"]) <= MIOU:
        missed.append(f"mIoU differs by {figures['miou_delta']:+.1f} points, {MIOU:g} are allowed")
    least = min(IDS, figures["ids_kept_share_undisturbed"])
    if not figures["ids_kept_share"] >= least or not figures["ids_kept_share"]:
        missed.append(f"{figures['ids_kept_share']:.0%} of the ids were kept, {least:.0%} is the least")
    return missed
