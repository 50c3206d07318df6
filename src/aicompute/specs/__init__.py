"""Facts with their origin: read, check, find, extend, override, compare and import spec files."""

from aicompute.specs.check import check_all, check_file
from aicompute.specs.library import Library
from aicompute.specs.spec import Spec
from aicompute.specs.value import Value

__all__ = ["Library", "Spec", "Value", "check_all", "check_file"]
