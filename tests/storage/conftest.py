"""Assertions of the shipped contract show their values."""

from __future__ import annotations
