"""How measurements are published."""
