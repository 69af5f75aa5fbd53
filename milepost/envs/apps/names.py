"""Names that the apps beyond the first three show.

They stand apart from `words`, whose every word is a token of the shipped policy.
"""

import numpy as np

from milepost.envs.apps import words
from milepost.envs.task import choose

OPENINGS = (
    "", "Please ", "I want to ", "I need to ", "We need to ", "We want to ", "Next, ", "Your task: ", "I would like to ",
)  # fmt: skip
"""Ways to begin a goal."""

DOMAINS = ("acme.test", "northwind.test", "fabrikam.test")
"""Where people have their mail addresses."""

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
"""Days of a week."""

MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September")
"""Months that have a name of their own in goals."""

TOPICS = (
    "Budget", "Roadmap", "Contract", "Offer", "Agenda", "Survey", "Handbook", "Launch", "Audit", "Training", "Travel", "Hiring",
)  # fmt: skip
"""What documents and messages are about."""


def draw_people(rng: np.random.Generator, count: int) -> list[str]:
    """Draw people; the first two share their given name and the third has the first one's family name."""
    first = [str(name) for name in rng.permutation(words.FIRST_NAMES)]
    last = [str(name) for name in rng.permutation(words.SURNAMES)]
    people = [f"{first[0]} {last[0]}", f"{first[0]} {last[1]}", f"{first[1]} {last[0]}"]
    people += [f"{first[i]} {last[i]}" for i in range(2, count)]
    return people[:count]


def draw_companies(rng: np.random.Generator, count: int) -> list[str]:
    """Draw companies; the first two share their first word and the third has the first one's second word."""
    colors = [str(name) for name in rng.permutation(words.COLORS)]
    shops = [str(name) for name in rng.permutation(words.SHOPS)]
    companies = [f"{colors[0]} {shops[0]}", f"{colors[0]} {shops[1]}", f"{colors[1]} {shops[0]}"]
    companies += [f"{colors[i % len(colors)]} {shops[i]}" for i in range(2, count)]
    return companies[:count]


def make_address(person: str, domain: str) -> str:
    """Write a person's mail address: `ada.smith@acme.test`."""
    return f"{person.lower().replace(' ', '.')}@{domain}"


def draw_amount(rng: np.random.Generator, least: int = 40, most: int = 9_000) -> int:
    """Draw a whole amount."""
    return int(rng.integers(least, most))


def mix(rng: np.random.Generator, things: list[str]) -> list[str]:
    """Give the things in a random order."""
    return [things[int(index)] for index in rng.permutation(len(things))]


def draw_one(rng: np.random.Generator, *options: str) -> str:
    """Draw one of a few captions."""
    return choose(rng, options)
