"""onejob: did the deployment make production better or worse for the people who use it?"""

__version__ = "0.1.0"
