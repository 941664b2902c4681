"""Claims that comparisons of Chirp, Flask and FastAPI make, each with a program that tests it.

`make claims` runs them and writes docs/claims.md: see bench.claims.ledger. A claim is a function in one of
the modules here, under the decorator `claim`.
"""

# The modules that hold them, in the order of the ledger.
MODULES = ("processes", "loads", "behaviour", "mistakes")
