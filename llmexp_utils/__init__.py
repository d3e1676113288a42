"""Small package behind the notebooks: one module, one idea; see the module docstrings."""

from __future__ import annotations

__version__ = "0.1.0"
