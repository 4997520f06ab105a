"""Tests, which import each other by this name, though another package be called so as well."""
