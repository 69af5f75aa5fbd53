"""Pages that are solved by finding a word that can be clicked, in the open or behind tabs and sections."""

from milepost.envs.miniwob.oracles.sight import click, elements, quoted
from milepost.sandbox.actions import Action, Click, Noop
from milepost.sandbox.observation import Observation


def click_word(view: Observation) -> Action:
    """Click the word that the goal quotes."""
    return click(view, "generic", *quoted(view)[:1])


def find_word(view: Observation) -> Action:
    """Click the word that the goal quotes; while it is not to be seen, open the next tab or section."""
    wanted, tabs = quoted(view)[:1], elements(view, "tab")
    here = view.find("generic", wanted[0]) if wanted else None
    if here:
        return Click(here)
    shown = next((place for place, tab in enumerate(tabs) if "expanded" in tab.states), -1)
    if shown + 1 >= len(tabs):
        return Noop()
    # A tab of a row holds a link, which is what a click on it hits; a section's bar holds none.
    link = view.find("link", tabs[shown + 1].name)
    return Click(link or tabs[shown + 1].id)
