"""Tests of onejob.explain."""
