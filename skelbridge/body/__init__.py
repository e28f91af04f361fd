"""The virtual body: a mesh with bones from the package `anny`, its shapes, its poses, and landmarks read off it."""
