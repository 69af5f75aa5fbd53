"""How good the small learned reward model is on templates it has not seen.

`python -m benchmarks.reward_model RUN [--folds 4]`: RUN holds episodes that `milepost preferences collect` played. Every
template is held out once; variants of a page count as one template. No rule, reward or task id is an input.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch

from milepost.milestones.learned.ensemble import Ensemble
from milepost.training.reward_model.fitting import load_material
from milepost.training.reward_model.measurement import cross_validate, fit_calibrated, measure
from milepost.training.reward_model.pairs import Pair, export_pairs, read_side


def measure_latency(model: Ensemble, run: Path, pairs: list[Pair]) -> dict[str, float]:
    """Give the processor milliseconds for one transition, features included, episodes already read."""
    episodes = [read_side(run, pair.chosen) for pair in pairs[::10]]
    start = time.process_time()
    for episode in episodes:
        model.score_episode(episode)
    steps = sum(len(episode) for episode in episodes)
    return {"cpu_ms": (time.process_time() - start) * 1e3 / steps, "n": steps}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    pairs = export_pairs(options.run)
    material = load_material(options.run, pairs)
    start, processor = time.perf_counter(), time.process_time()
    model, _ = fit_calibrated(material)
    found: dict[str, Any] = {
        "templates": len(material.keys),
        "training": {"seconds": time.perf_counter() - start, "cpu_s": time.process_time() - processor},
        "transition": measure_latency(model, options.run, pairs),
        "held_out": measure(list(cross_validate(material, folds=options.folds))),
    }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
