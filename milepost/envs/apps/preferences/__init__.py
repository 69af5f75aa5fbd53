"""An account's settings: panels of switches, lists and fields that are saved."""
