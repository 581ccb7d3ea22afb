//! Drives runs: accepts events, executes steps, stores what came out.
