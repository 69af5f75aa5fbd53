"""The words of synthetic lessons and of the tiny policy's tokenizer: interface words, names, values."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from faker.providers.lorem.en_US import Provider as Lorem
from faker.providers.person.en_US import Provider as Person

_T = TypeVar("_T")

_DIALECT = (
    "goal page tabs more file dialog last error value text alert confirm prompt beforeunload created modified moved "
    "button link textbox searchbox spinbutton combobox listbox option checkbox radio switch slider tab menuitem "
    "heading list listitem table row cell columnheader rowheader navigation main form paragraph img dialog status "
    "region group article banner contentinfo search generic checked disabled expanded collapsed focused invalid "
    "offscreen required selected expected element call no action"
)

_VERBS = (
    "click fill press select option scroll goto back accept dialog dismiss dialog extract list files read file write file "
    "move file delete file answer report infeasible noop"
)

_INTERFACE = (
    "account actions active activity add address admin advanced agenda agreement all amount analytics apply approve approved "
    "archive assign assigned attach attachment audit author available average back balance bank billing birthday board body "
    "bonus book booking branch browse budget business buyer calendar call campaign cancel card carrier cart case catalogue "
    "category center change changes channel chart chat check checkout choose city claim class clear client close closed "
    "code color column comment comments company compare complete completed compose confirm confirmation contact contacts "
    "contract copy cost country course create credit currency current custom customer customers daily dashboard data date "
    "day days default delete delivery demo department deposit description details device digest director discount dismiss display "
    "document documents domain done download downloads draft drafts due duration edit email employee enable end "
    "engineering enter entry equipment error estimate event events expense expenses expert export external "
    "failed fax features fee field file files filter filters final finance find finish first fleet folder follow format forms forward free "
    "freight full gender general get go grade group guest guide head help hide high history holiday home hotel hour hours "
    "identifier image import inbox income info information insert inventory invite invoice invoices item items job join journal "
    "keep key label language last later lead leave ledger legal length level library limit line link list local location lock "
    "log login logout logistics low mail maintenance manage manager mark market marketing matching max meals medium meeting member members "
    "memo menu merchant message messages method metric min minutes mobile mode model month monthly more my name navigation "
    "network new newest next no note notes notice notification notifications number office offers ok oldest only open operations optional "
    "order orders organization other outbox outlook overview owner page paid panel parking partner password paste pause pay payee payment "
    "payments payroll pending people percent period permissions person personal phone photo place plan planning please plus "
    "policy position post postcode preferences preview previous price print priority privacy private process product products profile "
    "profit project projects promotion proposal public publish purchase purpose quantity quarter quarterly query question queue "
    "quick quote range rate rating read ready reason receipt receipts receive recent recipient record records reference refresh refund "
    "region register reject related release remarks remember reminder remove rename rent repeat reply report reports request "
    "required reset resolved resource response restore result results resume retail retry return revenue review role room rows rule "
    "salary sale sales save saved schedule scope search section security see select seller send sent sequence service services session "
    "set settings share shift ship shipment shipping shop show sign site size skip sold sort source spend spreadsheet staff standard star start "
    "state status step stock stop store street subject submit submitted subscribe subtotal success suggestion summary supplier "
    "supplies support survey switch system table tag tags target task tasks tax taxi team teams template term terms theme ticket tickets time "
    "timeline title today toggle token tool tools topic total track trade train training transfer transport travel type unit units unread "
    "until update upgrade upload urgent usage use user username users utilities vacation vendor verify version video view visit "
    "visitor warehouse warning web website week weekly welcome widget window word work workspace year yearly yes yesterday zip zone"
)

_SHORT = "CSV PDF JSON XML XLSX PNG ID URL EUR USD GBP CHF JPY SEK VAT FAQ OK HR IT QA UK US EU AM PM Q1 Q2 Q3 Q4 CEO API"

_MONTHS = (
    "January February March April May June July August September October November December "
    "Jan Feb Mar Apr Jun Jul Aug Sep Oct Nov Dec Monday Tuesday Wednesday Thursday Friday Saturday Sunday"
)

_PLACES = (
    "Amsterdam Athens Austin Barcelona Berlin Bern Boston Bristol Brussels Chicago Copenhagen Dallas Denver Dublin Edinburgh "
    "Geneva Hamburg Helsinki Lisbon London Lyon Madrid Milan Montreal Munich Oslo Paris Porto Prague Rome Seattle Stockholm "
    "Sydney Tokyo Toronto Turin Vienna Warsaw Zurich Germany France Spain Italy Canada Japan Sweden Norway Ireland North South East West"
)

_WORDING = (
    "fill with enter in as type into set should be choose pick open click press go to use follow find it finish called accept "
    "say yes when asked then and the a an of for on at by from my this that which please now want need make sure also first "
    "after before once finally named complete http https www test com org net example acme co html"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wordbook:
    """What lessons are made of."""

    words: tuple[str, ...]
    """Every word with a token of its own, most useful first."""
    pieces: tuple[str, ...]
    """Continuations of rarer words that have a token."""
    labels: tuple[str, ...]
    """Capitalised interface words."""
    people: tuple[str, ...]
    """First and last names."""
    places: tuple[str, ...]
    longest: int = 3
    """Most words of a name; 1 makes every name and value one word."""
    fillers: int = 5
    """Most words without meaning at a time."""

    def plain(self) -> "Wordbook":
        """Give the same book with one-word names and values and no filler."""
        return replace(self, longest=1, fillers=0)

    def name(self, rng: np.random.Generator) -> str:
        """Draw an element's name."""
        if self.longest == 1:
            return pick(rng, self.words)
        kind = rng.random()
        if kind < 0.35:
            words = [pick(rng, self.labels), *(pick(rng, self.labels).lower() for _ in range(_few(rng)))]
        elif kind < 0.7:
            words = [pick(rng, self.words) for _ in range(1 + _few(rng))]
        elif kind < 0.8:
            words = [pick(rng, self.labels), pick(rng, self.labels)]
        elif kind < 0.9:
            words = [pick(rng, self.labels), self.number(rng)]
        elif kind < 0.95:
            words = [self.person(rng)]
        else:
            words = [self.code(rng)]
        return " ".join(words)

    def names(self, rng: np.random.Generator, count: int) -> list[str]:
        """Draw different names."""
        drawn: dict[str, None] = {}
        while len(drawn) < count:
            drawn[self.name(rng)] = None
        return list(drawn)

    def vary(self, rng: np.random.Generator, name: str) -> str:
        """Draw a name that shares words with another."""
        if self.longest == 1:
            return pick(rng, self.words)
        words = name.split(" ")
        at = int(rng.integers(len(words)))
        kind = rng.random()
        if kind < 0.3 and len(words) > 1:
            del words[at]
        elif kind < 0.6:
            words.insert(at + int(rng.integers(2)), pick(rng, self.labels))
        else:
            words[at] = self.number(rng) if words[at][0].isdigit() else pick(rng, self.words)
        return " ".join(words)

    def value(self, rng: np.random.Generator) -> str:
        """Draw a field's value."""
        if self.longest == 1:
            return pick(rng, self.words)
        draws = (self.amount, self.amount, self.date, self.email, self.person, self.number, self.choice)
        kind = int(rng.integers(10))
        return draws[kind](rng) if kind < len(draws) else self.phrase(rng)

    def date(self, rng: np.random.Generator) -> str:
        """Draw a date, such as 2026-03-14."""
        return f"{rng.integers(2019, 2030)}-{rng.integers(1, 13):02d}-{rng.integers(1, 29):02d}"

    def email(self, rng: np.random.Generator) -> str:
        """Draw an e-mail address."""
        names = [pick(rng, words).lower() for words in (self.people, self.people, self.words)]
        return f"{names[0]}.{names[1]}@{names[2]}.{pick(rng, ('test', 'com', 'org'))}"

    def person(self, rng: np.random.Generator) -> str:
        """Draw somebody's full name."""
        return f"{pick(rng, self.people)} {pick(rng, self.people)}"

    def choice(self, rng: np.random.Generator) -> str:
        """Draw something to choose from a list."""
        return pick(rng, self.labels if rng.random() < 0.5 else self.places)

    def phrase(self, rng: np.random.Generator) -> str:
        """Draw some words."""
        return " ".join(pick(rng, self.words) for _ in range(1 + _few(rng) + _few(rng)))

    def amount(self, rng: np.random.Generator) -> str:
        """Draw an amount of money, such as 1,284.50."""
        units = int(rng.integers(1, 10)) if rng.random() < 0.2 else int(10 ** rng.uniform(0.5, 4))
        whole = f"{units:,}" if rng.random() < 0.5 else str(units)
        return whole + (f".{rng.integers(100):02d}" if rng.random() < 0.8 else "")

    def number(self, rng: np.random.Generator) -> str:
        """Draw a whole number, small ones more often."""
        return str(int(10 ** rng.uniform(0, 4)))

    def code(self, rng: np.random.Generator) -> str:
        """Draw an identifier such as EXP-1042."""
        letters = "".join(chr(65 + int(rng.integers(26))) for _ in range(int(rng.integers(1, 4))))
        return f"{letters}{pick(rng, ('-', '', '_', ' '))}{rng.integers(10, 10_000)}"

    def filler(self, rng: np.random.Generator) -> str:
        """Draw some words that mean nothing for the task."""
        return " ".join(
            pick(rng, self.words) for _ in range(int(rng.integers(min(1, self.fillers), self.fillers + 1)))
        )

    def url(self, rng: np.random.Generator) -> str:
        """Draw a page address."""
        if self.fillers == 0:
            return "http://one.test/"
        parts = [pick(rng, self.labels).lower() for _ in range(int(rng.integers(0, 3)))]
        if rng.random() < 0.3:
            parts.append(self.number(rng))
        return f"http://{pick(rng, self.labels).lower()}.test/" + "/".join(parts)


