"""The closed vocabulary of names that the built-in apps show.

People and places were drawn once with Faker (`Faker("en_US")`, `seed_instance(20)`, plain words of at most
eight letters) and are kept here, so that a task does not change with Faker's version and a small policy's
word list covers every task.
"""

import difflib
import itertools
import string
import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from milepost.envs.task import Split, choose

FIRST_NAMES = (
    "Rebecca", "Gina", "Katie", "Jordan", "Cynthia", "Monica", "Ashley", "Gary", "Robert", "Victoria",
    "Luis", "Shannon", "Jason", "Regina", "Matthew", "Ronald", "Linda", "Travis", "James", "Hannah",
)  # fmt: skip
"""Given names of people."""

SURNAMES = (
    "Robinson", "Young", "Newman", "Turner", "Taylor", "Greene", "Fowler", "Peters", "Reynolds", "Martin",
    "Norris", "Cooper", "Wilson", "Lawson", "Graham", "Henson", "Stewart", "Moreno", "Hines", "Gibson",
)  # fmt: skip
"""Family names of people."""

CITIES = (
    "Longtown", "Clarkton", "Codyport", "Davidton", "Woodview", "Royfort", "Hallberg", "Smithton", "Saraview", "Colefort",
)  # fmt: skip
"""Cities."""

COLORS = ("Blue", "Red", "Green", "Silver", "Golden", "White", "Black", "Orange", "Purple", "Gray")
"""First words of shop names."""

SHOPS = (
    "Cab", "Diner", "Hotel", "Cafe", "Garage", "Market", "Press", "Bakery", "Airline", "Printer",
    "Parking", "Museum", "Hardware", "Florist", "Station", "Kitchen",
)  # fmt: skip
"""Second words of shop names."""

PERIODS = ("Daily", "Weekly", "Monthly", "Quarterly", "Annual")
"""First words of report titles."""

SUBJECTS = (
    "Revenue", "Refunds", "Orders", "Payroll", "Traffic", "Inventory", "Invoices", "Budget", "Sales", "Returns",
    "Visitors", "Support",
)  # fmt: skip
"""Second words of report titles."""

MATERIALS = (
    "Copper", "Steel", "Glass", "Wooden", "Linen", "Cotton", "Leather", "Ceramic", "Bamboo", "Marble", "Velvet", "Rattan",
)  # fmt: skip
"""First words of product names."""

PRODUCTS = (
    "Kettle", "Lamp", "Chair", "Mirror", "Basket", "Clock", "Bowl", "Vase", "Tray", "Shelf", "Stool", "Bottle",
    "Table", "Frame", "Candle", "Cushion",
)  # fmt: skip
"""Second words of product names."""

SIZES = ("Mini", "Small", "Large", "Tall")
"""Optional third words of product names."""

REGIONS = ("North", "South", "East", "West")
"""Parts of a report."""


def split_wordings(*slots: Sequence[str]) -> Mapping[Split, tuple[str, ...]]:
    """Combine the parts of a goal's wording in every way and share the combinations out over the splits.

    One in eight is for validation and one in eight for test, chosen by a checksum of the text. So held-out
    goals are put in ways nobody was trained on, and a new part does not move the others to another split.

    Args:
        slots: the ways to begin, to go on, and to end, with `{...}` where values go.
    """
    found: dict[Split, list[str]] = {split: [] for split in Split}
    for parts in itertools.product(*slots):
        text = "".join(parts)
        text = text[0].upper() + text[1:]
        place = zlib.crc32(text.encode()) % 8
        found[{0: Split.VALIDATION, 1: Split.TEST}.get(place, Split.TRAIN)].append(text)
    return {split: tuple(texts) for split, texts in found.items()}


class WordingError(ValueError):
    """A wording of a goal has a name in braces for which there is no value."""


def put_goal(
    rng: np.random.Generator, wordings: Mapping[Split, Sequence[str]], split: Split, **values: object
) -> str:
    """Draw one of a split's wordings and put the values, each in double quotes, where their names stand in braces.

    The wordings of all splits are checked, so that a misspelt name is found at the first goal and not at the first
    that happens to be put so.

    Raises:
        WordingError: a wording names what there is no value for; says which, and the nearest name.
    """
    for wording in itertools.chain.from_iterable(wordings.values()):
        for _, name, _, _ in string.Formatter().parse(wording):
            if name is not None and name not in values:
                near = difflib.get_close_matches(name, values, n=1, cutoff=0.4)
                known = f"did you mean {{{near[0]}}}?" if near else f"known are {', '.join(sorted(values))}"
                raise WordingError(f"the wording {wording!r} has an unknown name {{{name}}}; {known}")
    return choose(rng, wordings[split]).format(**{name: f'"{value}"' for name, value in values.items()})
