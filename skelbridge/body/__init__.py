"""The virtual body: a mesh with bones (package `anny`), its shapes and poses, and landmarks read off it."""
