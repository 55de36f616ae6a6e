"""A transparency log as the C2SP specifications have it: hashes, tiles, proofs and signed checkpoints. Pure."""
