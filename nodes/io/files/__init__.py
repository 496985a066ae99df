"""Picture files: sequences, headers, decoding, encoding, movies, and the child process for files nobody trusts."""
