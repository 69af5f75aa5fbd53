"""Fits the text tier: Bradley-Terry over length-normalised sums, one prompt with all its episodes a batch element."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from milepost.milestones.learned.ensemble import LENGTH_POWER
from milepost.milestones.learned.transition import Transition
from milepost.training.reward_model.fitting import bradley_terry, fit_line
from milepost.training.reward_model.pairs import Pair, PreferenceError, Side, read_side, split_key
from milepost.training.reward_model.text_tier import TINY, TextModel, open_trunk


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRecipe:
    """How a text model is fitted."""

    source: str = TINY
    heads: int = 5
    kept: float = 0.8
    """Part of the hidden features that a head sees."""
    epochs: int = 2
    learning_rate: float = 1e-3
    """For the tiny one; a pre-trained trunk wants 1e-5 to 5e-5."""
    margin: float = 0.5
    centring: float = 0.01
    max_tokens: int = 256
    familiar: float = 0.995
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """Pairs with the steps of their sides."""

    pairs: tuple[Pair, ...]
    steps: Mapping[Side, tuple[Transition, ...]]

    @property
    def keys(self) -> tuple[str, ...]:
        """The split keys, sorted."""
        return tuple(sorted({split_key(pair.template) for pair in self.pairs}))

    def select(self, keys: frozenset[str]) -> "Texts":
        """Give the part whose templates have one of these split keys."""
        kept = tuple(pair for pair in self.pairs if split_key(pair.template) in keys)
        return Texts(pairs=kept, steps=self.steps)

    @property
    def sides(self) -> list[Side]:
        """Every side of the pairs, once, in order."""
        return list(dict.fromkeys(side for pair in self.pairs for side in (pair.chosen, pair.rejected)))


def load_texts(run: Path, pairs: Sequence[Pair]) -> Texts:
    """Read the episodes of pairs.

    Raises:
        PreferenceError: an episode cannot be read.
    """
    steps = {side: read_side(run, side) for pair in pairs for side in (pair.chosen, pair.rejected)}
    kept = tuple(pair for pair in pairs if steps[pair.chosen] and steps[pair.rejected])
    return Texts(pairs=kept, steps=steps)


def fit_text(
    texts: Texts, recipe: TextRecipe | None = None, *, on_prompt: Callable[[int, float], None] | None = None
) -> TextModel:
    """Fit on three quarters of the templates and calibrate on the others.

    Args:
        texts: what is fitted.
        recipe: how.
        on_prompt: called with the number of the prompt and its loss.

    Raises:
        PreferenceError: fewer than two templates.
        ModelFormatError: the trunk cannot be opened.
    """
    recipe = recipe or TextRecipe()
    rng = np.random.default_rng(recipe.seed)
    keys = [str(key) for key in rng.permutation(texts.keys)]
    if len(keys) < 2:
        raise PreferenceError(f"a model needs two templates or more, one to calibrate on; got {keys}")
    held = frozenset(keys[::4])
    rest = texts.select(frozenset(keys) - held)
    model = _begin(recipe, rng)
    _descend(model, rest, recipe, rng, on_prompt)
    _describe(model, rest, recipe)
    points = [(model.score_episode(texts.steps[side]), side.success) for side in texts.select(held).sides]
    model.slope, model.penalty, model.offset = fit_line(points)
    model.templates = rest.keys
    return model


def rank_loss(
    returns_KN: torch.Tensor, pairs: Sequence[tuple[int, int, float]], *, margin: float, centring: float
) -> torch.Tensor:
    """Give each head's loss of one prompt: the mean over its C pairs (Ouyang et al. 2022, equation 1), and centring.

    Args:
        returns_KN: length-normalised returns of the prompt's episodes, each computed once.
        pairs: indices of chosen and rejected, and the pair's margin.
        margin: margin of a pair whose margin is 1.
        centring: weight of (G(chosen) + G(rejected))^2, Eisenstein et al. 2023.
    """
    chosen, rejected = (torch.tensor([pair[n] for pair in pairs]) for n in (0, 1))
    margins = returns_KN.new_tensor([pair[2] for pair in pairs])
    one_KC, other_KC = returns_KN[:, chosen], returns_KN[:, rejected]
    ranking = bradley_terry(one_KC, other_KC, margin=margin * margins, weight=torch.ones_like(margins))
    return ranking + centring * ((one_KC + other_KC) ** 2).mean(1)


def _begin(recipe: TextRecipe, rng: np.random.Generator) -> TextModel:
    trunk, tokenizer = open_trunk(recipe.source, seed=recipe.seed)
    size = int(trunk.config.hidden_size)
    head = torch.tensor(rng.normal(0, size**-0.5, (recipe.heads, size)), dtype=torch.float32)
    mask = torch.tensor(rng.random((recipe.heads, size)) < recipe.kept, dtype=torch.float32)
    return TextModel(
        trunk=trunk.eval(),  # type: ignore[no-untyped-call]  # dropout stays off: a pair must see one model
        tokenizer=tokenizer,
        head_KH=head.requires_grad_(),
        mask_KH=mask,
        centre_K=np.zeros(recipe.heads),
        max_tokens=recipe.max_tokens,
        mean_H=np.zeros(size),
        precision_HH=np.eye(size),
        familiar=float("inf"),
    )


def _descend(
    model: TextModel,
    texts: Texts,
    recipe: TextRecipe,
    rng: np.random.Generator,
    on_prompt: Callable[[int, float], None] | None,
) -> None:
    """Go over the prompts; each head counts each template as often as a Poisson bootstrap says."""
    prompts = [list(g) for _, g in itertools.groupby(sorted(texts.pairs, key=_prompt), key=_prompt)]
    drawn = {key: rng.poisson(1.0, recipe.heads).astype(np.float32) for key in texts.keys}
    parameters = [*model.trunk.parameters(), model.head_KH]
    optimizer = torch.optim.AdamW(parameters, lr=recipe.learning_rate, weight_decay=0.01)
    total = recipe.epochs * len(prompts)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.learning_rate, max(total, 2))
    order = [int(n) for _ in range(recipe.epochs) for n in rng.permutation(len(prompts))]
    for number, place in enumerate(order):
        pairs = prompts[place]
        weight_K = torch.tensor(drawn[split_key(pairs[0].template)])
        sides = list(dict.fromkeys(side for pair in pairs for side in (pair.chosen, pair.rejected)))
        index = {side: n for n, side in enumerate(sides)}
        returns_KN = _returns(model, [texts.steps[side] for side in sides])
        losses_K = rank_loss(
            returns_KN,
            [(index[p.chosen], index[p.rejected], p.margin) for p in pairs],
            margin=recipe.margin,
            centring=recipe.centring,
        )
        loss = (weight_K * losses_K).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        if on_prompt is not None:
            on_prompt(number, float(losses_K.detach().mean()))
    model.head_KH = model.head_KH.detach()


def _prompt(pair: Pair) -> str:
    return pair.prompt


def _returns(model: TextModel, episodes: Sequence[Sequence[Transition]]) -> torch.Tensor:
    """Give the length-normalised returns of some episodes, shape (heads, episodes), in one forward pass."""
    lengths = torch.tensor([len(episode) for episode in episodes])
    hidden_SH = model.encode([step for episode in episodes for step in episode])
    rewards_KS = model.reward_hidden(hidden_SH)
    side_S = torch.repeat_interleave(torch.arange(len(episodes)), lengths)
    sums_KN = rewards_KS.new_zeros(len(rewards_KS), len(episodes)).index_add(1, side_S, rewards_KS)
    return sums_KN / lengths**LENGTH_POWER


def _describe(model: TextModel, texts: Texts, recipe: TextRecipe) -> None:
    """Centre demonstrations at 0 and note what is familiar."""
    hidden = {side: model.encode_episode(texts.steps[side]) for side in texts.sides}
    means = np.array([h.double().numpy().mean(0) for h in hidden.values()])
    model.mean_H = means.mean(0)
    covariance = np.cov(means.T)
    covariance += (0.05 * np.trace(covariance) / len(covariance) + 1e-9) * np.eye(len(covariance))
    model.precision_HH = np.linalg.inv(covariance).astype(np.float64)
    away = means - model.mean_H
    distances = np.einsum("nh,hg,ng->n", away, model.precision_HH, away)
    model.familiar = float(np.quantile(distances, recipe.familiar))
    shown = [h for side, h in hidden.items() if side.is_demonstration]
    shown = shown or [hidden[pair.chosen] for pair in texts.pairs]
    returns = [model.reward_hidden(h).double().sum(1).numpy() / len(h) ** LENGTH_POWER for h in shown]
    model.centre_K = np.mean(returns, axis=0)
