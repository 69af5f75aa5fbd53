"""Registers every task template with Gymnasium, by string, so that nothing heavy is imported."""

import gymnasium

from milepost.envs.registry import imported_templates, templates

NAMESPACE = "milepost"


def register_envs() -> None:
    """Register `milepost/<template id>` for every template, imported ones too; safe to call again."""
    for template in (*templates(), *imported_templates()):
        env_id = f"{NAMESPACE}/{template.id}"
        if env_id not in gymnasium.registry:
            gymnasium.register(
                id=env_id,
                entry_point="milepost.envs.computer:ComputerEnv",
                vector_entry_point="milepost.envs.vector:ComputerVectorEnv",
                kwargs={"task": template.id},
                disable_env_checker=True,
                order_enforce=False,
            )
