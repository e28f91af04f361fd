"""The pose network: from crops of people to absolute 3D points in all skeleton formats at once."""
