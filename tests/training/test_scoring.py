import torch
from torch import Tensor

from milepost.training.batch import MicroBatch, Row
from milepost.training.scoring import score_rows


def test_every_token_gets_its_number_in_the_order_of_the_rows() -> None:
    shapes = [((1, 2, 3), (7, 8)), ((4,), (9,)), ((1, 2, 3), (7, 8)), ((1, 2, 3), (5, 6, 7))]
    rows = [Row(prompt_ids=p, completion_ids=c, sampler_logps=(0.0,) * len(c)) for p, c in shapes]

    def score(batch: MicroBatch) -> Tensor:
        return batch.target_U.float()

    for budget in (1, 6, 100):
        found = score_rows(score, rows, token_budget=budget, share_prompts=True, device=torch.device("cpu"))
        assert found == [[7.0, 8.0], [9.0], [7.0, 8.0], [5.0, 6.0, 7.0]]
