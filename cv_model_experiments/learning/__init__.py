"""Training any model: loop, checkpoints, schedules, alarms, logs, reports. Knows nothing of a task."""
