"""The built-in tiny policy: its tokenizer, its architecture, and its pre-trained checkpoint beside them."""
