"""Graph to graph, one concern a file. Each pass is a frozen dataclass whose fields are its options."""
