"""Every template is a Gymnasium environment."""

import gymnasium

from milepost.envs.registration import register_envs
from milepost.envs.registry import imported_templates, templates


def test_every_template_has_its_id() -> None:
    register_envs()
    for template in (*templates(), *imported_templates()):
        spec = gymnasium.spec(f"milepost/{template.id}")
        assert spec.kwargs == {"task": template.id}
        assert spec.entry_point == "milepost.envs.computer:ComputerEnv"


def test_registering_again_changes_nothing() -> None:
    before = dict(gymnasium.registry)
    register_envs()
    assert dict(gymnasium.registry) == before
