"""Lets the fuzzer's test import modules of its folder."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
