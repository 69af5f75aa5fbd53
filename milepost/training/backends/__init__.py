"""Where episodes are played: in browsers of this machine, or of many."""
