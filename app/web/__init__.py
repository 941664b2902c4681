"""What a request does: one module per feature, one function per route."""
