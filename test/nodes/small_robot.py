"""The robot's side of a small scene, as a program: sends every frame once the one before is mapped, then saves the map.

python test/nodes/small_robot.py FRAMES NAME [--masks]      (--masks: somebody else makes them; wait for that one)
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import sys
import time

from nodes.scene import small_frame

from ig_ros.nodes.player import PARTS, Player, PlayOptions
from ig_ros.nodes.process import started_ros
from ig_ros.nodes.query_client import MapClient

PATIENCE = 40.0  # s, for anything to happen
SECOND = 1_000_000_000  # ns


def wait(client: MapClient, what: str, done: object, again: object = lambda: None) -> None:
    deadline = time.monotonic() + PATIENCE
    while not done():
        if time.monotonic() > deadline:
            raise SystemExit(f"no {what} after {PATIENCE:g} s; diagnostics: {client.diagnostics}")
        again()
        client.listen(0.1)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("frames", type=int)
    parser.add_argument("name")
    parser.add_argument("--masks", action="store_true")
    given = parser.parse_args()
    with started_ros([]):
        client, player = MapClient(PATIENCE), Player(PlayOptions(masks=False))
        wait(client, "diagnostics", lambda: client.diagnostics)
        wait(client, "subscriber", player.wait_for_subscribers)
        stamp = time.time_ns()
        for number in itertools.count(1):  # until the node knows that masks come, and waits for them
            send(player, player.messages(frame(0), stamp + number * SECOND))
            wait(client, f"warm-up frame {number}", lambda n=number: int(client.diagnostics["frames in"]) >= n)
            if client.diagnostics["dropped: with_masks"] == "1" or not given.masks:
                break
        client.reset()
        wait(client, "reset", lambda: client.diagnostics["frames in"] == "0")
        stamp += (number + 1) * SECOND
        for i in range(given.frames):
            send(player, player.messages(frame(i), stamp + i * SECOND))
            wait(client, f"frame {i}", lambda i=i: int(client.diagnostics.get("frames in", 0)) > i)
        for answer in (client.instantiate(), client.save(given.name)):
            if not answer.success:
                raise SystemExit(answer.message)
        client.destroy_node()
        player.destroy_node()


def send(player: Player, messages: dict) -> None:
    """One part after the other: a socket's default buffer (200 kB) does not hold an image and its depth at once."""
    for part in [p for p in PARTS if p in messages]:
        player.send({part: messages[part]})
        time.sleep(0.03)


def frame(i: int) -> object:
    return dataclasses.replace(small_frame(4 * i), masks=None)  # 4 steps of 2 cm


if __name__ == "__main__":
    sys.exit(main())
