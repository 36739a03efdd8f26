"""Ways out: one file each. They decide and return values; they never wait.

Ways out never import one another, nor the ways in.
"""
