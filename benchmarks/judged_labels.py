"""The labelled cases of the judged tasks, made anew.

`python -m benchmarks.judged_labels --make`: plays every case of `envs.apps.judged.variants` in a browser (five tasks, three seeds each) and writes
`milepost/envs/apps/judged/labels.jsonl`. A case is the task's own solution, that solution with something said or done
otherwise, or a text written by hand; what is right to find was written down before any judge was asked.

`milepost calibrate-judges MODEL@URL` puts the kept cases to judges.
"""

import argparse
import asyncio
from dataclasses import replace

import orjson

from milepost.envs.apps.judged.labels import LABELS, Label
from milepost.envs.apps.judged.variants import CASES, Variant
from milepost.envs.episode import Episode
from milepost.envs.registry import get_template
from milepost.envs.task import Split
from milepost.milestones.judge.evidence import build_pack
from milepost.milestones.judge.question import Finding
from milepost.milestones.judge.rubric import TRUTH
from milepost.sandbox.dialect import render_action
from milepost.sandbox.pool import Pool

SEEDS = 3
LETTERS = {"m": Finding.MET, "n": Finding.NOT_MET}


async def play(pool: Pool, task_id: str, seed: int, variant: Variant) -> Label:
    """Play a case and keep what a judge would be shown of it that the rubric rests on."""
    episode, view = await Episode.open(pool, get_template(task_id), seed, Split.TEST)
    task, rubric = episode.task, episode.task.rubric
    assert rubric is not None
    while not episode.over:
        action = variant.change(task, view, task.oracle(view))
        view = (await episode.step(render_action(action))).observation
    await episode.close()
    if not episode.solved and variant.made != "corruption":
        raise RuntimeError(f"{task_id}, seed {seed}: the case {variant.case!r} did not come to its end")
    pack = build_pack(episode.goal, episode.events, rubric, truth=task.truth)
    wanted = frozenset().union(*(criterion.evidence for criterion in rubric.criteria)) | {TRUTH}
    named = zip((c.id for c in rubric.criteria), variant.findings, strict=True)
    return Label(
        task=task_id,
        seed=seed,
        split=Split.TEST.value,
        case=variant.case,
        made=variant.made,
        pack=replace(pack, items=tuple(item for item in pack.items if item.kind in wanted), left_out=0),
        findings={name: LETTERS[letter] for name, letter in named if letter in LETTERS},
        why=variant.why,
    )


async def make() -> int:
    """Play every case and write the file."""
    pool = Pool(contexts=2)
    labels = []
    try:
        for task_id, variants in CASES.items():
            for seed in range(SEEDS):
                labels += [await play(pool, task_id, seed, variant) for variant in variants]
    finally:
        await pool.close()
    LABELS.write_bytes(b"".join(orjson.dumps(label.to_record()) + b"\n" for label in labels))
    return len(labels)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--make", action="store_true", help="play the cases and write the file")
    if parser.parse_args().make:
        print(f"{asyncio.run(make())} cases in {LABELS}")


if __name__ == "__main__":
    main()
