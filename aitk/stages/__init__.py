"""One file a verb. A stage knows the task contract and no domain."""
