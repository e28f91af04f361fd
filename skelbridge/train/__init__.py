"""Training pose networks: schedules, optimiser, stages, the loop."""
