"""The paper: spaces, choices, supernet, losses, search, the derived student and its training."""
