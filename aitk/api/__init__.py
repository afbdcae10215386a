"""The Python API: the functions of ``import aitk``, which the command line calls too."""
