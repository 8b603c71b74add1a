"""Recipes: complete descriptions of runs, as TOML files and as checked settings."""
