"""The owner's tests, run by the owner's interpreter, in a sandbox, on an isolated copy: what they say is believed only
when the report is whole."""
