"""Pruning, distillation, quantisation and export."""
