"""The process and the machine: devices, signals, library output."""
