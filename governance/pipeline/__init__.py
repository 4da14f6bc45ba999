"""The op's way through its phases: state machine, orchestrator, worker pool, retries, inputs and outputs of phases."""
