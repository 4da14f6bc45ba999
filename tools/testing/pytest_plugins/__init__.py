"""Text that the runner sends into the sandbox: the test worker and the pytest plugins of a run."""
