"""The parts of ``update``: new rows, what is learned from them, versions, streams."""
