"""Robust, compact image classifiers by architecture search under a robust teacher.

The names stand in `__init__.pyi`, each with its home; a home is imported when its name is asked
for, so that attacking a file needs no TensorFlow.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
