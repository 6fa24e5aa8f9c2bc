"""The former name of `support.storage`, for the tests of the client."""

from support.storage import EXCLUSIVE, FLOCKED, assert_sound, held

__all__ = ["EXCLUSIVE", "FLOCKED", "assert_sound", "held"]
