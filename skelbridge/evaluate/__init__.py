"""How good conversions are: the baseline of renaming, and fidelity on bodies and people that no fit has seen."""
