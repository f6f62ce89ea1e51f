"""What is wrong with definitions, each problem with its place."""
