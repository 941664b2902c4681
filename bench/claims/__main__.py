"""`python -m bench.claims [ID ...]`: see bench.claims.ledger."""

import sys

from bench.claims.ledger import main

main(sys.argv[1:])
