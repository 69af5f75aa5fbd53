"""An expense form with validation and a confirmation dialog."""
