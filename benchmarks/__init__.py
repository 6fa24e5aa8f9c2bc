"""What telemetry costs, as ratios to floor programs and to peers, measured in pairs on one machine: `./dev bench`."""
