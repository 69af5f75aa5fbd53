"""Who acts: language models behind engines, scripts, and the built-in tiny policy."""
