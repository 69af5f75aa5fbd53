"""What runs inside vLLM's worker processes: taking new weights without a restart.

Named to vLLM by `worker_extension_cls`, so that `receive_policy` becomes a method of its worker. It must import
nothing of vLLM at the top: vLLM imports this file while it sets its own workers up.
"""

import importlib
from typing import Any


class PolicyReceiver:
    """Mixed into vLLM's worker by vLLM itself."""

    model_runner: Any
    """vLLM's own."""

    def receive_policy(self, folder: str) -> int:
        """Load the weights of a checkpoint folder into the running model.

        Args:
            folder: a Hugging Face checkpoint of the architecture that is being served.

        Returns:
            How many packed copies of weights were made anew.
        """
        self.model_runner.reload_weights(weights_path=folder)
        return repack(self.model_runner.get_model())


def repack(model: Any) -> int:
    """Make anew what vLLM's CPU build has packed out of weights that it also kept.

    Reloading refreshes the layers whose weights were packed and freed. Embeddings and output heads keep both, and their
    packed copy would go on serving the old weights: nothing fails, only the probabilities are wrong.
    """
    layers = [m for m in model.modules() if hasattr(m, "cpu_linear") and m.weight.numel()]
    if layers:
        kernels = importlib.import_module("vllm.model_executor.layers.utils")
        for layer in layers:
            kernels.dispatch_cpu_unquantized_gemm(layer, False)
    return len(layers)
