"""The owner's part: approval requests, questions, and changes that were refused."""
