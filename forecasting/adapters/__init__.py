"""Faces of echocast's forecasters towards other libraries, one module for each library.

A module here is imported by name, ``from echocast.forecasting.adapters.sktime import ...``, and
needs the library that it is called after. Nothing else in echocast imports one.
"""
