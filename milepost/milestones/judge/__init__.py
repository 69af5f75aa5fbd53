"""The LLM judge: what it is shown, what it is asked, what of its reply counts. The last tier, and never alone."""
