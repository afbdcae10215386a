"""One file per command. Stages use the task contract and no domain."""
