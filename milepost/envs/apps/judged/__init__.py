"""Tasks whose last word is a judge's: rules see what was done, and a rubric asks whether it was what was meant."""
