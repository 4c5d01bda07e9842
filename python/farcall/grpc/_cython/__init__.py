"""Where grpcio has its native module; here only the names that programs import from it."""