def build_wordbook(texts: Iterable[str] = ()) -> Wordbook:
    """Build the word book.

    Args:
        texts: texts of the applications (pages, goals); the words in them get tokens too.
    """
    interface = _INTERFACE.split()
    labels = tuple(word.capitalize() for word in interface) + tuple(_SHORT.split()[:12])
    people = tuple(dict.fromkeys([*list(Person.first_names)[:260], *list(Person.last_names)[:260]]))
    words = [*_DIALECT.split(), *_VERBS.split()]
    words += [*_WORDING.split(), *labels, *interface, *_SHORT.split(), *_MONTHS.split(), *_PLACES.split()]
    words += _ascii_words(texts)
    words += [word for word in Lorem.word_list if word.isalpha()]
    words += people
    unique = tuple(dict.fromkeys(words))
    rare = [*Person.last_names, *Person.first_names, *Lorem.word_list]
    return Wordbook(
        words=unique,
        pieces=_frequent_pieces(rare, 200),
        labels=labels,
        people=people,
        places=tuple(_PLACES.split()),
    )


def _ascii_words(texts: Iterable[str]) -> list[str]:
    counts: Counter[str] = Counter()
    for text in texts:
        spaced = "".join(c if c.isascii() and c.isalpha() else " " for c in text)
        counts.update(word for word in spaced.split() if len(word) > 1)
    return [word for word, _ in counts.most_common()]


def _frequent_pieces(words: Sequence[str], count: int) -> tuple[str, ...]:
    counts: Counter[str] = Counter()
    for word in words:
        for size in (2, 3):
            counts.update(word[i : i + size].lower() for i in range(1, len(word) - size + 1))
    return tuple(piece for piece, _ in counts.most_common() if piece.isascii() and piece.isalpha())[:count]


def pick(rng: np.random.Generator, options: Sequence[_T]) -> _T:
    """Draw one of the options."""
    return options[int(rng.integers(len(options)))]


def _few(rng: np.random.Generator) -> int:
    """Draw 0, 1 or 2, mostly 0 or 1."""
    return int(rng.random() < 0.5) + int(rng.random() < 0.15)
