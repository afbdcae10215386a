"""The process and the machine: devices, signals, noise."""
