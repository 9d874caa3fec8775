"""Speed and memory, measured against what the design asks for: one file a question."""
