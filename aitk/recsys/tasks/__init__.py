"""One file per task: the contract implemented."""
