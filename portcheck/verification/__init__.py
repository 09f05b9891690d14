"""What files declare, held against what runs: who listens where, and nobody else."""
