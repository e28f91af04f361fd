"""How good conversions and predictions are: fidelity beside renaming, pose metrics, protocols, inconsistency."""
