"""Families of networks, each with features that can be matched."""
