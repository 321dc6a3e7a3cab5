"""The craft behind the stages: how a thing is done, never what is decided or when."""

__version__ = "0.1.0"
