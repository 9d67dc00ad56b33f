"""Proxies: records, files, baselines, pictures."""
