"""Fits the text tier: Bradley-Terry over length-normalised sums, one prompt with all its episodes a batch element."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import torch

from milepost.milestones.learned.gauge import LENGTH_POWER, open_gauge
from milepost.milestones.learned.transition import Transition
from milepost.training.reward_model.fitting import bradley_terry
from milepost.training.reward_model.gauging import calibrate, fit_gauge, make_points
from milepost.training.reward_model.material import Texts
from milepost.training.reward_model.pairs import Pair, PreferenceError, split_key
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
    _descend(model, rest, recipe, rng, {}, on_prompt)
    _describe(model, rest, recipe)
    model.gauge = calibrate(model.gauge, make_points(texts.select(held), model.score_episode))
    model.templates = rest.keys
    return model


def go_on(model: TextModel, texts: Texts, recipe: TextRecipe, *, emphasis: Mapping[str, float]) -> TextModel:
    """Fit a copy of a model further; it is not calibrated.

    Args:
        model: stays as it is.
        texts: what is fitted.
        recipe: how; what is the model's own, such as its trunk and heads, is left alone.
        emphasis: how much more a prompt counts, 1 where it says nothing.
    """
    fresh = replace(model, trunk=deepcopy(model.trunk), head_KH=model.head_KH.clone().requires_grad_())
    _descend(
        fresh, texts, replace(recipe, heads=len(model.head_KH)), np.random.default_rng(recipe.seed), emphasis
    )
    _describe(fresh, texts, recipe)
    return fresh


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
        max_tokens=recipe.max_tokens,
        gauge=open_gauge(recipe.heads, size),
    )


def _descend(
    model: TextModel,
    texts: Texts,
    recipe: TextRecipe,
    rng: np.random.Generator,
    emphasis: Mapping[str, float],
    on_prompt: Callable[[int, float], None] | None = None,
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
        returns_KN = _returns(model, [texts.inputs[side] for side in sides])
        losses_K = rank_loss(
            returns_KN,
            [(index[p.chosen], index[p.rejected], p.margin) for p in pairs],
            margin=recipe.margin,
            centring=recipe.centring,
        )
        loss = emphasis.get(pairs[0].prompt, 1.0) * (weight_K * losses_K).mean()
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
    hidden = {side: model.encode_episode(texts.inputs[side]) for side in texts.sides}
    inputs = [one.double().numpy() for one in hidden.values()]
    # Hidden states have no scale of their own: the ridge is a part of their mean variance.
    variance = float(np.array([one.mean(0) for one in inputs]).var(0, ddof=1).mean())
    model.gauge = fit_gauge(
        inputs,
        [model.reward_hidden(hidden[side]).double().numpy() for side in texts.demonstrations],
        familiar=recipe.familiar,
        ridge=0.05 * variance + 1e-9,
    )
