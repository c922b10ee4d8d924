"""The study: every claim of the method is compared with its alternatives by one resumable command.

A claim is one class in one file of :mod:`uniemo.study.claims`; ``draws.py`` is the shortest
example. To add one, write such a file and add the class to the list of that package.
"""
