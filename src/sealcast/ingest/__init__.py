"""Ways in: one file each. They decide and return values; they never wait.

Ways in never import one another, nor the ways out.
"""
